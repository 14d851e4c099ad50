"""The context of a page: chips, the memory of a board, and cells that were not to be measured."""

import dataclasses

import pytest

from ondevice_bench.analyse.summary import NOT_WATCHED
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.report.chips import chips
from ondevice_bench.report.folding import unmeasured
from ondevice_bench.report.sections.remarks import notes, reading
from ondevice_bench.report.sections.section import ReportData
from ondevice_bench.report.shares import about_shares
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned
from tests.report import synthetic

MIB = 2**20


@pytest.fixture
def limited(summary_of):
    """A run under limits in MiB, on a board of so many GiB."""

    def make(gib, *, of_torch=200, **limits):
        sizes = {f"memory_{name}_bytes": n if n is None else n * MIB for name, n in limits.items()}
        run = make_run(settings={**synthetic.SETTINGS, **sizes})
        records = [
            make_record(
                cell=cell,
                pass_name="memory",
                metrics={"runtime_allocated_bytes": (of_torch + more) * MIB} if of_torch else {},
            )
            for cell, more in ((CELL, 0), (SECOND, -1))
        ]
        summary = summary_of(records, planned(CELL, SECOND), run)
        run = dataclasses.replace(run, machine={**run.machine, "memory_gib": gib})
        return dataclasses.replace(summary, run=run)

    return make


@pytest.mark.parametrize(
    ("gib", "cap", "of_torch", "expected"),
    [
        (4, None, 200, 3584),
        (4, 1024, 200, 824),
        (4, 1024, None, None),  # a run of an earlier version
        (4, 8192, 200, 3584),  # a cap above what the board has
        (4, 200, 200, None),
        (None, None, 200, None),
        (None, 1024, 200, 824),
        (0.25, None, 200, 128),
    ],
)
def test_a_step_may_use_what_the_cap_and_the_board_leave(limited, gib, cap, of_torch, expected):
    found = usable_memory(limited(gib, cap=cap, of_torch=of_torch))
    assert found == (expected and expected * MIB)


@pytest.mark.parametrize(("limit", "expected"), [(2048, 1536), (8192, 3584), (256, 128)])
def test_a_container_may_allow_less_than_the_board_has(limited, limit, expected):
    assert usable_memory(limited(4, cap=None, limit=limit)) == expected * MIB


@pytest.mark.parametrize(
    ("gib", "cap", "of_torch", "text"),
    [
        (
            4,
            None,
            200,
            "The share is of the 3.5 GiB that a step may use. The system and torch get ",
        ),
        (
            4,
            8192,
            200,
            "The share is of the 3.5 GiB that a step may use. The system and torch get ",
        ),
        (
            4,
            1024,
            200,
            "The share is of the 824 MiB that a step may use. That is the memory cap of 1 ",
        ),
        (4, 1024, None, "There is no share: the memory cap of 1 GiB counts what torch itself "),
        (None, None, 200, "There is no share: the memory of the board is not known."),
    ],
)
def test_the_page_says_what_its_shares_are_of(limited, gib, cap, of_torch, text):
    assert about_shares(limited(gib, cap=cap, of_torch=of_torch)).startswith(text)


def chip_of(summary, name):
    (found,) = (chip for chip in chips([summary], ["x86"], ["net, batch 2"]) if chip.name == name)
    return found


