"""The fits of a board as a record, and the curve of a method."""

import pytest

from ondevice_bench.suite.fit import BoardFits, Fit, FitCurve, MemoryLimit

POINTS = ((1, 130), (10, 400), (12, 440))
VANILLA = Fit("net", "vanilla", 10, fits=True, peak_bytes=400, points=POINTS)
FOUND = BoardFits("pi", MemoryLimit(1000, 200), None, (VANILLA, Fit("net", "asi", reason="no")))


def test_the_share_is_of_the_memory_that_the_reserve_leaves():
    assert FOUND.share(VANILLA) == 0.5
    assert FOUND.share(FOUND.fits[1]) is None


def test_a_curve_is_exact_at_its_points_and_straight_between_them():
    curve = FOUND.curve(VANILLA)
    assert curve == FitCurve("net", "vanilla", POINTS, 800)
    assert [curve.peak_at(batch) for batch, _ in POINTS] == [130, 400, 440]
    assert curve.peak_at(11) == 420
    assert curve.peak_at(5.5) == pytest.approx(265)


def test_a_curve_says_nothing_outside_its_points():
    assert FOUND.curve(VANILLA).peak_at(13) is None
    assert FOUND.curve(VANILLA).peak_at(0) is None
    alone = FitCurve("net", "vanilla", ((1, 130),), 800)
    assert (alone.peak_at(1), alone.peak_at(1.5)) == (130, None)


def test_json_holds_the_curves_and_their_limit():
    values = FOUND.to_dict()
    assert (values["usable_bytes"], values["memory_bytes"], values["batch"]) == (800, 1000, None)
    assert values["fits"][0]["points"] == POINTS
    assert values["fits"][0]["of_the_board"] == 0.5
    assert "alive at the same moment" in values["peaks"]
