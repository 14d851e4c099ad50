"""Several boards on one page."""

import dataclasses
import re

import pytest

from ondevice_bench.analyse.choice import PEAK
from ondevice_bench.report import page as pages
from ondevice_bench.report.board_answers import DISTURBED
from ondevice_bench.report.sections.boards import content
from ondevice_bench.report.sections.section import ReportData
from tests.record.conftest import make_record
from tests.report import synthetic
from tests.report.test_page import body


def test_boards_stand_side_by_side(whole, summary_of):
    cells = synthetic.cells(8)
    run = synthetic.run_of("r2", profile="pi5")
    slow = dict.fromkeys(("vanilla", "asi", "wasi"), 4.0)
    other = summary_of(synthetic.records(cells, "r2", slow), synthetic.planned(cells, "pi5"), run)
    page = body(pages.render([whole, other], "hardware"))
    assert "Board by board" in page
    assert re.search("Boards disagree.*batch 8, seed 0: checkpoint", page)
    assert "has more on x86" in page
    assert "has less on pi5" in page


def test_a_page_says_what_draws_it(whole, summary_of):
    run = synthetic.run_of("r2", profile="pi5")
    other = summary_of([], synthetic.planned(synthetic.cells(8), "pi5"), run)
    said = '<td colspan="2">bench report {} r2 --layout hardware{}</td>'
    page = pages.render([whole, other], "hardware")
    assert said.format(whole.run.id, "") in page
    page = pages.render([whole, other], "hardware", "checkpoint")
    assert said.format(whole.run.id, " --baseline checkpoint") in page


def about_memory(workload):
    return next(each for each in workload.answers if each.question == "Least memory")


def test_boards_say_whether_the_same_method_wins(whole, summary_of):
    cells = synthetic.cells(8)
    run = synthetic.run_of("r2", profile="pi5")
    slow = dict.fromkeys(("wasi", "svd"), 4.0)
    other = summary_of(synthetic.records(cells, "r2", slow), synthetic.planned(cells, "pi5"), run)
    page = body(pages.render([whole, other], "hardware"))
    (answers,) = re.findall('<table class="answers".*?</table>', page, re.DOTALL)[:1]
    rows = [
        [re.sub(r"<.*?>", "", cell).split(" ")[0] for cell in re.findall("<td.*?</td>", row)]
        for row in re.findall("<tr>(.*?)</tr>", answers)[1:]  # without the head
    ]
    assert rows[0] == ["0.520×", "1×", "no"]  # what the goal asks is first
    assert rows[1] == ["0.375×", "0.375×", "yes"]
    assert "about <strong>x86</strong>" in page
    assert "All boards that measured them have the same" in page  # one board has fewer workloads


@pytest.mark.parametrize(
    ("there", "titles", "agreement", "method"),
    [
        ({}, ["mcunet, batch 8"], "yes", "asi fraction=0.125"),
        (
            {"dtype": "bfloat16"},
            [
                "mcunet, batch 8, float32, synthetic, weights random",
                "mcunet, batch 8, bfloat16, synthetic, weights random",
            ],
            "not known",
            "asi fraction=0.125",
        ),
        (
            {"layers": "mlp"},
            ["mcunet, batch 8"],
            "not known",
            "mcunet/asi(fraction=0.125)/all/b8/s0",
        ),
    ],
)
def test_boards_agree_only_on_the_same_cell(summary_of, there, titles, agreement, method):
    """An override of a board may change types or layers, which labels leave out."""
    summaries = []
    for profile, what in (("x86", {}), ("pi5", there)):
        vanilla, asi = synthetic.cells()[:2]
        cells = [
            dataclasses.replace(vanilla, **{k: v for k, v in what.items() if k != "layers"}),
            dataclasses.replace(
                asi, id=asi.id.replace("/all/", f"/{what.get('layers', 'all')}/"), **what
            ),
        ]
        run = synthetic.run_of(f"r-{profile}", profile=profile)
        found = synthetic.records(cells, run.id)
        summaries.append(summary_of(found, synthetic.planned(cells, profile), run))
    workloads = content(ReportData.from_summaries(tuple(summaries)))["workloads"]
    assert [workload.title for workload in workloads] == titles
    least_memory = about_memory(workloads[0])
    assert (least_memory.agreement, least_memory.on_boards[0].method) == (agreement, method)
    if "layers" in there:
        assert least_memory.doubt == "mcunet/asi(fraction=0.125)/mlp/b8/s0 not measured on x86"


