"""The desk, with an engine that only remembers what it is given."""

import contextlib
import queue
import threading
from dataclasses import replace

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.campaign import MOST_ATTEMPTS, Campaign, opened
from ondevice_bench.fleet.desk import Desk
from ondevice_bench.fleet.lane import Began, Ended, Lane, Measured
from ondevice_bench.fleet.portion import Rest
from ondevice_bench.fleet.run import Wanted, requests
from ondevice_bench.record.model import NOT_OK
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
    with desk_with(workplace, [SimulatedHost(number, Rules()) for number in range(2)]) as found:
        yield found


@pytest.fixture
def two_kinds(workplace):
    """A desk with two boards of each of two profiles."""
    kinds = ("generic", "generic", "x86", "x86")
    hosts = [SimulatedHost(number, Rules(), kind) for number, kind in enumerate(kinds)]
    with desk_with(workplace, hosts) as found:
        yield found


@contextlib.contextmanager
def desk_with(workplace, hosts):
    inbox = queue.SimpleQueue()
    lanes = [Lane(f"board{h.number}", h, AT_ONCE, inbox.put, threading.Event()) for h in hosts]
    suite = write_suite(workplace, 3)
    asked = Wanted("bench fleet run")
    of_suite = requests(
        lambda _: load_suite(str(suite), None), (), [present(host) for host in hosts], asked
    )
    with opened(of_suite, workplace / "out", Told()) as campaigns:
        desk = Desk(campaigns, lanes, inbox, Engine(), Told())
        desk.campaign, desk.boards = campaigns[0], {lane.name: lane for lane in lanes}
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


def test_a_new_run_repeats_no_part_of_the_last_one():
    with pytest.raises(BadInput, match="`fresh` starts a new run"):
        Wanted("bench fleet run", fresh=True, retry=NOT_OK)


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


def test_a_problem_of_the_desk_ends_the_run(desk):
    desk._give_out()
    first, second = desk._engine.given
    with pytest.raises(BadInput, match=r"^the disk is full$"):
        happens(desk, Began(first, "board0"), Ended(first, "board0", "desk", "the disk is full"))
    desk._inbox.put(Ended(second, "board1", "desk", "the disk is full"))
    desk.drain(1)
    assert not desk._out


def test_a_ticket_that_a_lost_board_never_began_has_lost_no_attempt(desk):
    desk._give_out()
    one, other = desk._engine.given
    (tried, untried) = (desk._out[ticket].waiting for ticket in (one, other))
    happens(
        desk,
        Began(one, "board0"),
        Ended(one, "board0", "lost", "gone"),
        Ended(other, "board0", "lost", "gone"),
    )
    assert (tried.attempts, untried.attempts) == (1, 0)


def test_no_address_of_a_board_that_was_lost_is_stored(desk):
    desk._give_out()
    ticket, *_ = desk._engine.given
    desk._out[ticket].waiting.attempts = MOST_ATTEMPTS - 1
    said = "board0: ssh: connect to host 10.0.0.7 port 22: Connection refused"
    happens(desk, Began(ticket, "board0"), Ended(ticket, "board0", "lost", said))
    records = desk.campaign.store.records(desk.campaign.run.id)
    reason = "not measured: 5 attempts failed; the last: its board was lost"
    assert [record.reason for record in records] == [reason] * 4


def test_a_portion_goes_to_a_board_to_which_the_way_did_not_fail(desk):
    desk._give_out()
    first, *_ = desk._engine.given
    work, _ = desk._engine.given[first]
    happens(desk, Began(first, "board0"), Ended(first, "board0", "again", "a full disk"))
    desk._give_out()
    again, boards = list(desk._engine.given.values())[-1]
    assert (again.tasks, boards) == (work.tasks, ["board1"])


def test_a_board_that_began_anew_and_was_interrupted_goes_on_where_it_was(desk):
    """Otherwise two boards would share a portion: only its last record was missing."""
    desk._give_out()
    first, *_ = desk._engine.given
    work, _ = desk._engine.given[first]
    old, new = (desk.boards[name].unit for name in ("board0", "board1"))
    measured = (record(desk, work, old, n) for n in range(3))
    happens(desk, Began(first, "board0"), *(Measured(first, "board0", each) for each in measured))
    happens(desk, Ended(first, "board0", "lost", "gone"))
    happens(desk, *(Ended(ticket, "board1", "done") for ticket in list(desk._out)))
    desk._give_out()
    ticket, (again, _) = list(desk._engine.given.items())[-1]
    assert again.tasks == work.tasks
    assert desk.campaign.left >= 4
    happens(
        desk,
        Began(ticket, "board1"),
        Measured(ticket, "board1", record(desk, again, new, 3)),  # what was missing
        Ended(ticket, "board1", "again", "lost"),
    )
    desk._give_out()
    (rest,) = [left for left, boards in desk._engine.given.values() if boards == ["board1"]]
    assert rest.tasks == work.tasks[:3]


def test_a_portion_of_two_boards_in_the_store_begins_anew(desk):
    """The command was killed while another board measured the portion again."""
    desk._give_out()
    first, *_ = desk._engine.given
    work, _ = desk._engine.given[first]
    units = [desk.boards[name].unit for name in ("board0", "board1")]
    for number in range(4):
        desk.campaign.add(record(desk, work, units[number == 3], number))
    again = Campaign(
        desk.campaign.request, desk.campaign.run, desk.campaign.store, desk.campaign._batches.folder
    )
    assert again.left == 12
    (waiting,) = [each for each in again.waiting if each.portion.tasks == work.tasks]
    assert again.rest(waiting, units) == Rest(work.tasks)


def test_boards_of_one_profile_do_not_wait_for_those_of_another(two_kinds):
    desk = two_kinds
    desk._compare_boards()
    desk._give_out()
    shared = {boards[0]: ticket for ticket, (_, boards) in desk._engine.given.items()}
    assert shared.keys() == {"board0", "board1", "board2", "board3"}
    happens(desk, *(Ended(shared[name], name, "done") for name in ("board0", "board1")))
    desk._give_out()
    profiles = [desk._out[t].campaign.profile for t in desk._out if not desk._out[t].is_shared]
    assert profiles == ["generic", "generic"]
