import dataclasses
from dataclasses import replace
from statistics import median

import pytest

from ondevice_bench.analyse.compare import claims_on, compare
from ondevice_bench.analyse.comparison import join_comparisons
from ondevice_bench.errors import ExitCode
from ondevice_bench.record.acceptance import Acceptance
from ondevice_bench.report.terminal.comparison import difference_line
from ondevice_bench.suite.cell import Cell
from ondevice_bench.units import ratio
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned, timed_records
from tests.summaries import of_rounds


@pytest.fixture
def run_with(summary_of):
    """A summary of a run whose cells have these activation bytes."""

    def make(name, values, **what):
        records = [
            make_record(name, cell=cell, pass_name="trace", metrics={"activation_bytes": float(v)})
            if v is not None
            else make_record(
                name, cell=cell, pass_name="trace", unavailable={"activation_bytes": "x"}
            )
            for cell, v in values.items()
        ]
        return summary_of(records, planned(*values), make_run(name, **what))

    return make


@pytest.mark.parametrize(
    ("base", "new", "verdict", "code"),
    [
        (100, 100, "unchanged", ExitCode.OK),
        (100, 101, "regressed", ExitCode.REGRESSION),
        (100, 99, "improved", ExitCode.OK),
        (100, None, "missing", ExitCode.INCONCLUSIVE),
    ],
)
def test_an_exact_metric_is_judged_by_equality(run_with, base, new, verdict, code):
    found = compare(run_with("a", {CELL: base}), run_with("b", {CELL: new}))
    (difference,) = found.differences
    assert difference.verdict == verdict
    assert difference.reason == ("x" if new is None else "")  # what the run says of it
    assert found.exit_code() == code


def test_a_regression_outweighs_what_is_missing(run_with):
    found = compare(
        run_with("a", {CELL: 100, SECOND: 100}), run_with("b", {CELL: 101, SECOND: None})
    )
    assert found.exit_code() == ExitCode.REGRESSION


def test_unlike_workloads_are_named_never_compared(run_with):
    other = dataclasses.replace(CELL, seed=9, id="mcunet/vanilla/all/b8/s9")
    found = compare(run_with("a", {CELL: 100}), run_with("b", {other: 1}))
    assert found.differences == ()
    assert found.only_in_base == (CELL.id,)
    assert found.only_in_new == (other.id,)
    assert found.exit_code() == ExitCode.INCONCLUSIVE


def test_equal_workloads_are_joined_even_if_an_id_was_renamed(run_with):
    renamed = dataclasses.replace(CELL, id="net/vanilla/all/b8/s0")
    found = compare(run_with("a", {CELL: 100}), run_with("b", {renamed: 100}))
    assert [d.verdict for d in found.differences] == ["unchanged"]


def test_a_cell_that_is_new_is_no_regression(run_with):
    found = compare(run_with("a", {CELL: 100}), run_with("b", {CELL: 100, SECOND: 5}))
    assert found.exit_code() == ExitCode.OK
    assert found.only_in_new == (SECOND.id,)


def test_a_base_that_measured_nothing_never_looks_green(run_with):
    found = compare(run_with("a", {CELL: None}), run_with("b", {CELL: 100}))
    assert found.exit_code() == ExitCode.INCONCLUSIVE


@pytest.fixture
def timed(summary_of):
    """A run whose one cell has these step times, one a round."""

    def make(name, steps, units="", **what):
        settings = {"measure": ["time"], "rounds": len(steps), "baseline": "vanilla"}
        records = timed_records(name, steps)
        if units:  # the boards of a fleet
            records = [
                replace(record, details={"unit": unit})
                for record, unit in zip(records, units, strict=True)
            ]
        return summary_of(records, planned(CELL), make_run(name, settings=settings, **what))

    return make


STEADY = [1.0, 1.01, 0.99, 1.005, 0.995, 1.002, 0.998, 1.0]