def test_exact_numbers_that_are_the_same_on_all_boards_stand_once(summary_of):
    cells = synthetic.cells(8)
    here = summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())
    run = synthetic.run_of("r2", profile="pi5")
    other = summary_of(synthetic.records(cells, "r2"), synthetic.planned(cells, "pi5"), run)
    page = body(pages.render([here, other], "hardware"))
    *_, activations = re.findall("<h3>Activation bytes.*?</table>", page, re.DOTALL)
    assert "All boards that measured them have the same" in activations
    assert "pi5" not in activations
    assert page.count("All boards that measured them have the same") == 1
    assert ">board</span> pi5" in page


def test_cells_that_wait_for_a_board_of_the_page_are_not_pending(summary_of):
    cells = synthetic.cells(8)
    there = [dataclasses.replace(each, state="pending") for each in synthetic.planned(cells, "pi5")]
    here = summary_of(
        synthetic.records(cells), [*synthetic.planned(cells), *there], synthetic.run_of()
    )
    run = synthetic.run_of("r2", profile="pi5")
    other = summary_of(synthetic.records(cells, "r2"), synthetic.planned(cells, "pi5"), run)
    assert "pending on pi5" in body(pages.render([here], "hardware"))
    page = body(pages.render([here, other], "hardware"))
    assert "pending on" not in page
    assert ": 6 ok</p>" in page


def test_the_baseline_of_a_board_has_a_ratio_of_one(whole, summary_of):
    run = synthetic.run_of("r2", profile="pi5")
    other = summary_of([], synthetic.planned(synthetic.cells(8), "pi5"), run)
    page = body(pages.render([whole, other], "hardware"))
    (row, *_) = re.findall('<th scope="row">mcunet.*?: vanilla</th>.*?</tr>', page, re.DOTALL)
    assert "1×" in row
    assert row.count("–") == 2  # the ratios to the board without numbers


def test_a_disagreement_names_only_the_boards_that_have_the_cell(summary_of):
    cells = synthetic.cells(8)
    slow = dict.fromkeys(("vanilla", "asi", "wasi"), 4.0)
    summaries = []
    for profile, chosen, slower in (
        ("x86", cells, None),
        ("pi4", cells[:2], None),
        ("pi5", cells, slow),
    ):
        run = synthetic.run_of(f"r-{profile}", profile=profile)
        found = synthetic.records(chosen, run.id, slower)
        summaries.append(summary_of(found, synthetic.planned(chosen, profile), run))
    page = body(pages.render(summaries, "hardware"))
    assert re.search(r"Boards disagree.*has more on x86, has less on pi5, each compared", page)


@pytest.fixture
def quiet_and_busy(summary_of):
    """Two boards of one profile. Others disturbed the times of the second, which lacks a cell."""
    cells, found = synthetic.cells(8), []
    for unit, share, chosen in (("a", 0.0, cells), ("b", 0.9, cells[:-1])):
        run = synthetic.run_of(f"r-{unit}", profile="pi5", machine=machine_of(unit))
        records = [
            dataclasses.replace(each, details={**each.details, "foreign_cpu_share": share})
            if each.key.pass_name == "time"
            else each
            for each in synthetic.records(chosen, run.id)
        ]
        found.append(summary_of(records, synthetic.planned(chosen, "pi5"), run))
    return found


def machine_of(unit):
    return {**synthetic.run_of().machine, "unit": unit}


def test_a_disturbed_board_shows_it_beside_its_badges_and_in_the_caveats(quiet_and_busy):
    data = ReportData.from_summaries(tuple(quiet_and_busy), compares_boards=True)
    (workload,) = content(data)["workloads"]
    marks = [
        [(DISTURBED in each.badges, DISTURBED in each.all_badges) for each in answer.on_boards]
        for answer in workload.answers
    ]
    assert [of_quiet for of_quiet, _ in marks] == [(False, False)] * 3
    fastest, memory, both = (of_busy for _, of_busy in marks)
    assert (memory, fastest, both) == ((False, True), (True, True), (False, True))


