"""A digest says the same as the whole run: a comparison and a history find the same in both."""

from dataclasses import replace

import pytest

from ondevice_bench.analyse.compare import compare
from ondevice_bench.analyse.history import history
from ondevice_bench.analyse.summarise import summarise_content
from ondevice_bench.errors import BadInput
from ondevice_bench.site.board_history import board_history
from ondevice_bench.site.board_page import board_pages
from ondevice_bench.site.digest_file import read, text_of
from ondevice_bench.site.make_digest import digest_of
from ondevice_bench.site.places import Board
from tests.record.conftest import make_record
from tests.report.synthetic import SETTINGS
from tests.site.conftest import FAT_FROM, SLOW_FROM, content


def settings_of(number):
    """Those of a run: other processors where steps get slower, another cap where more is kept."""
    return {
        **SETTINGS,
        "cpus": [0, 1] if number < SLOW_FROM else [2, 3],
        "memory_cap_bytes": None if number < FAT_FROM else 2 << 30,
        "power": {"hwmon": "a"} if number < FAT_FROM else "rapl",
    }


RUNS = [content(number, settings=settings_of(number)) for number in range(24)]


def plain(comparison):
    """All of it but the reasons for what was not measured, which a digest does not keep."""
    values = comparison.to_dict()
    return {**values, "differences": [{**each, "reason": ""} for each in values["differences"]]}


@pytest.mark.parametrize(("one", "other"), [(0, 1), (8, 9), (15, 16), (0, 23)])
def test_a_comparison_of_digests_is_that_of_the_runs(one, other):
    pair = RUNS[one], RUNS[other]
    of_digests = compare(*(digest_of(each).summary() for each in pair))
    of_runs = compare(*(summarise_content(each) for each in pair))
    assert plain(of_digests) == plain(of_runs)
    assert len(of_runs.differences) >= 48


def disturbed_in(run, rounds):
    """The run. Others took processors from the times of these rounds, and made them twice as long."""
    details = {"foreign_cpu_share": 0.9}
    return replace(
        run,
        records=tuple(
            replace(
                each,
                details={**each.details, **details},
                metrics={name: 2 * value for name, value in each.metrics.items()},
                samples={
                    name: tuple(2 * v for v in values) for name, values in each.samples.items()
                },
            )
            if each.key.pass_name == "time" and each.key.round in rounds
            else each
            for each in run.records
        ),
    )


def test_what_others_disturbed_is_left_out_of_a_digest_as_of_a_run():
    quiet, some, all_ = (
        RUNS[0],
        disturbed_in(RUNS[1], {1, 2}),
        disturbed_in(RUNS[2], {*range(1, 20)}),
    )
    digests = [digest_of(each) for each in (quiet, some, all_)]
    for one in (some, all_):
        of_digests = compare(digests[0].summary(), digest_of(one).summary())
        of_runs = compare(*map(summarise_content, (quiet, one)))
        assert plain(of_digests) == plain(of_runs)
        assert not of_digests.with_verdict("regressed")
    whole = history(map(summarise_content, (quiet, some, all_)))
    board = board_history(Board.of(quiet.run), digests, {})
    of_steps = [each for each in board.history.series if each.metric == "step_seconds"]
    kept = {(each.fingerprint, each.metric): each for each in whole.series}
    for series in of_steps:
        assert kept[series.fingerprint, series.metric].to_dict() == series.to_dict()
        first, second = (point.estimate.estimate for point in series.points)  # none of the third
        assert second == pytest.approx(first, rel=0.1)


def test_a_history_of_digests_is_that_of_the_runs():
    whole = history(map(summarise_content, RUNS))
    digests = [digest_of(each) for each in RUNS]
    board = board_history(Board.of(RUNS[0].run), digests, {})
    kept = {(each.fingerprint, each.metric): each for each in board.history.series}
    causes = {cause for _, change in board.history.changes for cause in change.causes}
    assert {
        "setting cpus: 0, 1 → 2, 3",
        "setting memory_cap_bytes: None → 2147483648",
    } < causes
    for series in whole.series:
        assert kept.pop((series.fingerprint, series.metric)).to_dict() == series.to_dict()
    assert not kept


def test_a_digest_is_read_back_as_it_was_written():
    digest = digest_of(RUNS[0])
    assert read("x", text_of(digest)) == digest
    assert text_of(read("x", text_of(digest))) == text_of(digest)


def of_boards(run, units):
    """The run of a fleet whose rounds these boards have measured, in turn."""
    records = tuple(
        replace(each, details={**each.details, "unit": units[each.key.round % len(units)]})
        for each in run.records
    )
    return replace(run, records=records)


def test_digests_of_a_fleet_know_which_boards_measured():
    fleets = [of_boards(RUNS[0], "ab"), of_boards(RUNS[1], "ab"), of_boards(RUNS[2], "c")]
    digests = [digest_of(each) for each in fleets]
    assert read("x", text_of(digests[0])) == digests[0]
    for pair, digest_pair in ((fleets[:2], digests[:2]), (fleets[1:], digests[1:])):
        of_digests = compare(*(each.summary() for each in digest_pair))
        assert plain(of_digests) == plain(compare(*map(summarise_content, pair)))
    apart = [each for each in of_digests.differences if "other boards" in each.reason]
    assert apart
    assert {each.verdict for each in apart} == {"inconclusive"}
    series = board_history(Board.of(RUNS[0].run), digests, {}).history.series
    boards = {each.machine.partition(", boards ")[2] for each in series}
    assert boards == {"", "a, b", "c"}  # exact metrics have no boards


