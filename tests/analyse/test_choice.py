"""What a choice proves: by the interval and the number of processes."""

import pytest

from ondevice_bench.analyse.choice import (
    choose,
    choose_about_as_fast,
    direction,
    proven_direction,
)
from ondevice_bench.analyse.groups import apart_notes, groups
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.goal import Goal
from tests.record.conftest import make_record
from tests.report import synthetic


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (0.5, 0.9, "less"),
        (0.9, 0.96, "unknown"),  # it crosses the threshold of 5 %
        (1.06, 1.2, "more"),
        (0.97, 1.03, "same"),
        (0.5, 2.0, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_a_claim_needs_the_whole_interval_beyond_the_threshold(lower, upper, expected):
    assert (
        proven_direction(Estimate(1.0, lower, upper, ""), "step_seconds", processes=5) == expected
    )
    assert proven_direction(None, "step_seconds", processes=5) == "unknown"


@pytest.mark.parametrize(("metric", "needed"), [("step_seconds", 5), ("peak_rss_bytes", 3)])
def test_a_claim_needs_several_processes_however_narrow_the_samples_of_one(metric, needed):
    clear = Estimate(0.5, 0.49, 0.51, "")
    assert proven_direction(clear, metric, needed - 1) == "unknown"
    assert proven_direction(clear, metric, needed) == "less"


def test_exact_figures_differ_by_any_amount():
    assert proven_direction(Estimate(0.999, 0.999, 0.999, "exact"), "activation_bytes", 1) == "less"
    assert proven_direction(Estimate(1.0, 1.0, 1.0, "exact"), "activation_bytes", 1) == "same"


def of_paces(summary_of, *paces, peaks=()):
    """Two cells with these step times, one for each process, and these peaks in three processes."""
    cells = synthetic.cells()[:2]
    records = [
        make_record(
            cell=cell,
            number=number,
            metrics={"step_seconds": value},
            samples={"step_seconds": [value]},
        )
        for cell, values in zip(cells, paces, strict=True)
        for number, value in enumerate(values, 1)
    ]
    records += [
        make_record(
            cell=cell, number=n, pass_name="memory", metrics={"peak_rss_over_runtime_bytes": peak}
        )
        for cell, peak in zip(cells, peaks, strict=False)
        for n in (1, 2, 3)
    ]
    return summary_of(records, synthetic.planned(cells), synthetic.run_of())


def test_a_method_that_is_surely_above_the_baseline_is_not_called_unclear(summary_of):
    """1.02 to 1.06 of the baseline: it is not proven to differ by 5 %, but it is not lower."""
    (group,) = groups(of_paces(summary_of, (1.0,) * 5, (1.02, 1.03, 1.04, 1.05, 1.06)))
    found = choose(group.members[1:], "step_seconds")
    assert (direction(group.members[1], "step_seconds"), found.unclear) == ("unknown", ())


@pytest.mark.parametrize(
    ("values", "is_candidate"),
    [((0.96, 0.97, 0.98, 0.99, 1.0), False), ((0.93, 0.97, 0.98, 0.99, 1.0), True)],
)
def test_a_method_that_is_lower_by_the_threshold_at_most_is_no_candidate(
    summary_of, values, is_candidate
):
    (group,) = groups(of_paces(summary_of, (1.0,) * 5, values))
    found = choose(group.members[1:], "step_seconds")
    assert (found.member is not None) == is_candidate


@pytest.mark.parametrize(
    ("values", "is_candidate"),
    [((1.05, 1.2, 1.3, 1.3, 1.4), True), ((1.11, 1.2, 1.3, 1.3, 1.4), False)],
)
def test_noise_may_hide_that_a_step_is_short_enough(summary_of, values, is_candidate):
    """Then nobody knows whether the method is the answer. It is not known to be none."""
    (group,) = groups(of_paces(summary_of, (1.0,) * 5, values, peaks=(100.0, 50.0)))
    found = choose_about_as_fast(group.members[1:], "vanilla")
    assert (found.member, found.unclear) == (None, group.members[1:] if is_candidate else ())
    assert found.missing.startswith("noise hides whether") == is_candidate


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    ("processes", "disturbed", "expected"),
    [(5, 0, "less"), (5, 1, "unknown"), (6, 1, "less"), (7, 3, "unknown")],
)
def test_a_disturbed_process_does_not_count_for_a_proof(
    summary_of, side, processes, disturbed, expected
):
    """If others disturbed all processes of the baseline, any method would look faster."""
    cells = synthetic.cells()[:2]
    records = [
        make_record(
            cell=cell,
            number=number,
            samples={"step_seconds": [pace * (1 + 0.001 * number)]},
            details={"foreign_cpu_share": 0.9 if place == side and number <= disturbed else 0.01},
        )
        for place, (cell, pace) in enumerate(zip(cells, (1.0, 0.8), strict=True))
        for number in range(1, processes + 1)
    ]
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    found = choose(group.members[1:], "step_seconds")
    assert direction(group.members[1], "step_seconds") == expected
    assert (found.proof == "proven") == (expected == "less")
    clean = processes - disturbed
    assert expected == "less" or found.missing.startswith(
        f"only {clean} of {processes} processes of each side were not disturbed, and a proof needs 5"
    )


