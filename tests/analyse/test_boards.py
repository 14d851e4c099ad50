from dataclasses import replace

import pytest

from ondevice_bench.analyse.boards import NOT_PLANNED, boards
from ondevice_bench.analyse.differing_boards import differences, same_machine
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.report import synthetic


@pytest.fixture
def on(summary_of):
    def board(profile, slower=None, cells=None, **what):
        chosen = cells if cells is not None else synthetic.cells()
        run = synthetic.run_of(f"r-{profile}", profile=profile, **what)
        return summary_of(
            synthetic.records(chosen, run.id, slower), synthetic.planned(chosen, profile), run
        )

    return board


def test_ratios_within_a_board_and_between_boards(on):
    lines = boards(
        [on("x86"), on("pi5", dict.fromkeys(("vanilla", "asi", "wasi"), 4.0))], "step_seconds"
    )
    by_label = {line.cell.id: line for line in lines}
    wasi = by_label["mcunet/wasi(fraction=0.25)/all/b8/s0"]
    assert wasi.between.estimate == pytest.approx(4.0)
    assert [b.ratio.estimate for b in wasi.boards] == pytest.approx([0.52, 0.52])
    assert not wasi.disagrees
    checkpoint = by_label["mcunet/checkpoint/all/b8/s0"]
    assert checkpoint.disagrees  # 1.3 of vanilla here, 0.325 there
    assert checkpoint.directions == ("more", "less")


def test_what_a_board_has_not_measured_is_missing_with_the_reason(on, summary_of):
    cells = synthetic.cells()
    waiting = summary_of(
        [],
        [PlannedCell(cell, "pi5", "pending", "pending on pi5") for cell in cells],
        synthetic.run_of("r-pending", profile="pi5"),
    )
    line = boards([on("x86"), waiting], "step_seconds")[0]
    assert line.between is None
    assert line.boards[1].why_not == "pending on pi5"
    assert line.why_no_between == "the second board has no number: pending on pi5"
    short = boards([on("x86"), on("pi5", cells=cells[:1])], "step_seconds")[1]
    assert short.boards[1].why_not == short.boards[1].why_no_ratio == NOT_PLANNED


def test_a_forked_and_a_spawned_process_of_two_boards_are_not_compared(on, summary_of):
    cells = synthetic.cells()[:1]
    records = [replace(r, launch="spawned") for r in synthetic.records(cells, "r-pi5")]
    run = synthetic.run_of("r-pi5", profile="pi5")
    both = [on("x86", cells=cells), summary_of(records, synthetic.planned(cells, "pi5"), run)]
    (line,) = boards(both, "step_seconds")
    assert line.between is None
    assert line.why_no_between == "its processes were spawned, and those of the other board forked"
    assert boards(both, "activation_bytes")[0].between.estimate == 1.0


def test_what_differs_between_runs_is_named_with_its_kind(on):
    here = on("x86").run
    software = {**here.software, "torch": "3"}
    machine = {**here.machine, "threads": 1}
    there = on("pi5", software=software, machine=machine).run
    capped = replace(there, settings={**there.settings, "memory_cap_bytes": 2**31, "cpus": [0]})
    found = [(each.kind, each.name, each.values) for each in differences([here, capped])]
    assert found == [
        ("setup", "processors that the run used", ("unknown", "1 processor")),
        ("setup", "threads", ("2", "1")),
        ("setup", "memory cap", ("none", "2 GiB")),
        ("software", "torch", ("2", "3")),
    ]
    assert differences([here, here]) == ()


def test_two_runs_may_come_from_one_machine_unless_a_fact_or_the_unit_says_no(on):
    here = on("x86").run
    text = f"{here.machine['cpu']}, {here.machine['memory_gib']} GiB"

    def with_facts(**facts):
        return replace(here, profile="pi5", machine={**here.machine, **facts})

    assert same_machine([here, with_facts(threads=1)]) == text
    assert same_machine([with_facts(unit="a"), with_facts(unit="a")]) == text
    others = ({"memory_gib": 1}, {"cpu": "other"}, {"arch": "other"}, {"memory_gib": None})
    assert [same_machine([here, with_facts(**each)]) for each in others] == [""] * 4
    assert same_machine([with_facts(unit="a"), with_facts(unit="b")]) == ""
    assert same_machine([here]) == ""


def test_a_board_without_a_cell_moves_no_other_board(on):
    """The second board over the first one is not the third over the second."""
    cells = synthetic.cells()
    slow = dict.fromkeys(("vanilla", "asi"), 4.0)
    lines = boards(
        [on("x86", cells=cells[:1]), on("pi4", cells=cells), on("pi5", slow)], "step_seconds"
    )
    between = {line.cell.method: line.between for line in lines}
    assert between["vanilla"].estimate == pytest.approx(1.0)
    assert between["asi"] is None
