"""The desk, with an engine that only remembers what it is given."""

import queue
import threading
from dataclasses import replace

import pytest

from ondevice_bench.fleet.campaign import opened
from ondevice_bench.fleet.desk import Desk
from ondevice_bench.fleet.lane import Began, Ended, Lane, Measured
from ondevice_bench.fleet.run import Wanted, requests
from ondevice_bench.suite.load import load_suite
from tests.fleet.simulation import AT_ONCE, Rules, SimulatedHost, Told, present, write_suite


class Engine:
    def __init__(self):
        self.given, self.dropped, self.forgotten = {}, [], []

    def submit(self, work, profile, boards=()):
        self.given[work.ticket] = work, list(boards)

    def drop(self, board):
        self.dropped.append(board)

    def forget(self, ticket):
        self.forgotten.append(ticket)


@pytest.fixture
def desk(workplace):
    """A desk with two boards and three portions; what it gives out, and its inbox."""
    hosts = [SimulatedHost(number, Rules()) for number in range(2)]
    inbox = queue.SimpleQueue()
    lanes = [Lane(f"board{h.number}", h, AT_ONCE, inbox.put, threading.Event()) for h in hosts]
    suite = write_suite(workplace, 3)
    asked = Wanted("bench fleet run")
    of_suite = requests(
        lambda _: load_suite(str(suite), None), (), [present(host) for host in hosts], asked
    )
    with opened(of_suite, workplace / "out", Told()) as (campaign,):
        desk = Desk([campaign], lanes, inbox, Engine(), Told())
        desk.campaign, desk.boards = campaign, {lane.name: lane for lane in lanes}
        yield desk


def happens(desk, *events):
    for event in events:
        desk._inbox.put(event)
        desk._next_event()


def record(desk, work, unit, number=0):
    """What the board measures for a task of the work."""
    lane = next(lane for lane in desk.boards.values() if lane.unit == unit)
    measurer = work.measurer(lane.host, {}.get)
    prepared = measurer.prepare(work.tasks[number])
    found = measurer.record(prepared, prepared.launch(lambda: None), {})
    return replace(found, details={"unit": unit})


def test_there_are_as_many_tickets_as_boards(desk):
    desk._give_out()
    desk._give_out()
    assert len(desk._engine.given) == 2
    first, *_ = desk._engine.given
    happens(desk, Began(first, "board0"), Ended(first, "board0", "done"))
    desk._give_out()
    assert len(desk._engine.given) == 3


def test_what_a_board_had_begun_waits_for_it_and_is_done_anew_without_it(desk):
    desk._give_out()
    ticket, (work, boards) = next(iter(desk._engine.given.items()))
    assert boards == []
    unit = desk.boards["board1"].unit
    happens(
        desk,
        Began(ticket, "board1"),
        Measured(ticket, "board1", record(desk, work, unit)),
        Ended(ticket, "board1", "again", "lost"),
    )
    desk._give_out()
    ((pinned, rest),) = [(t, w) for t, (w, boards) in desk._engine.given.items() if boards]
    assert desk._engine.given[pinned][1] == ["board1"]
    assert rest.tasks == work.tasks[1:]
    desk._lose("board1", "gone")
    assert pinned in desk._engine.forgotten
    assert desk._engine.dropped == ["board1"]
    others = [t for t in desk._out if desk._out[t].waiting.portion.tasks != work.tasks]
    happens(desk, *(Ended(t, "board0", "done") for t in others))
    desk._give_out()
    (again, boards) = list(desk._engine.given.values())[-1]
    assert boards == []
    assert again.tasks == work.tasks


def test_records_of_a_board_that_was_replaced_are_not_stored(desk):
    desk._give_out()
    ticket, (work, _) = next(iter(desk._engine.given.items()))
    old, new = (desk.boards[name].unit for name in ("board0", "board1"))
    happens(
        desk,
        Began(ticket, "board0"),
        Began(ticket, "board1"),
        Measured(ticket, "board1", record(desk, work, new)),
        Measured(ticket, "board0", record(desk, work, old, 1)),
    )
    assert set(desk.campaign.store.units(desk.campaign.run.id).values()) == {new}


def test_tickets_that_no_board_can_do_come_back(desk):
    desk._give_out()
    desk._lose("board0", "gone")
    assert not desk._engine.forgotten
    desk._lose("board1", "gone")
    assert len(desk._engine.forgotten) == 2
    assert not desk._out
    assert len(desk.campaign.waiting) == 3
    desk.measure_all()  # and nothing hangs