@pytest.mark.parametrize(
    ("factor", "verdict", "code"),
    [
        (1.0, "unchanged", ExitCode.OK),
        (1.2, "regressed", ExitCode.REGRESSION),
        (0.8, "improved", ExitCode.OK),
        (1.05, "inconclusive", ExitCode.OK),
    ],
)
def test_a_noisy_metric_is_judged_by_its_rounds(timed, factor, verdict, code):
    found = compare(timed("a", STEADY), timed("b", [factor * value for value in STEADY]))
    (difference,) = found.differences
    assert difference.verdict == verdict
    assert difference.lower < factor < difference.upper
    assert found.exit_code() == code
    strict = found.exit_code({"regressed", "inconclusive"})
    assert strict == (ExitCode.INCONCLUSIVE if verdict == "inconclusive" else code)


def test_too_few_rounds_decide_nothing_and_say_how_many_would(timed):
    found = compare(timed("a", [1.0]), timed("b", [9.0]))
    (difference,) = found.differences
    assert difference.verdict == "inconclusive"
    assert difference.reason == "1 and 1 processes measured it; 4 each are needed"


@pytest.mark.parametrize(
    ("disturbed", "verdict", "reason"),
    [
        (
            8,
            "inconclusive",
            "8 and 0 undisturbed processes measured it; 4 each are needed",
        ),
        (2, "unchanged", ""),
        (0, "regressed", ""),
    ],
)
def test_what_slowed_a_process_from_outside_is_no_change(
    summary_of, timed, disturbed, verdict, reason
):
    """Processes of the new run were slow. What the records say of others decides what that means."""
    slow = [1.3] * (disturbed or 8) + STEADY[disturbed or 8 :]
    records = [
        dataclasses.replace(
            each, details={"foreign_cpu_share": 0.5 if each.key.round <= disturbed else 0.0}
        )
        for each in timed_records("b", slow)
    ]
    new = summary_of(records, planned(CELL), dataclasses.replace(timed("a", STEADY).run, id="b"))
    (difference,) = compare(timed("a", STEADY), new).differences
    assert (difference.verdict, difference.reason) == (verdict, reason)
    assert difference.new == median(slow[disturbed % 8 :])
    swapped = compare(new, timed("a", STEADY))
    assert swapped.counts["improved"] == (verdict == "regressed")


def test_the_ratio_lies_in_its_interval_where_that_of_the_medians_does_not(timed):
    """Two speeds of a machine: the medians are those of the slow base and of the quick new one."""
    base, new = [1.0] * 11 + [1.3] * 9, [0.8] * 9 + [1.02] * 11
    (difference,) = compare(timed("a", base), timed("b", new)).differences
    assert difference.new / difference.base == 1.02
    assert difference.lower <= difference.ratio <= difference.upper < 1.02
    assert f"{ratio(difference.ratio)}, " in difference_line(difference)


def test_another_machines_times_are_not_compared(timed):
    elsewhere = {**make_run().machine, "cpu": "another"}
    found = compare(timed("a", STEADY), timed("b", STEADY, machine=elsewhere))
    assert found.differences == ()
    assert found.not_compared == "times and memory were measured on different machines (cpu)"
    assert found.exit_code() == ExitCode.INCONCLUSIVE


@pytest.mark.parametrize(
    ("one", "other", "is_compared"),
    [("", "a", True), ("a", "", True), ("a", "a", True), ("a", "b", False)],
)
def test_times_of_two_units_are_not_compared(timed, one, other, is_compared):
    """A run that was not measured over ssh knows no unit."""
    machines = [{**make_run().machine, **({"unit": unit} if unit else {})} for unit in (one, other)]
    runs = (timed(n, STEADY, machine=machine) for n, machine in zip("ab", machines, strict=True))
    assert (compare(*runs).not_compared == "") == is_compared


@pytest.mark.parametrize(
    ("base", "new", "is_compared"),
    [
        ("abab", "abab", True),
        ("abab", "baba", True),
        ("aaaa", "aaa", True),
        ("aaaa", "bbbb", False),
        ("abab", "aaab", False),
        ("abab", "----", False),  # one machine
        ("aaaa", "----", True),  # perhaps the same machine
    ],
)
def test_rounds_of_a_fleet_are_not_compared_with_those_on_other_boards(
    timed, base, new, is_compared
):
    """Boards of one profile differ, and a run of a fleet has no unit of its own."""
    pace = {"a": 1.0, "b": 1.5, "-": 1.0}
    one, other = (
        timed(name, [pace[unit] for unit in units], units=units.replace("-", ""))
        for name, units in (("r1", base), ("r2", new))
    )
    (found,) = compare(one, other).differences
    assert ("the base was measured on other boards" not in found.reason) == is_compared
    if not is_compared:
        assert found.verdict == "inconclusive"


