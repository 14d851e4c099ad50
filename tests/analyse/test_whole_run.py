"""A slower machine and a slower method, in simulated runs of which the truth is known."""

import random

import pytest

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import compare
from ondevice_bench.analyse.whole_run import judged_as_whole
from ondevice_bench.errors import ExitCode
from tests.record.conftest import make_record
from tests.report import synthetic

ROUNDS, NOISE, SWING = 10, 0.005, 0.03
CELLS = synthetic.cells()[:4]  # vanilla and three methods
VANILLA, FIRST, *_ = CELLS
LARGE = synthetic.cells(batch=16)[:3]  # another baseline, with two methods


def simulated(
    summary_of, name, *, machine=1.0, slower=(), cells=CELLS, metric="step_seconds", noise=NOISE
):
    """A run with known truth: the machine's factor, and those of single cells.

    Rounds alternate, and the machine swings from round to round: all cells of a round share this.
    """
    dice = random.Random(name)
    swings = [1 + dice.uniform(-SWING, SWING) / 2 for _ in range(ROUNDS)]
    records = [
        make_record(
            name,
            cell=cell,
            number=number,
            pass_name=metrics.BY_NAME[metric].pass_name,
            samples={metric: [(1 + place) * machine * dict(slower).get(cell, 1.0) * swing
                              * dice.gauss(1, noise)]},
            started=f"2026-01-01T10:{number:02}:{place:02}+00:00",
        )
        for number, swing in enumerate(swings, 1)
        for place, cell in enumerate(cells)
    ]  # fmt: skip
    return summary_of(records, synthetic.planned(list(cells)), synthetic.run_of(name))


def judged(summary_of, **truth):
    cells = {key: truth.pop(key) for key in ("cells", "metric", "noise") if key in truth}
    sides = simulated(summary_of, "a", **cells), simulated(summary_of, "b", **cells, **truth)
    return judged_as_whole(compare(*sides), *sides)


def verdicts(found):
    return {item.cell: item.verdict for item in found.differences}


@pytest.mark.parametrize("metric", ["step_seconds", "inference_seconds"])
@pytest.mark.parametrize("machine", [1.15, 1.3, 2.0])
def test_a_slower_machine_is_no_slower_method(summary_of, machine, metric):
    found = judged(summary_of, machine=machine, metric=metric)
    assert set(verdicts(found).values()) == {"inconclusive"}
    (change,) = found.whole_run
    assert (change.metric, change.cells) == (metric, len(CELLS))
    assert change.lowest <= change.ratio <= change.highest
    assert change.ratio == pytest.approx(machine, rel=0.03)
    assert found.exit_code() == ExitCode.INCONCLUSIVE
    assert found.exit_code(set()) == ExitCode.OK
    reasons = {item.cell: item.reason for item in found.differences}
    assert reasons[VANILLA.id].startswith("the whole run is slower")
    assert reasons[FIRST.id].startswith("as much slower as vanilla")


@pytest.mark.parametrize("machine", [1.0, 0.8, 1.3])
def test_a_slower_method_regresses_on_any_machine(summary_of, machine):
    """Twice as slow. If the machine is slower, too, all others are not called regressed."""
    found = judged(summary_of, machine=machine, slower={FIRST: 2.0}.items())
    assert [cell for cell, verdict in verdicts(found).items() if verdict == "regressed"] == [
        FIRST.id
    ]
    assert found.exit_code() == ExitCode.REGRESSION
    assert bool(found.whole_run) == (machine > 1)


def test_a_slower_baseline_alone_regresses(summary_of):
    found = judged(summary_of, slower={VANILLA: 1.3}.items())
    assert verdicts(found)[VANILLA.id] == "regressed"
    assert not found.whole_run
    assert found.exit_code() == ExitCode.REGRESSION


def test_one_slower_workload_is_no_slower_machine(summary_of):
    """Its baseline regressed, and the methods are as much slower as it is."""
    found = judged(
        summary_of, cells=[*CELLS, *LARGE], slower=[(cell, 1.3) for cell in CELLS]
    )  # fmt: skip
    by_cell = verdicts(found)
    assert by_cell[VANILLA.id] == "regressed"
    assert {by_cell[cell.id] for cell in CELLS[1:]} == {"inconclusive"}
    assert {by_cell[cell.id] for cell in LARGE} == {"unchanged"}
    assert not found.whole_run
    assert found.exit_code() == ExitCode.REGRESSION


def test_workloads_that_are_slower_by_other_factors_are_no_slower_machine(summary_of):
    slower = [*((cell, 1.3) for cell in CELLS), *((cell, 2.0) for cell in LARGE)]
    found = judged(summary_of, cells=[*CELLS, *LARGE], slower=slower)
    assert not found.whole_run
    assert {verdicts(found)[cell.id] for cell in (VANILLA, LARGE[0])} == {"regressed"}
    assert found.exit_code() == ExitCode.REGRESSION
    alike = judged(summary_of, cells=[*CELLS, *LARGE], machine=1.3)
    assert alike.whole_run
    assert alike.exit_code() == ExitCode.INCONCLUSIVE


def test_a_baseline_alone_shows_nothing_of_the_machine(summary_of):
    found = judged(summary_of, cells=[VANILLA], machine=1.3)
    assert verdicts(found) == {VANILLA.id: "regressed"}
    assert found.exit_code() == ExitCode.REGRESSION


def test_more_memory_is_never_the_machine(summary_of):
    """No slower machine takes more memory."""
    found = judged(summary_of, machine=1.3, metric="peak_rss_over_runtime_bytes")
    assert set(verdicts(found).values()) == {"regressed"}
    assert not found.whole_run


def test_equal_runs_stay_as_they_were(summary_of):
    sides = simulated(summary_of, "a"), simulated(summary_of, "b")
    found = compare(*sides)
    assert judged_as_whole(found, *sides) == found
    assert found.exit_code() == ExitCode.OK


def test_what_nothing_shows_is_not_called_slower(summary_of):
    """The ratio to vanilla is too noisy to tell: not decided, and never green."""
    found = judged(summary_of, machine=1.6, noise=0.06)
    assert "regressed" not in verdicts(found).values()
    assert found.exit_code() == ExitCode.INCONCLUSIVE


# a machine that is always busy


@pytest.mark.parametrize(
    ("noise", "decided", "blind", "code"),
    [(0.005, 4, False, ExitCode.OK), (0.5, 0, True, ExitCode.INCONCLUSIVE)],
)
def test_a_gate_that_sees_nothing_is_not_green(summary_of, noise, decided, blind, code):
    found = judged(summary_of, noise=noise)
    assert (found.decided.cells, found.decided.of) == (decided, 4)
    assert found.decided.is_blind == blind
    assert found.exit_code() == code
    assert found.exit_code(set()) == ExitCode.OK
    assert found.to_dict()["decided"] == {"cells": decided, "of": 4}


def test_a_suite_with_few_rounds_asks_for_no_verdict_on_times(summary_of, monkeypatch):
    monkeypatch.setattr("tests.analyse.test_whole_run.ROUNDS", 2)
    found = judged(summary_of)
    assert (found.decided.cells, found.decided.is_blind) == (0, False)
    assert found.exit_code() == ExitCode.OK
