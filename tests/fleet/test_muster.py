"""Who takes part: boards that answer, and that are like the others of their profile."""

import threading
from dataclasses import replace

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.fleet_file import Fleet, FleetBoard
from ondevice_bench.fleet.lane import too_hot
from ondevice_bench.fleet.muster import mustered
from ondevice_bench.hardware.state import HardwareState
from ondevice_bench.remote.address import Address
from tests.fleet.simulation import Rules, SimulatedHost


def board(number, **what):
    name = f"board{number}"
    return FleetBoard(Address(name, f"pi@{name}"), **what)


@pytest.fixture
def muster(workplace):
    """Muster hosts that stand for boards; a text stands for a board that does not answer."""

    def run(hosts, **what):
        boards = tuple(board(number, **what) for number in range(len(hosts)))
        by_name = dict(zip((each.name for each in boards), hosts, strict=True))

        def connect(each):
            host = by_name[each.name]
            if isinstance(host, str):
                raise BadInput(f"{each.name}: {host}")
            return host

        fleet, told = Fleet(workplace / "fleet.yaml", boards), []
        with mustered(fleet, told.append, threading.Event(), connect) as found:
            return [each.board.name for each in found], told

    return run


def hosts(count):
    return [SimulatedHost(number, Rules()) for number in range(count)]


def test_boards_that_answer_take_part_and_are_closed_at_the_end(muster):
    all_of_them = hosts(3)
    assert muster(all_of_them) == (["board0", "board1", "board2"], [])
    assert not any(host.is_open for host in all_of_them)


def test_a_line_says_why_a_board_takes_no_part(muster):
    one, other, twin, nameless, kernel = hosts(5)
    twin.unit, nameless.unit = one.unit, ""
    kernel.machine = replace(kernel.machine, kernel="7")
    found, told = muster([one, "no route to host", other, twin, nameless, kernel])
    assert found == ["board0", "board2"]
    assert told == [
        "board1 takes no part: no route to host",
        "board4 takes no part: has neither a serial number nor a machine-id",
        "board3 takes no part: it is the same machine as board0",
        "board5 takes no part: it has the profile of board0, but another kernel (6 there, 7 here)",
    ]


def test_another_torch_is_another_board(muster):
    one, other = hosts(2)
    other.software = lambda: {**one.software(), "torch": "3"}
    found, told = muster([one, other])
    assert found == ["board0"]
    assert told[0].endswith("but another torch (2 there, 3 here)")


def test_boards_that_would_fail_other_cells_are_others(muster):
    """The plan of a run is that of the first board."""
    one, small, poor = hosts(3)
    small.memory_limit = 1 << 30
    poor.missing_allocators = {"jemalloc": "is not installed"}
    found, told = muster([one, small, poor])
    assert found == ["board0"]
    assert told[0].endswith("but another memory limit (None there, 1073741824 here)")
    assert told[1].endswith("but another missing allocators ([] there, ['jemalloc'] here)")


def test_boards_of_two_profiles_may_differ(muster):
    one, other = SimulatedHost(0, Rules()), SimulatedHost(1, Rules(), "x86")
    other.machine = replace(other.machine, memory_gib=2)
    assert muster([one, other]) == (["board0", "board1"], [])


def test_without_any_board_every_reason_is_a_line(muster):
    with pytest.raises(BadInput) as raised:
        muster(["no route to host", "has no bench"], lock=("true",))
    assert raised.value.lines[:2] == (
        "board0 takes no part: no route to host",
        "board1 takes no part: has no bench",
    )
    with pytest.raises(BadInput) as raised:
        muster(hosts(1), lock=("no such program",))
    assert raised.value.lines[0].startswith(
        "board0 takes no part: its lock command cannot start: no such program"
    )


def test_a_board_that_is_locked_is_unlocked_whatever_happens(muster, tmp_path):
    lock = tmp_path / "lock"
    words = {"lock": ("mkdir", str(lock)), "unlock": ("rmdir", str(lock))}
    muster(hosts(1), **words)
    assert not lock.exists()
    with pytest.raises(BadInput):
        muster(["no route to host"], **words)
    assert not lock.exists()
    _, told = muster(hosts(1), unlock=("false",))
    assert told == ["board0: its unlock command ended with 1: it printed nothing"]


@pytest.mark.parametrize(
    ("celsius", "bits", "reason"),
    [
        (None, None, ""),
        (70.0, 0, ""),
        (70.1, None, "the board has 70.1 °C, more than 70 °C"),
        (40.0, 0x50000, ""),  # it throttled once, since it was started
        (40.0, 0x50005, "the board throttles: under-voltage, throttled"),
    ],
)
def test_a_board_is_too_hot_by_its_temperature_or_by_its_bits(celsius, bits, reason):
    assert too_hot(HardwareState(0.0, 1, 0, None, celsius, bits), 70.0) == reason
