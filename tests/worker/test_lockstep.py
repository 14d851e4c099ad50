"""Two workers in turns over real pipes, and one that ends early."""

import os

import pytest

from ondevice_bench.running.hosts.turns import piped_turns
from ondevice_bench.worker.lockstep import Lockstep, OtherSideEnded

STEPS = 7


def played(turns, counts):
    """Who acted, in order, and how each ended."""
    acted, parts = [], turns.parts

    def side(part, count, name):
        def play(_tick=None):
            try:
                with Lockstep(part) as lockstep:
                    for _ in range(count):
                        lockstep.take(lambda: acted.append(name))
            except OtherSideEnded as error:
                return str(error)
            return "done"

        return play

    ends = turns.run(side(parts[0], counts[0], "a"), side(parts[1], counts[1], "b"))
    return "".join(acted), ends


def test_each_acts_when_the_other_has():
    with piped_turns(STEPS) as turns:
        assert played(turns, (4, 4)) == ("abababab", ("done", "done"))


@pytest.mark.parametrize(("counts", "acted"), [((2, 4), "abab"), ((4, 2), "ababa")])
def test_who_ends_early_wakes_the_other(counts, acted):
    with piped_turns(STEPS) as turns:
        order, ends = played(turns, counts)
    assert order == acted
    assert sorted(ends, key=len) == ["done", "the other side ended before its turns were over"]


@pytest.mark.parametrize("gone", [0, 1])
def test_who_never_comes_keeps_nobody_waiting(gone):
    def nobody(_tick=None):
        return "nobody"

    with piped_turns(STEPS) as turns:
        sides = [lambda: played_alone(turns.parts[0]), lambda _tick: played_alone(turns.parts[1])]
        sides[gone] = nobody
        ends = turns.run(*sides)
    assert sorted(ends) == ["nobody", "the other side ended before its turns began"]


def played_alone(part):
    try:
        with Lockstep(part):
            return "began"
    except OtherSideEnded as error:
        return str(error)


def test_nothing_stays_open():
    before = len(os.listdir("/proc/self/fd"))
    with piped_turns(STEPS) as turns:
        played(turns, (3, 3))
        played(turns, (1, 1))  # the names are gone: neither side begins
    assert len(os.listdir("/proc/self/fd")) == before