@pytest.mark.parametrize(("interleaved", "proof"), [(True, "proven"), (False, "not proven")])
def test_a_drift_may_hide_that_a_step_is_too_long(summary_of, interleaved, proof):
    cells = synthetic.cells()[:2]
    peaks = [
        make_record(
            cell=cell, number=n, pass_name="memory", metrics={"peak_rss_over_runtime_bytes": peak}
        )
        for cell, peak in zip(cells, (100.0, 50.0), strict=True)
        for n in (1, 2, 3)
    ]
    run = synthetic.run_of(settings={**synthetic.SETTINGS, "interleaved": interleaved})
    steps = [
        make_record(cell=cell, number=number, samples={"step_seconds": [pace]})
        for cell, pace in zip(cells, (1.0, 1.07), strict=True)
        for number in range(1, 6)
    ]
    (group,) = groups(summary_of([*peaks, *steps], synthetic.planned(cells), run))
    found = choose_about_as_fast(group.members[1:], "vanilla")
    assert (found.member, found.proof) == (group.members[1], proof)
    slow = verdict(group, Goal(max_slowdown=1.1), "vanilla").refused
    assert bool(slow) != interleaved
    assert interleaved or found.missing.startswith("the rounds did not alternate")


@pytest.mark.parametrize(
    ("turns", "proof"),
    [
        # each letter is a process: of the baseline, of the method, and a pause until tomorrow
        ("bmbmbmbmbm", "proven"),
        ("mbbmmbbmmb", "proven"),
        ("bmbmb|mbmbm", "proven"),  # Ctrl-C, and the same command again
        ("bbbbb|mmmmm", "none"),  # all of the method was repeated
        ("bbmbmbmbm|m", "none"),  # its first round
        ("bbbbbmmmmm", "none"),
    ],
)
def test_a_process_that_was_repeated_alone_is_not_interleaved(summary_of, turns, proof):
    """Its step is 7 % shorter: less than a drift of the machine between two days may do."""
    cells = dict(zip("bm", synthetic.cells()[:2], strict=True))
    begun = {"b": [], "m": []}
    for day, part in enumerate(turns.split("|")):
        for place, letter in enumerate(part):
            begun[letter].append(f"2026-11-{23 + day}T10:{place:02}:00+00:00")
    if turns == "bbmbmbmbm|m":  # the repeated process is that of the first round
        begun["m"].insert(0, begun["m"].pop())
    records = [
        make_record(cell=cells[each], number=n, samples={"step_seconds": [pace]}, started=moment)
        for each, pace in (("b", 1.0), ("m", 0.93))
        for n, moment in enumerate(begun[each], 1)
    ]
    summary = summary_of(records, synthetic.planned(list(cells.values())), synthetic.run_of())
    (group,) = groups(summary)
    assert choose(group.members[1:], "step_seconds").proof == proof
    assert [name for name, _ in apart_notes(summary)] == (
        [] if proof == "proven" else [cells["m"].id]
    )