def test_a_time_that_is_missing_is_said(timed, summary_of):
    untimed = make_record("b", unavailable={"step_seconds": "x"})
    broken = summary_of([untimed], planned(CELL), make_run("b"))
    found = compare(timed("a", STEADY), broken)
    assert [item.verdict for item in found.differences] == ["missing"]
    assert found.exit_code() == ExitCode.INCONCLUSIVE


def test_what_differs_around_the_runs_is_named_as_a_possible_cause(run_with):
    newer = {**make_run().software, "torch": "3"}
    found = compare(run_with("a", {CELL: 100}), run_with("b", {CELL: 101}, software=newer))
    assert found.unlike == ("software torch: 2 → 3",)
    assert found.exit_code() == 4


def test_other_processors_and_another_cap_are_named_as_possible_causes(run_with):
    """The processors of a board may have two speeds. A run of long ago says nothing of them."""
    one, other, old = (
        run_with(name, {CELL: 100}, settings={**make_run().settings, **settings})
        for name, settings in (
            ("a", {"cpus": [0, 1], "memory_cap_bytes": None}),
            ("b", {"cpus": [2, 3], "memory_cap_bytes": 2**30}),
            ("c", {}),
        )
    )
    assert compare(one, other).unlike == (
        "setting cpus: 0, 1 → 2, 3",
        "setting memory_cap_bytes: None → 1073741824",
    )
    assert compare(one, one).unlike == compare(old, other).unlike == ()


def test_what_kernels_decide_is_compared_only_where_they_are_the_same(summary_of):
    def live(name, value, **what):
        metrics = {"forward_live_peak_bytes": value, "activation_bytes": 1.0}
        record = make_record(name, pass_name="trace", metrics=metrics)
        return summary_of([record], run=make_run(name, **what))

    base = live("r1", 100.0)
    assert compare(base, live("r2", 120.0)).with_verdict("regressed")
    other = {**make_run().software, "torch_blas": "open"}
    elsewhere = compare(base, live("r3", 120.0, software=other))
    assert [item.metric for item in elsewhere.differences] == ["activation_bytes"]
    assert elsewhere.of_other_kernels == ("forward_live_peak_bytes",)
    assert compare(base, live("r4", 120.0)).of_other_kernels == ()
    one_thread = {**make_run().machine, "threads": 1}  # a kernel may allocate for each thread
    threads = compare(base, live("r5", 120.0, machine=one_thread))
    assert threads.of_other_kernels == ("forward_live_peak_bytes",)


@pytest.mark.parametrize(
    ("factor", "in_turn", "in_one_go"),
    [
        (1.0, "unchanged", "unchanged"),
        (1.08, "regressed", "unchanged"),
        (1.2,) + ("regressed",) * 2,
    ],
)
def test_where_a_run_was_not_interleaved_more_counts_as_noise(timed, factor, in_turn, in_one_go):
    base, steps = timed("a", STEADY), [factor * value for value in STEADY]
    for origin, verdict in (("run", in_turn), ("pytest", in_one_go)):
        found = compare(base, timed("b", steps, origin=origin))
        assert [item.verdict for item in found.differences] == [verdict]
        assert found.not_interleaved == (("b",) if origin == "pytest" else ())


