"""Which cells were measured in turn, by definition: the times are made from a known order."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.analyse.alternation import alternated, apart

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def at(moment):
    return moment.isoformat()


def fleet(cells, boards, rounds, *, step=timedelta(minutes=2)):
    """When each process began: the cells in turn, round by round, on boards side by side."""
    return {
        cell: {
            (number * boards + board, f"u{board}"): at(BEGIN + (number * len(cells) + place) * step)
            for board in range(boards)
            for number in range(rounds)
        }
        for place, cell in enumerate(cells)
    }


def later(begun, keys, wait=DAY):
    """The same processes; those with these keys were repeated later."""
    return {
        key: at(datetime.fromisoformat(text) + wait) if key in keys else text
        for key, text in begun.items()
    }


@given(
    count=st.integers(2, 12),
    boards=st.integers(1, 5),
    rounds=st.integers(1, 6),
    seconds=st.floats(1, 7200),
)
def test_cells_in_turn_are_never_apart(count, boards, rounds, seconds):
    """Steps of up to two hours: long rounds alone are no reason, if their order shows it."""
    names = [f"c{n}" for n in range(count)]
    if rounds == 1:  # nothing shows how long a round usually is
        seconds = min(seconds, 3600 / count)
    found = fleet(names, boards, rounds, step=timedelta(seconds=seconds))
    assert apart(found) == frozenset()


@pytest.mark.parametrize(
    ("boards", "rounds", "repeated"),
    [
        (8, 1, "all"),  # a fleet with one round on each board: no order shows it
        (8, 1, "last"),
        (1, 8, "all"),
        (1, 8, "last"),  # no round comes after it
        (1, 8, "first"),
        (4, 2, "last"),
        (2, 1, "last"),
    ],
)
def test_a_cell_that_was_repeated_on_another_day_is_apart(boards, rounds, repeated):
    found = fleet("abc", boards, rounds)
    keys = {"all": [*found["b"]], "last": [max(found["b"])], "first": [min(found["b"])]}[repeated]
    retried = {**found, "b": later(found["b"], keys)}
    assert apart(retried) == {"b"}
    assert not alternated(retried["a"], retried["b"])
    assert alternated(retried["a"], retried["c"])


@pytest.mark.parametrize(("boards", "rounds"), [(8, 1), (1, 8), (4, 2)])
def test_cells_that_were_repeated_together_alternated_with_each_other(boards, rounds):
    found = fleet("abcd", boards, rounds)
    retried = {
        name: later(begun, [*begun]) if name in "cd" else begun for name, begun in found.items()
    }
    assert apart(retried) == frozenset()
    assert alternated(retried["c"], retried["d"])
    assert not alternated(retried["a"], retried["c"])


def test_a_run_that_goes_on_tomorrow_is_in_turn_if_each_round_is_whole():
    found = fleet("abc", 1, 6)
    late = [key for key in found["a"] if key[0] >= 3]
    assert apart({name: later(begun, late) for name, begun in found.items()}) == frozenset()


def test_a_round_that_ctrl_c_has_cut_is_in_turn_if_others_follow():
    found = fleet("ab", 1, 6)
    late = {
        "a": [key for key in found["a"] if key[0] > 3],
        "b": [k for k in found["b"] if k[0] > 2],
    }
    assert alternated(*(later(found[name], late[name]) for name in "ab"))


def test_a_process_without_a_time_says_nothing():
    found = fleet("ab", 1, 4)
    assert apart({**found, "b": dict.fromkeys(found["b"], "no time")}) == frozenset()