def test_numbers_that_others_disturbed_are_marked_with_their_ratios(quiet_and_busy):
    tables = content(ReportData.from_summaries(tuple(quiet_and_busy)))["tables"]
    by_name = {each["metric"].name: dict(each["lines"]) for each in tables}
    for name, marks in (
        ("step_seconds", [False, False, True, True, True]),  # two of a, two of b, b over a
        ("peak_rss_over_runtime_bytes", [False] * 5),  # other processes measured it
    ):
        of_asi = next(found for label, found in by_name[name].items() if "asi" in label)
        assert [each.is_noisy for each in of_asi] == marks
    (of_last, *_) = [row for label, row in by_name["step_seconds"].items() if "check" in label]
    assert [each.is_noisy for each in of_last[2:]] == [False] * 3  # b has no number


def test_a_page_of_boards_says_which_board_each_part_is_about(quiet_and_busy):
    page = body(pages.render(quiet_and_busy, "hardware"))
    titles = {re.sub("<.*?>", "", each) for each in re.findall("<h2>(.*?)</h2>", page)}
    assert {"Decision on pi5, unit a", "Every cell on pi5, unit a", "Caveats"} < titles
    assert {"Board by board", "How to read this report", "Environment"} < titles
    assert page.count("times disturbed</a></span>") == 3
    assert 'machine pi5, unit b</span> <a href="#notes">times of 5 of 5 cells' in page
    (caveats,) = re.findall('<section id="notes">.*?</section>', page, re.DOTALL)
    assert re.findall("<h3>(.*?)</h3>", caveats)[-1] == "pi5, unit b"
    assert "count only what a process itself has or does" in caveats
    assert "Missing on pi5, unit b: checkpoint: not in that run: its plan has no such cell." in page
    assert "<small>not in that run</small>" in page


def test_a_number_that_failed_says_why(quiet_and_busy, summary_of):
    cells = synthetic.cells(8)
    failed = [
        make_record("r2", cells[-1], name, status="failed", reason="ValueError: no such batch")
        for name in ("time", "memory", "trace", "fidelity")
    ]
    run = synthetic.run_of("r2", profile="pi4")
    found = [*synthetic.records(cells[:-1], "r2"), *failed]
    other = summary_of(found, synthetic.planned(cells, "pi4"), run)
    page = body(pages.render([quiet_and_busy[0], other], "hardware"))
    assert "Missing on pi4: checkpoint: " in page
    assert "ValueError: no such batch" in page
    assert 'href="#problems"' in page
    assert "the list above" not in page


@pytest.mark.parametrize(
    ("left_out", "agreement", "doubt", "steps"),
    [
        (None, "yes", "", ()),
        (4, "yes", "", ("Measure svd fraction=0.25 here, too",)),
        (5, "not known", "checkpoint not measured on pi5", ("Measure checkpoint here, too",)),
    ],
)
def test_boards_do_not_disagree_about_a_method_that_one_did_not_measure(
    summary_of, left_out, agreement, doubt, steps
):
    summaries = []
    for profile in ("x86", "pi5"):
        cells = synthetic.cells(8)
        if profile == "pi5" and left_out is not None:
            del cells[left_out]
        run = synthetic.run_of(f"r-{profile}", profile=profile)
        found = synthetic.records(cells, run.id)
        summaries.append(summary_of(found, synthetic.planned(cells, profile), run))
    (workload,) = content(ReportData.from_summaries(tuple(summaries)))["workloads"]
    memory = about_memory(workload)
    assert (memory.agreement, memory.doubt) == (agreement, doubt)
    assert workload.next_steps == ((), steps)