@pytest.mark.parametrize(
    ("repeated", "verdicts", "named"),
    [
        ((), ["regressed"] * 2, ()),
        ((SECOND,), ["regressed", "unchanged"], (f"b: {SECOND.id}",)),
        ((CELL, SECOND), ["regressed"] * 2, ()),  # they alternated tomorrow
    ],
)
def test_a_cell_that_was_repeated_alone_is_not_interleaved(summary_of, repeated, verdicts, named):
    def measured(name, factor, tomorrow=()):
        records = [
            make_record(
                name,
                cell=cell,
                number=number,
                samples={"step_seconds": [factor * value]},
                started=f"2026-01-0{1 + (cell in tomorrow)}T10:{number:02}:00+00:00",
            )
            for cell in (CELL, SECOND)
            for number, value in enumerate(STEADY, start=1)
        ]
        return summary_of(records, planned(CELL, SECOND), make_run(name))

    base, new = measured("a", 1.0), measured("b", 1.08, repeated)
    found = compare(base, new)
    assert [item.verdict for item in found.differences] == verdicts
    assert found.not_interleaved == named
    parts = [  # as pytest compares them
        compare(
            dataclasses.replace(base, cells=(before,)),
            dataclasses.replace(new, cells=(after,)),
            claims=claims_on(base.cells),
        )
        for before, after in zip(base.cells, new.cells, strict=True)
    ]
    assert join_comparisons(parts) == found


@pytest.mark.parametrize(
    ("is_fleet", "repeated", "verdict"),
    [
        (False, (), "regressed"),
        (False, (8,), "unchanged"),  # the last round: none comes after it
        (True, (), "regressed"),
        (True, (3,), "unchanged"),  # each board has one round
        (True, range(1, 9), "unchanged"),
    ],
)
def test_what_was_repeated_on_another_day_is_not_interleaved(
    summary_of, is_fleet, repeated, verdict
):
    """`--retry` of one cell, on one machine or on a fleet. The cell is 8 % slower than before."""

    def measured(name, factor, tomorrow=()):
        records = [
            make_record(
                name,
                cell=cell,
                number=number,
                samples={"step_seconds": [(factor if cell is SECOND else 1.0) * value]},
                details={"unit": f"unit-{number}"} if is_fleet else {},
                started=f"2026-01-0{1 + (cell is SECOND and number in tomorrow)}"
                f"T10:{number:02}:00+00:00",
            )
            for cell in (CELL, SECOND)
            for number, value in enumerate(STEADY, start=1)
        ]
        return summary_of(records, planned(CELL, SECOND), make_run(name))

    found = compare(measured("a", 1.0), measured("b", 1.08, repeated))
    assert [item.verdict for item in found.differences] == ["unchanged", verdict]
    assert found.not_interleaved == ((f"b: {SECOND.id}",) if repeated else ())


def test_exact_metrics_do_not_care_for_the_order_of_a_run(run_with):
    found = compare(run_with("a", {CELL: 100}), run_with("b", {CELL: 101}, origin="pytest"))
    assert [item.verdict for item in found.differences] == ["regressed"]
    assert found.not_interleaved == ()


def test_what_is_compared_cell_by_cell_is_what_is_compared_at_once(summary_of):
    def both(name, factor):
        records = [
            make_record(
                name,
                cell=cell,
                number=number,
                metrics={"step_seconds": value, "inference_seconds": value},
                samples={n: [value] for n in ("step_seconds", "inference_seconds")},
            )
            for cell in (CELL, SECOND)
            for number, value in enumerate((factor * one for one in STEADY), start=1)
        ]
        return summary_of(records, planned(CELL, SECOND), make_run(name))

    base, new = both("a", 1.0), both("b", 1.07)
    claims = claims_on(base.cells)
    assert claims == 4
    parts = [
        compare(
            dataclasses.replace(base, cells=(before,)),
            dataclasses.replace(new, cells=(after,)),
            claims=claims,
        )
        for before, after in zip(base.cells, new.cells, strict=True)
    ]
    assert join_comparisons(parts) == compare(base, new)


def test_cells_under_two_allocators_are_never_compared(run_with):
    other = dataclasses.replace(CELL, allocator="tcmalloc", id="mcunet/vanilla/all/b8/tcmalloc/s0")
    found = compare(run_with("a", {CELL: 100, other: 90}), run_with("b", {CELL: 100, other: 90}))
    assert [(d.cell, d.verdict) for d in found.differences] == [
        (CELL.id, "unchanged"),
        (other.id, "unchanged"),
    ]
    assert compare(run_with("a", {CELL: 100}), run_with("b", {other: 100})).differences == ()


