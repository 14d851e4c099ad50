import dataclasses

import pytest

from bench.analyse.compare import compare
from bench.errors import ExitCode
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned


@pytest.fixture
def run_with(summary_of):
    """A summary of a run whose cells have these activation bytes."""

    def make(name, values, **what):
        records = [
            make_record(name, cell=cell, pass_name="trace", metrics={"activation_bytes": float(v)})
            if v is not None
            else make_record(name, cell=cell, pass_name="trace", status="failed", reason="x")
            for cell, v in values.items()
        ]
        return summary_of(records, planned(*values), make_run(name, **what))

    return make


@pytest.mark.parametrize(
    ("base", "new", "verdict", "code"),
    [
        (100, 100, "same", ExitCode.OK),
        (100, 101, "worse", ExitCode.REGRESSION),
        (100, 99, "better", ExitCode.OK),
        (100, None, "missing", ExitCode.INCONCLUSIVE),
    ],
)
def test_an_exact_metric_is_judged_by_equality(run_with, base, new, verdict, code):
    found = compare(run_with("a", {CELL: base}), run_with("b", {CELL: new}))
    assert [d.verdict for d in found.differences] == [verdict]
    assert found.exit_code == code


def test_a_regression_outweighs_what_is_missing(run_with):
    found = compare(
        run_with("a", {CELL: 100, SECOND: 100}), run_with("b", {CELL: 101, SECOND: None})
    )
    assert found.exit_code == ExitCode.REGRESSION


def test_unlike_workloads_are_named_never_compared(run_with):
    other = dataclasses.replace(CELL, seed=9, id="mcunet/vanilla/all/b8/s9")
    found = compare(run_with("a", {CELL: 100}), run_with("b", {other: 1}))
    assert found.differences == ()
    assert found.only_in_base == (CELL.id,)
    assert found.only_in_new == (other.id,)
    assert found.exit_code == ExitCode.INCONCLUSIVE


def test_equal_workloads_are_joined_even_if_an_id_was_renamed(run_with):
    renamed = dataclasses.replace(CELL, id="another name")
    found = compare(run_with("a", {CELL: 100}), run_with("b", {renamed: 100}))
    assert [d.verdict for d in found.differences] == ["same"]


def test_a_cell_that_is_new_is_no_regression(run_with):
    found = compare(run_with("a", {CELL: 100}), run_with("b", {CELL: 100, SECOND: 5}))
    assert found.exit_code == ExitCode.OK
    assert found.only_in_new == (SECOND.id,)


def test_a_base_that_measured_nothing_never_looks_green(run_with):
    found = compare(run_with("a", {CELL: None}), run_with("b", {CELL: 100}))
    assert found.exit_code == ExitCode.INCONCLUSIVE


def test_noisy_metrics_are_left_to_other_verbs(summary_of):
    runs = [
        summary_of(
            [make_record(name, metrics={"step_seconds": value})], planned(CELL), make_run(name)
        )
        for name, value in (("a", 1.0), ("b", 9.0))
    ]
    assert compare(*runs).differences == ()


def test_what_differs_around_the_runs_is_named_as_a_possible_cause(run_with):
    newer = {**make_run().software, "torch": "3"}
    found = compare(run_with("a", {CELL: 100}), run_with("b", {CELL: 101}, software=newer))
    assert found.unlike == ("software torch: 2 → 3",)
    assert found.to_json()["exit_code"] == 4


def test_what_kernels_decide_is_compared_only_where_they_are_the_same(summary_of):
    def live(name, value, **what):
        metrics = {"forward_live_peak_bytes": value, "activation_bytes": 1.0}
        record = make_record(name, pass_name="trace", metrics=metrics)
        return summary_of([record], run=make_run(name, **what))

    base = live("r1", 100.0)
    assert compare(base, live("r2", 120.0)).of("worse")
    other = {**make_run().software, "torch_blas": "open"}
    elsewhere = compare(base, live("r3", 120.0, software=other))
    assert [item.metric for item in elsewhere.differences] == ["activation_bytes"]
