"""A noisy count may be 0. It is compared all the same, and a few more than none are noise."""

import pytest

from ondevice_bench import metrics
from ondevice_bench.analyse.boards import boards
from ondevice_bench.analyse.compare import compare
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.history import HistoryQuery, history
from ondevice_bench.analyse.ratios import ratio
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.errors import ExitCode
from ondevice_bench.stats import Estimate, estimate
from ondevice_bench.suite.goal import Goal
from tests.record.conftest import CELL, make_record, make_run, planned
from tests.report import synthetic

FAULTS = "step_minor_faults"
ROUNDS = 8


def counted(name, cell, counts):
    """A record for each round, with three samples of the same count."""
    return [
        make_record(
            name,
            cell,
            number=number,
            metrics={FAULTS: float(count)},
            samples={FAULTS: [float(count)] * 3},
        )
        for number, count in enumerate(counts, start=1)
    ]


@pytest.fixture
def run_of(summary_of):
    """A run whose one cell has these counts, one a round."""

    def make(name, counts, **what):
        settings = {"measure": ["time"], "rounds": len(counts), "baseline": "vanilla"}
        run = make_run(name, settings=settings, **what)
        return summary_of(counted(name, CELL, counts), planned(CELL), run)

    return make


@pytest.mark.parametrize(
    ("base", "new", "verdict", "code"),
    [
        (0, 0, "unchanged", ExitCode.OK),
        (0, 40, "unchanged", ExitCode.OK),
        (40, 0, "unchanged", ExitCode.OK),
        (0, 5000, "regressed", ExitCode.REGRESSION),
        (5000, 0, "improved", ExitCode.OK),
        (5000, 5050, "unchanged", ExitCode.OK),
    ],
)
def test_runs_are_compared(run_of, base, new, verdict, code):
    found = compare(run_of("a", [base] * ROUNDS), run_of("b", [new] * ROUNDS))
    (difference,) = found.differences
    assert (difference.metric, difference.base, difference.new) == (FAULTS, base, new)
    assert difference.verdict == verdict
    assert found.exit_code() == code


def test_a_ratio_takes_a_negligible_count_as_the_largest_negligible_one():
    least = metrics.BY_NAME[FAULTS].negligible
    none, many = estimate([[0.0] * 9]), estimate([[50 * least] * 9])
    equal = ratio(FAULTS, none, none)
    assert (equal.estimate, equal.lower, equal.upper) == (1, 1, 1)
    more = ratio(FAULTS, many, none)
    assert (more.estimate, more.lower, more.upper) == (50, 50, 50)
    assert more.basis.endswith("(values below 100 count as 100)")
    assert "below" not in ratio(FAULTS, many, many).basis
    without = ratio(FAULTS, Estimate(5.0, None, None, "x"), Estimate(0.0, None, None, "y"))
    assert (without.estimate, without.lower, without.upper) == (1, None, None)


@pytest.fixture
def two_methods(summary_of):
    """A run of vanilla and ASI with these counts."""

    def make(of_vanilla, of_asi, name="a", **what):
        cells = synthetic.cells()[:2]
        records = [
            record
            for cell, count in zip(cells, (of_vanilla, of_asi), strict=True)
            for record in counted(name, cell, [count] * ROUNDS)
        ]
        settings = {"measure": ["time"], "rounds": ROUNDS, "baseline": "vanilla"}
        run = make_run(name, settings=settings, **what)
        return summary_of(records, synthetic.planned(cells, run.profile), run)

    return make


@pytest.mark.parametrize(
    ("of_vanilla", "of_asi", "sentence"),
    [
        (0, 0, "No method has a lower number of minor page faults than vanilla"),
        (0, 9000, "No method has a lower number of minor page faults than vanilla"),
        (9000, 0, "asi fraction=0.125 has the lowest number of minor page faults: 0.0111×"),
    ],
)
def test_a_goal_may_be_a_count(two_methods, of_vanilla, of_asi, sentence):
    (group,) = groups(two_methods(of_vanilla, of_asi))
    first = verdict(group, Goal(minimise=FAULTS), "vanilla").sentences[0]
    assert first.startswith(sentence)


def test_boards_are_compared(two_methods):
    summaries = [two_methods(0, 9000, "a"), two_methods(9000, 0, "b", profile="pi5")]
    _, row = boards(summaries, FAULTS)
    assert row.directions == ("more", "less")
    assert row.between is not None


def test_a_history_judges_runs_without_any(run_of):
    def day(number, count):
        stamp = f"2026-01-{number + 1:02}T00:00:00+00:00"
        return run_of(f"r{number:02}", [count] * 2, created=stamp)

    query = HistoryQuery(metrics=(FAULTS,))
    quiet = history([day(number, 0) for number in range(16)], query)
    assert quiet.changes == ()
    assert quiet.is_judged
    louder = history([day(number, 0 if number < 8 else 5000) for number in range(16)], query)
    ((_, change),) = louder.changes
    assert (change.kind, change.is_better, change.after.run.id) == ("stepped", False, "r08")