# versions of the user's code

OLD = Cell(id="net.py:net@aaaaaaaa/vanilla/all/b1/s0", model="net.py:net@aaaaaaaa",
           method="vanilla", batch=1)  # fmt: skip
NEW = dataclasses.replace(OLD, id=OLD.id.replace("a" * 8, "b" * 8), model="net.py:net@bbbbbbbb")


def test_an_edit_of_the_models_file_is_a_version_of_the_code_and_is_judged(run_with):
    base, new = run_with("a", {OLD: 100}), run_with("b", {NEW: 101})
    found = compare(base, new)
    assert [item.verdict for item in found.differences] == ["regressed"]
    assert (found.only_in_base, found.only_in_new) == ((), ())
    assert {str(change): n for change, n in found.code_changes.items()} == {
        "net.py changed (aaaaaaaa → bbbbbbbb)": 1
    }
    assert found.exit_code() == ExitCode.REGRESSION
    strict = compare(base, new, same_code=True)
    assert strict.differences == ()
    assert strict.counts["missing"] == 1  # not "0 missing" beside a cell that is gone
    assert strict.exit_code() == ExitCode.INCONCLUSIVE


def test_two_versions_in_one_run_are_named_and_never_compared_with_a_third(run_with):
    third = dataclasses.replace(
        OLD, id=OLD.id.replace("a" * 8, "c" * 8), model="net.py:net@cccccccc"
    )
    found = compare(run_with("a", {OLD: 100, NEW: 90}), run_with("b", {third: 100}))
    assert found.differences == ()
    assert set(found.ambiguous) == {OLD.id, NEW.id, third.id}
    assert found.counts["missing"] == 2
    assert found.exit_code() == ExitCode.INCONCLUSIVE


# what somebody accepted


def accepting(summary, metric, *values):
    line = Acceptance(CELL.id, metric, values, "Ada", "a second head")
    return dataclasses.replace(summary, accepted=(line,))


@pytest.mark.parametrize(
    ("new", "verdict", "base"),
    [
        (110, "accepted", 100),
        (111, "regressed", 110),
        (109, "improved", 110),
        (100, "improved", 110),
    ],
)
def test_an_exact_change_is_accepted_for_that_value_alone(run_with, new, verdict, base):
    found = compare(
        accepting(run_with("a", {CELL: 100}), "activation_bytes", 110.0), run_with("b", {CELL: new})
    )
    (difference,) = found.differences
    assert (difference.verdict, difference.base, difference.new) == (verdict, base, new)
    assert difference.accepted == "accepted by Ada: a second head"
    assert found.exit_code() == (4 if verdict == "regressed" else 0)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.2, "accepted"), (1.5, "regressed"), (1.0, "improved")]
)
def test_a_noisy_change_is_accepted_within_its_noise(timed, factor, verdict):
    base = accepting(timed("a", STEADY), "step_seconds", *[1.2 * value for value in STEADY])
    (difference,) = compare(base, timed("b", [factor * value for value in STEADY])).differences
    assert difference.verdict == verdict


def test_what_is_accepted_in_another_cell_or_metric_changes_nothing(run_with):
    other = accepting(run_with("a", {CELL: 100}), "step_flops", 110.0)
    assert compare(other, run_with("b", {CELL: 110})).with_verdict("regressed")


# how processes were started


def test_times_of_forked_and_spawned_processes_are_never_compared(summary_of):
    sides = [
        of_rounds(summary_of, name, *["ok"] * 8, launch=launch)
        for name, launch in (("a", "forked"), ("b", "spawned"))
    ]
    (difference,) = compare(*sides).differences
    assert difference.verdict == "inconclusive"
    assert (difference.lower, difference.upper, difference.rounds_needed) == (None, None, None)
    assert "forked in the base and spawned in the new run" in difference.reason
    assert compare(*sides).exit_code({"inconclusive"}) == ExitCode.INCONCLUSIVE
    (alike,) = compare(sides[0], sides[0]).differences
    assert alike.verdict == "unchanged"
