"""The desk of a fleet: it gives work to boards, stores every record, and repeats failed work.

One thread decides and writes. The threads of the boards send it events through a queue.
"""

import contextlib
import queue
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from ondevice_bench.analyse.family import MOST_PROCESSES, outside, unlike
from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.campaign import MOST_ATTEMPTS, Campaign, Waiting
from ondevice_bench.fleet.lane import Began, Ended, Event, Lane, Measured, Note, Work
from ondevice_bench.fleet.portion import Portion
from ondevice_bench.record.model import NOT_OK, Status, TaskKey
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.schedule import TimeLeft
from ondevice_bench.units import percent

POLL_SECONDS = 1.0
LOOK_SECONDS = 5.0  # the time left is computed no more often
MOST_FAILED = 3  # a board is lost after this many failed portions without any record between them


class Engine(Protocol):
    """What chooses a board for each portion of work."""

    def submit(self, work: Work, profile: str, boards: Sequence[str] = ()) -> None:
        """Have a board of the profile do the work: one of these, if there are any."""

    def drop(self, board: str) -> None:
        """Take a board out."""

    def forget(self, ticket: str) -> None:
        """Take back a ticket that no board has."""


@dataclass
class _GivenOut:
    """A portion of work that was given out with a ticket."""

    campaign: Campaign
    waiting: Waiting
    boards: Sequence[str]  # the boards that may do it; if empty, all boards of the profile
    is_for_one: bool = False  # only one board may do it, and that board may be busy
    is_shared: bool = False  # it is the cell that every board measures
    board: str = ""  # the board that has begun it