def test_what_is_not_proven_is_not_known_to_agree(summary_of):
    cells, summaries = synthetic.cells(8), []
    for profile, interleaved in (("x86", True), ("pi5", False)):
        settings = {**synthetic.SETTINGS, "interleaved": interleaved}
        run = synthetic.run_of(f"r-{profile}", profile=profile, settings=settings)
        found = [
            each
            for each in synthetic.records(cells, run.id)
            if interleaved or each.key.pass_name != "memory" or each.key.round < 3
        ]
        summaries.append(summary_of(found, synthetic.planned(cells, profile), run))
    found = content(ReportData.from_summaries(tuple(summaries)))
    (workload,) = found["workloads"]
    fastest, memory, _ = workload.answers
    assert [each.method for each in memory.on_boards] == ["checkpoint", "checkpoint"]
    assert (memory.agreement, memory.doubt) == ("not known", "not proven on pi5")
    assert (fastest.agreement, fastest.doubt) == ("yes", "")
    assert workload.next_steps == ((), ("Set `rounds: {memory: 3}` and run again",))
    meanings = dict(found["badges"])
    assert "(peak memory 8 %, step time 5 %; 2× that on pi5)" in meanings["proven"]
    assert "(peak memory 3, step time 5)" in meanings["proven"]


def test_more_than_two_boards_have_no_column_for_a_pair_and_differ_in_what_any_differs(summary_of):
    cells, summaries = synthetic.cells(8)[:2], []
    for profile, torch, gib in (("x86", "2.4", 4), ("pi4", "2.4", 64), ("pi5", "2.5", 4)):
        run = synthetic.run_of(f"r-{profile}", profile=profile)
        machine, software = {**run.machine, "memory_gib": gib}, {**run.software, "torch": torch}
        run = dataclasses.replace(run, machine=machine, software=software)
        found = synthetic.records(cells, run.id)
        summaries.append(summary_of(found, synthetic.planned(cells, profile), run))
    found = content(ReportData.from_summaries(tuple(summaries)))
    assert found["differ"] == ["torch"]
    assert {each.name for each in found["differences"]} == {"memory of the machine", "torch"}
    peaks = next(each for each in found["tables"] if each["metric"].name == PEAK)
    assert peaks["shares"] == [
        "share of 3.5 GiB",
        "all below 1 % of 63.5 GiB",
        "share of 3.5 GiB",
    ]
    (_, numbers), *_ = peaks["lines"]
    assert [each.share for each in numbers[::2]] == ["2.2 %", "", "2.2 %"]
    assert len(numbers) == 2 * len(summaries)


def test_a_number_is_grey_by_one_rule_for_values_and_ratios(summary_of):
    """Its upper end is more than four times its lower end."""
    cells = synthetic.cells(8)[:2]
    records = [
        dataclasses.replace(each, samples={"step_seconds": [low / 1e3, 0.1, high / 1e3]})
        if each.key.pass_name == "time"
        else each
        for each in synthetic.records(cells)
        for low, high in [(60, 200) if each.key.cell == cells[0].id else (40, 200)]
    ]
    summary = summary_of(records, synthetic.planned(cells), synthetic.run_of())
    found = content(ReportData.from_summaries((summary,)))
    assert found["widest"] == "4"
    steps = next(each for each in found["tables"] if each["metric"].name == "step_seconds")
    noisy = [[quantity.is_noisy for quantity in line] for _, line in steps["lines"]]
    assert noisy == [[False, False], [True, True]]


def test_a_board_on_which_the_baseline_does_not_fit_stands_beside_the_others(summary_of):
    cells, summaries = synthetic.cells(8), []
    for profile in ("x86", "pi5"):
        run = synthetic.run_of(f"r-{profile}", profile=profile)
        found = synthetic.records(cells, run.id)
        if profile == "pi5":
            full = make_record(run.id, cells[0], "memory", status="oom", reason="no memory")
            found = [*synthetic.records(cells[1:], run.id), full]
        summaries.append(summary_of(found, synthetic.planned(cells, profile), run))
    (workload,) = content(ReportData.from_summaries(tuple(summaries)))["workloads"]
    assert workload.title == "mcunet, batch 8"
    memory = about_memory(workload)
    assert [each.proof for each in memory.on_boards] == ["proven", "unknown"]
    assert (memory.agreement, memory.doubt) == ("not known", "no answer on pi5")
    assert workload.lacking == ("", "out of memory: vanilla")
    judged, lowest = memory.on_boards[1].lines
    assert judged.text.endswith("none can be judged.")
    assert lowest.text.startswith("lowest peak: checkpoint; fits: 30.00 MiB, ")
    assert workload.next_steps == ((), None)
