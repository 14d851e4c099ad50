"""How many rounds would decide: an estimate by the width of the interval."""

import math

import pytest

from ondevice_bench.analyse.budget_needed import budget_needed
from ondevice_bench.analyse.cell_pair import FEWEST, LAST_LOOK, MOST_ROUNDS, CellPair, confidence_of
from ondevice_bench.stats import Change, change, fewest_pairs, is_look, rounds_to_decide


def pair(name, step=None, rounds=9, seconds=90.0):
    readings = [1.0] * rounds
    return CellPair(name, name, name, [], readings, readings, step, judged=rounds, seconds=seconds)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.995, 0.9999])
def test_the_fewest_pairs_have_an_interval_and_one_fewer_have_none(confidence):
    fewest = fewest_pairs(confidence)
    for count, has_one in ((fewest, True), (fewest - 1, False)):
        found = change([1.0] * count, [1.1] * count, 0.02, confidence)
        assert math.isfinite(found.upper) == has_one


@pytest.mark.parametrize(("ratio", "half"), [(1.05, 0.06), (1.0, 0.03), (0.9, 0.12), (1.01, 0.02)])
def test_an_interval_that_narrows_with_the_root_decides_after_so_many_rounds(ratio, half):
    """By definition: the interval of this width around the ratio has a direction, one wider not."""
    place, limit = math.log(ratio), math.log1p(0.02)
    found = Change(ratio, math.exp(place - half), math.exp(place + half), "unknown")
    needed = rounds_to_decide(found, 10, 0.02)
    for rounds, decides in ((needed, True), (needed - 1, False)):
        width = half * math.sqrt(10 / rounds)
        low, high = place - width, place + width
        within = -limit <= low and high <= limit
        beyond = low > limit or high < -limit
        assert (within or beyond) == decides or math.isclose(
            width, abs(abs(place) - limit), rel_tol=1e-9
        )


def test_a_ratio_on_the_threshold_is_never_decided():
    assert rounds_to_decide(Change(1.02, 1.0, 1.04, "unknown"), 10, 0.02) is None
    assert rounds_to_decide(Change(1.5, 0.0, math.inf, "unknown"), 4, 0.02) is None


def test_the_budget_is_what_was_spent_and_what_the_open_pairs_need():
    undecided = pair("a", Change(1.05, 1.01, 1.09, "unknown"))
    done = pair("b", Change(1.0, 0.99, 1.01, "same"))
    found = budget_needed([undecided, done], 0.02)
    assert list(found.rounds) == ["a"]
    needed = found.rounds["a"]
    assert is_look(needed, FEWEST)
    assert needed > 9
    assert found.seconds == pytest.approx(180 + 10 * (needed - 9))


def test_no_round_is_taken_and_no_budget_named_beyond_the_last_judgement():
    assert is_look(LAST_LOOK, FEWEST)
    assert not any(is_look(n, FEWEST) for n in range(LAST_LOOK + 1, MOST_ROUNDS + 1))
    wide = Change(1.05, 1.01, 1.09, "unknown")
    assert not pair("a", wide, rounds=LAST_LOOK).is_open
    for rounds in (LAST_LOOK - 1, 293):
        needed = budget_needed([pair("a", wide, rounds=rounds)], 0.02).rounds["a"]
        assert needed is None or needed <= LAST_LOOK


def test_without_a_round_nobody_knows_the_time_of_one():
    found = budget_needed([pair("a", rounds=0, seconds=0.0)], 0.02)
    assert found.rounds["a"] >= fewest_pairs(confidence_of(1))
    assert found.seconds is None