class Desk:
    """Measures the runs on the boards."""

    def __init__(
        self,
        campaigns: Sequence[Campaign],
        lanes: Iterable[Lane],
        inbox: "queue.SimpleQueue[Event]",
        engine: Engine,
        progress: Progress,
    ) -> None:
        self._campaigns = campaigns
        self._lanes = {lane.name: lane for lane in lanes}  # of the boards that are not lost
        self._units = {name: lane.unit for name, lane in self._lanes.items()}
        self._inbox = inbox
        self._engine = engine
        self._progress = progress
        self._out: dict[str, _GivenOut] = {}
        self._comparing: dict[str, Campaign] = {}  # by profile: its boards measure the shared cell
        self._failed: dict[str, set[str]] = defaultdict(set)  # by board, since its last record
        self._numbers = count(1)
        self._left: TimeLeft | None = None
        self._looked = 0.0  # when the time left was computed

    def measure_all(self) -> None:
        """Compare the boards with one another, then measure everything that is left.

        Boards of one profile do not wait for those of another.
        """
        self._compare_boards()
        while True:
            self._give_out()
            if not self._out:
                break
            self._next_event()
        for campaign in self._campaigns:
            campaign.end_all()

    def drain(self, seconds: float) -> None:
        """Store what still comes from boards that were told to stop."""
        deadline = time.monotonic() + seconds
        while self._out and time.monotonic() < deadline:
            with contextlib.suppress(BadInput):  # the run is ending in any case
                self._next_event()

    # giving work out

    def _of(self, profile: str) -> list[Lane]:
        return [lane for lane in self._lanes.values() if lane.profile == profile]

    def _give_out(self) -> None:
        """Give out as much work as there are boards."""
        for profile in dict.fromkeys(each.profile for each in self._campaigns):
            if not self._is_compared(profile):
                continue
            lanes = self._of(profile)
            out = [each for each in self._out.values() if each.campaign.profile == profile]
            free = len(lanes) - sum(not each.is_for_one for each in out)
            busy = {each.boards[0] for each in out if each.is_for_one}
            for campaign in self._campaigns:
                if campaign.profile == profile and free > 0:
                    free -= self._give_out_of(campaign, lanes, free, busy)

    def _give_out_of(
        self, campaign: Campaign, lanes: Sequence[Lane], free: int, busy: set[str]
    ) -> int:
        """Give out portions of one run. Returns how many of them are not for one board only."""
        given = 0
        later: list[Waiting] = []
        while campaign.waiting and given < free:
            waiting = campaign.waiting.popleft()
            if not campaign.is_ready(waiting):
                later.append(waiting)
                continue
            willing = {lane.unit: lane.name for lane in lanes if lane.name not in waiting.refused}
            if not willing:
                self._give_up(campaign, waiting, "skipped", "; ".join(waiting.refused.values()))
                continue
            others = {u: name for u, name in willing.items() if name not in waiting.failed_on}
            # after two failed attempts, another board starts the portion again, if there is one
            able = others if waiting.without_record > 1 and others else willing
            rest = campaign.rest(waiting, able)
            home = able.get(rest.home, "")
            if home in busy:
                later.append(waiting)
                continue
            if home:
                busy.add(home)
            else:
                given += 1
            boards = [home] if home else _choice(waiting, list(willing.values()))
            self._submit(_GivenOut(campaign, waiting, boards, is_for_one=bool(home)), rest.tasks)
        campaign.waiting.extendleft(reversed(later))
        return given

    def _submit(self, out: _GivenOut, tasks: tuple[TaskKey, ...]) -> None:
        name = out.waiting.portion.name
        ticket = f"{out.campaign.run.id} {name} {next(self._numbers)}"
        self._out[ticket] = out
        work = out.campaign.work(ticket, out.waiting.portion, tasks)
        self._engine.submit(work, out.campaign.profile, out.boards)

    # handling events

    def _next_event(self) -> None:
        try:
            event = self._inbox.get(timeout=POLL_SECONDS)
        except queue.Empty:
            self._progress.tick()
            return
        if isinstance(event, Note):
            self._progress.note(event.text)
            return
        out = self._out.get(event.ticket)
        if out is None:
            return
        match event:
            case Began():
                out.board = event.board
            case Measured():
                if out.board == event.board:  # else dask has given the work to another board
                    self._failed.pop(event.board, None)
                    out.waiting.without_record = 0
                    self._store(out.campaign, event)
            case Ended():
                del self._out[event.ticket]
                if event.how == "desk":
                    raise BadInput(event.reason)
                if out.is_shared:
                    self._ended_shared(out, event)
                else:
                    self._ended(out, event)

    def _store(self, campaign: Campaign, event: Measured) -> None:
        record = event.record
        campaign.add(record)
        if record.status in NOT_OK:
            what = f"{record.key.cell} · {record.key.pass_name}"
            self._progress.note(f"{record.status}: {what} on {event.board}: {record.reason}")
        left = sum(each.left for each in self._campaigns)
        size = sum(each.size for each in self._campaigns)
        self._progress.begin(
            f"{event.board}: {record.key.cell}, {record.key.pass_name}",
            f"{size - left}/{size}",
            self._time_left(),
        )

    def _time_left(self) -> TimeLeft | None:
        """The time left for the slowest profile, if its boards share the work."""
        now = time.monotonic()
        if now - self._looked > LOOK_SECONDS:  # slow: it looks at every task that is left
            boards = {each.profile: len(self._of(each.profile)) for each in self._campaigns}
            found = [each.time_left(max(1, boards[each.profile])) for each in self._campaigns]
            known = [each for each in found if each is not None]
            self._left = max(known, key=lambda each: each.seconds, default=None)
            self._looked = now
        return self._left

    def _ended(self, out: _GivenOut, event: Ended) -> None:
        campaign, waiting, last = out.campaign, out.waiting, event.reason
        match event.how:
            case "done":
                campaign.end(waiting)
                return
            case "stopped":
                return
            case "hot":
                waiting.refused[event.board] = f"board {self._units[event.board]}: {event.reason}"
                self._progress.note(f"{event.board}: {event.reason}; another board may do it")
            case "lost":
                waiting.attempts += out.board == event.board  # else the board never began it
                last = "its board was lost"  # ssh has its own words, with the board's address
                self._lose(event.board, event.reason)
            case "again":
                waiting.attempts += 1
                self._failed_on(event, waiting)
        if waiting.attempts < MOST_ATTEMPTS:
            campaign.waiting.appendleft(waiting)
        else:
            reason = f"not measured: {waiting.attempts} attempts failed; the last: {last}"
            self._give_up(campaign, waiting, "failed", reason)

    def _failed_on(self, event: Ended, waiting: Waiting) -> None:
        """Note that the connection to a board failed. After several times, the board is lost."""
        name = waiting.portion.name
        self._progress.note(f"{event.board}: {event.reason}; trying again")
        waiting.failed_on.add(event.board)
        waiting.without_record += 1
        self._failed[event.board].add(name)
        if len(self._failed[event.board]) >= MOST_FAILED:
            self._lose(event.board, f"{MOST_FAILED} portions in a row failed: {event.reason}")

    def _give_up(self, campaign: Campaign, waiting: Waiting, status: Status, reason: str) -> None:
        self._progress.note(f"{status}: {waiting.portion.name}: {reason}")
        campaign.give_up(waiting, status, reason)

    def _lose(self, board: str, reason: str) -> None:
        """Continue without a board. Work that only lost boards may do waits again."""
        if self._lanes.pop(board, None) is None:
            return
        self._progress.note(f"{board} no longer takes part: {reason}")
        for ticket, out in list(self._out.items()):
            able = out.boards or [lane.name for lane in self._of(out.campaign.profile)]
            if not self._lanes.keys() & set(able):
                del self._out[ticket]
                self._engine.forget(ticket)
                if not out.is_shared:
                    out.campaign.waiting.appendleft(out.waiting)
        self._engine.drop(board)

    # comparing the boards

    def _compare_boards(self) -> None:
        """Let every board measure one cell, to lose boards that are unlike the others."""
        self._comparing = {each.profile: each for each in reversed(self._campaigns) if each.left}
        for profile, campaign in self._comparing.items():
            lanes = self._of(profile)
            known = campaign.family()
            if len(lanes) > 1:
                self._share_a_cell(campaign, [each for each in lanes if each.unit not in known])

    def _is_compared(self, profile: str) -> bool:
        """Whether the boards of the profile are compared. It judges them once."""
        if any(out.is_shared and out.campaign.profile == profile for out in self._out.values()):
            return False
        campaign = self._comparing.get(profile)
        if campaign is None:
            return True
        known = campaign.family()
        seconds = {unit: [s for s in each if s] for unit, each in known.items()}
        seconds = {unit: each for unit, each in seconds.items() if each}
        unsure = [unit for unit in unlike(seconds) if len(known[unit]) < MOST_PROCESSES]
        lanes = [lane for lane in self._of(profile) if lane.unit in known]
        if any(lane.unit in unsure for lane in lanes):
            # all boards measure again: the median that they are compared with is unsure, too
            self._share_a_cell(campaign, lanes)
            return False
        del self._comparing[profile]
        self._judge(lanes, seconds)
        return True

    def _share_a_cell(self, campaign: Campaign, lanes: Sequence[Lane]) -> None:
        for lane, task in zip(lanes, campaign.shared_tasks(), strict=False):
            waiting = Waiting(Portion(f"shared cell on {lane.name}", task.round, (task,)))
            out = _GivenOut(campaign, waiting, [lane.name], is_for_one=True, is_shared=True)
            self._submit(out, (task,))

    def _ended_shared(self, out: _GivenOut, event: Ended) -> None:
        (board,) = out.boards
        if event.how == "again" and out.waiting.attempts < MOST_ATTEMPTS:
            out.waiting.attempts += 1
            self._submit(out, out.waiting.portion.tasks)
        elif event.how not in ("done", "stopped"):
            self._lose(board, event.reason)

    def _judge(self, lanes: Sequence[Lane], seconds: Mapping[str, Sequence[float]]) -> None:
        """Lose the boards that are unlike the others. `seconds` has boards of earlier commands."""
        for lane in lanes if seconds else ():
            if lane.unit not in seconds:
                self._lose(lane.name, "it did not measure the cell that all boards measure")
        apart, far = unlike(seconds), outside(seconds)
        for lane in lanes:
            if lane.unit in far:
                text = f"its step of the shared cell takes {far[lane.unit]:.2f} × the median of the"
                self._lose(lane.name, f"out of family: {text} boards")
        if apart and not far:
            slowest = max(max(each, 1 / each) for each in apart.values()) - 1
            named = " and ".join(lane.name for lane in lanes if lane.unit in seconds)
            self._progress.note(
                f"boards differ by up to {percent(slowest)} in the step of the shared cell: "
                f"{named}; it is unknown which of them is unusual, so all of them measure"
            )


def _choice(waiting: Waiting, willing: Sequence[str]) -> Sequence[str]:
    """The boards for a portion: those whose connection has not failed, if there are any."""
    others = [name for name in willing if name not in waiting.failed_on]
    return (others or willing) if waiting.refused or len(others) < len(willing) else ()