def test_a_machine_was_disturbed_or_not_or_nobody_knows(summary_of):
    timed = {"metrics": {"step_seconds": 1.0}, "samples": {"step_seconds": [1.0] * 6}}
    settings = {"measure": ["time"], "rounds": {"time": 1}, "interleaved": True}
    run = make_run(settings=settings)
    quiet = {**timed, "details": {"foreign_cpu_share": 0.0}}
    calm = summary_of([make_record(**quiet)], planned(CELL), run)
    chip = chip_of(calm, "machine")
    assert (chip.text, chip.tone) == ("no disturbance seen", "good")
    unwatched = summary_of([make_record(**timed)], planned(CELL), run)  # as from a baseline file
    chip = chip_of(unwatched, "machine")
    assert (chip.text, chip.tone) == ("disturbances not recorded", "plain")
    assert (unwatched.unwatched, calm.unwatched) == (NOT_WATCHED, "")
    record = make_record(**timed, details={"foreign_cpu_share": 0.9})
    busy = summary_of([record], planned(CELL, SECOND), run)
    assert chip_of(busy, "machine").text == "times of 1 of 1 cells disturbed"
    busy_too = {**timed, "details": {"foreign_cpu_share": 0.9}}
    lora = dataclasses.replace(CELL, id="net/lora/all/b2/s0", method="lora")
    for other, which in ((lora, "lora"), (SECOND, "1 of 2 cells")):
        both = [make_record(**quiet), make_record(cell=other, **busy_too)]
        busy = summary_of(both, planned(CELL, other), run)
        assert chip_of(busy, "machine").text == f"times of {which} disturbed"
    finding = {"level": "warning", "subject": "load", "said": "9", "effect": "slow", "cure": "top"}
    warned = dataclasses.replace(
        calm, run=dataclasses.replace(run, settings={**settings, "doctor": [finding]})
    )
    assert chip_of(warned, "machine").text == "1 warning before it measured"
    assert warned.warnings == ("load: 9: slow. What to do: top",)
    uneven = {**quiet, "samples": {"step_seconds": [1.0, 1.0, 1.0, 1.5, 1.5, 1.5]}}
    chip = chip_of(summary_of([make_record(**uneven)], planned(CELL), run), "machine")
    assert (chip.text, chip.tone) == (
        "no disturbance seen, but step times vary by 1.50×",
        "warning",
    )
    both = summary_of([make_record(**uneven)], planned(CELL), warned.run)
    assert chip_of(both, "machine").text == "1 warning before it measured, step times vary by 1.50×"
    caveats = notes(ReportData.from_summaries((both,)))["boards"][0][1]
    assert [who for who, _ in caveats] == [
        "this machine before it measured",
        "this machine while it measured",
    ]
    assert "no other program was seen meanwhile" in caveats[1][1]


def test_a_machine_on_which_nothing_was_measured_is_not_called_calm(summary_of):
    failed = make_record(status="failed", reason="MemoryError: no")
    for records in ([], [failed]):
        chip = chip_of(summary_of(records, planned(CELL)), "machine")
        assert (chip.text, chip.tone) == ("nothing measured yet", "plain")


def test_the_page_says_when_it_was_measured_how_long_and_of_which_code(summary_of):
    run = make_run(finished="2026-01-01T00:09:00+00:00", commit="0123456789")
    assert chip_of(summary_of([], planned(CELL), run), "when").text == (
        "2026-01-01, took 9 min, commit 0123456"
    )
    run = make_run(commit="nocommit")
    assert chip_of(summary_of([], planned(CELL), run), "when").text == "2026-01-01, unfinished"


def test_pending_cells_share_a_line_for_each_board_and_skipped_ones_for_each_reason():
    third = dataclasses.replace(CELL, id="net/lora/all/b2/s0", method="lora")
    cells = [
        PlannedCell(CELL, "pi5", "pending", "pending on pi5"),
        PlannedCell(SECOND, "pi5", "pending", "pending on pi5"),
        PlannedCell(third, "x86", "skipped", "no layer"),
    ]
    folds = unmeasured(cells)
    assert [fold.text for fold in folds] == [
        "skipped: net/lora/all/b2/s0: no layer",
        "pending on pi5: 2 cells: run this suite there",
    ]
    assert folds[1].cells == (CELL.id, SECOND.id)


@pytest.mark.parametrize(
    ("interleaved", "text"), [(True, "step time 5 %"), (False, "step time 10 %")]
)
def test_the_page_names_the_thresholds_of_what_its_run_measured(summary_of, interleaved, text):
    settings = {"measure": ["time"], "rounds": {"time": 1}, "interleaved": interleaved}
    record = make_record(metrics={"step_seconds": 1.0}, samples={"step_seconds": [1.0] * 6})
    summary = summary_of([record], planned(CELL), make_run(settings=settings))
    found = reading(ReportData.from_summaries((summary,)))
    # the run has no other metric that is judged, so the page names no other
    assert found["needs"] == f"{text} and 5 processes"
    assert (found["repeated"], found["has_ranks"], found["has_dashes"]) == (set(), False, True)
