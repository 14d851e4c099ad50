"""Two sides in turn over real pipes, and one of them that ends early."""

import os

import pytest

from ondevice_bench.protocol.lockstep import Alternation, OtherSideEnded, together, turns


def played(parts, counts):
    """Who acted, in order, and how each ended."""
    acted = []

    def side(part, count, name):
        def play():
            try:
                with Alternation(part) as alternation:
                    for _ in range(count):
                        alternation.take(lambda: acted.append(name))
            except OtherSideEnded as error:
                return str(error)
            return "done"

        return play

    ends = together(parts, side(parts[0], counts[0], "a"), side(parts[1], counts[1], "b"))
    return "".join(acted), ends


def test_each_acts_when_the_other_has():
    with turns() as parts:
        assert played(parts, (4, 4)) == ("abababab", ("done", "done"))


@pytest.mark.parametrize(("counts", "acted"), [((2, 4), "abab"), ((4, 2), "ababa")])
def test_who_ends_early_wakes_the_other(counts, acted):
    with turns() as parts:
        order, ends = played(parts, counts)
    assert order == acted
    assert sorted(ends, key=len) == ["done", "the other side ended before its turns were over"]


@pytest.mark.parametrize("gone", [0, 1])
def test_who_never_comes_keeps_nobody_waiting(gone):
    def nobody():
        return "nobody"

    with turns() as parts:
        sides = [lambda: played_alone(parts[0]), lambda: played_alone(parts[1])]
        sides[gone] = nobody
        ends = together(parts, *sides)
    assert sorted(ends) == ["nobody", "the other side ended before its turns began"]


def played_alone(part):
    try:
        with Alternation(part):
            return "began"
    except OtherSideEnded as error:
        return str(error)


def test_nothing_stays_open():
    before = len(os.listdir("/proc/self/fd"))
    with turns() as parts:
        played(parts, (3, 3))
        played(parts, (1, 1))  # the names are gone: neither side begins
    assert len(os.listdir("/proc/self/fd")) == before