def test_units_that_are_not_those_of_the_rounds_are_refused():
    text = text_of(digest_of(of_boards(RUNS[0], "ab"))).decode()
    assert '"a"' in text
    broken = text.replace('"a",', "", 1).replace('["a"]', "[]")
    with pytest.raises(BadInput, match="the units of a metric are not those of its rounds"):
        read("x", broken.encode())


def test_the_order_of_the_records_does_not_matter():
    assert digest_of(replace(RUNS[0], records=RUNS[0].records[::-1])) == digest_of(RUNS[0])


def test_a_metric_that_was_measured_once_and_lost_is_missing():
    lost = tuple(r for r in RUNS[1].records if r.key.pass_name != "time")
    board = board_history(
        Board.of(RUNS[0].run),
        [digest_of(RUNS[0]), digest_of(replace(RUNS[1], records=lost))],
        {},
    )
    assert board.verdict.tone == "warning"
    assert board.verdict.sentence.startswith("Not decided: 6 metrics of the base were not measured")


def test_a_cell_that_failed_is_said_to_have_failed():
    run = RUNS[1]
    cell = run.cells[0].cell
    records = tuple(r for r in run.records if r.key.cell != cell.id)
    failed = make_record(run.run.id, cell, status="failed", reason="no memory")
    other = digest_of(replace(run, records=(*records, failed)))
    board = board_history(Board.of(run.run), [digest_of(RUNS[0]), other], {})
    assert board.verdict.sentence == "Worse: rounds of 1 cell failed"
    assert board.verdict.failed == (f"{cell.id}: failed",)
    assert board.verdict.tone == "worse"


def test_a_run_of_which_more_rounds_failed_is_worse_as_in_a_comparison_of_runs():
    run = RUNS[1]
    *_, last = (r for r in run.records if r.key.pass_name == "time")
    bad = replace(last, status="failed", reason="x", metrics={}, samples={})
    records = tuple(bad if r is last else r for r in run.records)
    pair = RUNS[0], replace(run, records=records)
    digests = [digest_of(each) for each in pair]
    (found,) = compare(*(each.summary() for each in digests)).failed
    (whole,) = compare(*(summarise_content(each) for each in pair)).failed
    assert (found.cell, found.pass_name, str(found.base), str(found.new)) == (
        (whole.cell, whole.pass_name, str(whole.base), str(whole.new))
    )
    board = board_history(Board.of(run.run), digests, {})
    verdict = board.verdict
    assert (verdict.tone, verdict.sentence) == ("worse", "Worse: rounds of 1 cell failed")
    page = dict(board_pages(board))["quick/x86/index.html"].decode()
    assert '<td class="name">time</td>' in page
    assert "1 of 5 rounds failed" in page


def test_a_failed_look_at_a_board_of_a_fleet_is_no_failed_round_of_its_cell():
    pair = [
        replace(
            run,
            records=(
                *run.records,
                make_record(
                    run.run.id, run.cells[0].cell, "family", status=status, reason="it is hot"
                ),
            ),
        )
        for run, status in zip(RUNS, ("ok", "timeout"), strict=False)
    ]
    assert compare(*map(summarise_content, pair)).failed == ()
    assert compare(*(digest_of(each).summary() for each in pair)).failed == ()


def test_a_cell_that_the_run_before_has_not_measured_is_not_judged():
    gone = {item.cell.id for item in RUNS[0].cells[:2]}
    records = tuple(r for r in RUNS[0].records if r.key.cell not in gone)
    half = replace(RUNS[0], run=replace(RUNS[0].run, finished=None), records=records)
    board = board_history(Board.of(half.run), [digest_of(half), digest_of(RUNS[1])], {})
    assert board.verdict.tone == "warning"
    assert board.verdict.sentence == "Not worse as far as it was decided; 2 cells not judged"
    assert set(board.verdict.unjudged) == gone


def test_the_newest_run_is_judged_against_the_one_before_it():
    digests = [digest_of(each) for each in RUNS]
    fatter = board_history(Board.of(RUNS[0].run), digests[:10], {}).verdict
    assert (fatter.tone, fatter.sentence) == ("worse", "Worse: 1 metric of 1 cell regressed")
    calm = board_history(Board.of(RUNS[0].run), digests[:9], {}).verdict
    assert (calm.tone, calm.sentence) == ("", "Not worse as far as it was decided")
    first = board_history(Board.of(RUNS[0].run), digests[:1], {}).verdict
    assert (first.tone, first.sentence) == ("", "First run: 6 cells measured")


def test_commits_order_the_runs_if_the_repository_has_all_of_them():
    digests = [digest_of(each) for each in RUNS[:3]]
    commits = {each.facts.commit: -place for place, each in enumerate(digests)}
    board = board_history(Board.of(RUNS[0].run), digests, commits)
    assert [run.id for run in board.runs] == [each.run.id for each in RUNS[2::-1]]
    assert board.newest.run.id == RUNS[0].run.id


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"commit": "c" * 500}, "run.commit: "),
        ({"machine": {**RUNS[0].run.machine, "note": "x" * 500}}, "run.machine.note"),
    ],
)
def test_names_that_are_too_long_for_a_page_are_one_line(what, says):
    with pytest.raises(BadInput) as caught:
        digest_of(replace(RUNS[0], run=replace(RUNS[0].run, **what)))
    (line,) = caught.value.lines
    assert line.startswith("run quick-x86-00: ")
    assert says in line
