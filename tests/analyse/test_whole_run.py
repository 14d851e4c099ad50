"""A run that differs as a whole: simulated processes whose true factors are known."""

import dataclasses
import random

import pytest

from ondevice_bench.analyse.compare import compare
from ondevice_bench.errors import ExitCode
from ondevice_bench.report.gate.of_runs import outcome_of_runs
from ondevice_bench.report.terminal.comparison import comparison_notes, difference_line
from tests.record.conftest import CELL, make_run, planned, timed_records

ROUNDS, NOISE = 10, 0.015
METHODS = ("vanilla", "svd", "asi", "wasi", "lean")


def stored(name, factors):
    """A run, its cells and its records. They took these multiples of a second, with some noise."""
    noise = random.Random(name)
    cells = [
        dataclasses.replace(CELL, method=method, id=f"mcunet/{method}/all/b8/s0")
        for method in factors
    ]
    records = [
        record
        for cell, factor in zip(cells, factors.values(), strict=True)
        for record in timed_records(
            name, [factor * noise.gauss(1, NOISE) for _ in range(ROUNDS)], cell
        )
    ]
    settings = {"measure": ["time"], "rounds": ROUNDS, "baseline": "vanilla"}
    return make_run(name, settings=settings), planned(*cells), records


@pytest.fixture
def run(summary_of):
    """The summary of such a run."""

    def make(name, factors):
        run, cells, records = stored(name, factors)
        return summary_of(records, cells, run)

    return make


SAME = dict.fromkeys(METHODS, 1.0)
SLOW = dict.fromkeys(METHODS, 1.3)


@pytest.mark.parametrize(
    ("factors", "regressed", "is_whole", "code"),
    [
        (SAME, [], False, ExitCode.OK),
        (SLOW, [], True, ExitCode.INCONCLUSIVE),
        (SLOW | {"asi": 1.3 * 1.3}, ["asi"], True, ExitCode.REGRESSION),
        (SAME | {"asi": 1.3}, ["asi"], False, ExitCode.REGRESSION),
        # plain training is as fast as before: the methods are slower, not the machine
        (SLOW | {"vanilla": 1.0}, ["svd", "asi", "wasi", "lean"], False, ExitCode.REGRESSION),
        (dict.fromkeys(METHODS, 0.7), [], True, ExitCode.OK),
        # two cells have too little in common
        ({"vanilla": 1.3, "asi": 1.3}, ["vanilla", "asi"], False, ExitCode.REGRESSION),
    ],
)
def test_only_what_is_slower_than_the_whole_run_has_regressed(
    run, factors, regressed, is_whole, code
):
    found = compare(run("a", dict.fromkeys(factors, 1.0)), run("b", factors))
    assert [item.cell.split("/")[1] for item in found.with_verdict("regressed")] == regressed
    assert bool(found.whole_run) == is_whole
    assert found.exit_code() == code


def test_the_factor_of_the_whole_run_is_within_its_bounds_and_said(run):
    found = compare(run("a", SAME), run("b", SLOW))
    (whole,) = found.whole_run
    assert whole.lower <= 1.3 <= whole.upper
    assert (whole.cells, whole.of) == (5, 5)
    (line,) = [line for line in comparison_notes(found) if line.startswith("whole run: ")]
    assert "the step time of 5 of 5 cells is 1." in line
    assert "Perhaps the machine was slower" in line
    outcome = outcome_of_runs("bench compare", found, {"regressed"}, lambda cell, metric: None)
    assert outcome.sentence == (
        "Not decided: the whole run is worse in step time, plain training too"
    )
    for item in found.differences:
        assert item.ratio == pytest.approx(1.3, abs=0.03)
        assert item.reason in difference_line(item)
    assert {row.remark for row in outcome.rows} == {
        "the whole run changed like this, plain training too"
    }
    assert found.to_dict()["whole_run"][0]["cells"] == 5
