"""Several boards on one page."""

import dataclasses
import re

import pytest

from ondevice_bench.report import page as pages
from ondevice_bench.report.sections.boards import content
from ondevice_bench.report.sections.section import ReportData
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


def test_boards_say_whether_the_same_method_wins(whole, summary_of):
    cells = synthetic.cells(8)
    run = synthetic.run_of("r2", profile="pi5")
    slow = dict.fromkeys(("wasi", "svd"), 4.0)
    other = summary_of(synthetic.records(cells, "r2", slow), synthetic.planned(cells, "pi5"), run)
    page = body(pages.render([whole, other], "hardware"))
    (answers,) = re.findall('<table class="answers">.*?</table>', page, re.DOTALL)[:1]
    rows = [
        [re.sub(r"<.*?>", "", cell).split(" ")[0] for cell in re.findall("<td.*?</td>", row)]
        for row in re.findall("<tr>(.*?)</tr>", answers)[1:]
    ]
    assert rows[0] == ["0.375×", "0.375×", "yes"]
    assert rows[1] == ["0.520×", "1×", "no"]
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
        ({"layers": "mlp"}, ["mcunet, batch 8"], "no", "mcunet/asi(fraction=0.125)/all/b8/s0"),
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
    answers = content(ReportData.from_summaries(tuple(summaries)))["answers"]
    assert [title for title, _ in answers] == titles
    (least_memory, *_) = answers[0][1]
    assert (least_memory.agreement, least_memory.cards[0].method) == (agreement, method)


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
