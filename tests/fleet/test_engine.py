"""The engine: every ticket ends once, whatever becomes of its board."""

import queue
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import pytest

pytest.importorskip("distributed", reason="dask is not installed: pip install '.[fleet]'")

from ondevice_bench.fleet import engine as engines
from ondevice_bench.fleet.engine import DaskEngine
from ondevice_bench.fleet.lane import Ended


@dataclass(frozen=True)
class Ticket:
    """A work of which only the name matters."""

    ticket: str


@dataclass
class Board:
    """A lane that measures at once."""

    name: str
    profile: str = "desk"
    measured: list[str] = field(default_factory=list)

    def measure(self, work):
        self.measured.append(work.ticket)
        return Ended(work.ticket, self.name, "done")


def test_work_that_has_ended_on_a_board_that_is_lost_then_is_told_and_not_done_again(monkeypatch):
    """The board is dropped between the end of its work and the moment at which dask says so."""
    inbox = queue.SimpleQueue()
    has_ended, is_dropped = threading.Event(), threading.Event()
    real = DaskEngine._done

    def later(engine, ticket, future):
        has_ended.set()
        is_dropped.wait(20)
        real(engine, ticket, future)

    monkeypatch.setattr(DaskEngine, "_done", later)
    boards = [Board("one"), Board("two")]
    engine = DaskEngine(boards, inbox.put)
    try:
        engine.submit(Ticket("a"), "desk", ["one", "two"])
        assert has_ended.wait(20)
        (board,) = [each for each in boards if each.measured]
        engine.drop(board.name)
        is_dropped.set()
        assert inbox.get(timeout=20) == Ended("a", board.name, "done")
        assert sum(len(each.measured) for each in boards) == 1
    finally:
        is_dropped.set()
        engine.close()


class OfOurs:
    """What only this environment can load."""

    def __call__(self, ticket):
        raise AssertionError

    def __reduce__(self):
        return __import__, ("a_package_that_nobody_has",)


def test_a_scheduler_that_cannot_read_the_work_is_a_problem_of_the_desk(monkeypatch):
    """It has no bench. The cells have not failed: nobody has tried them."""
    inbox = queue.SimpleQueue()
    monkeypatch.setattr(engines, "_do", OfOurs())
    engine = DaskEngine([Board("one")], inbox.put)
    try:
        engine.submit(Ticket("a"), "desk")
        ended = inbox.get(timeout=20)
        page = f"http://127.0.0.1:{engine._cluster.scheduler.http_server.port}/"
        with pytest.raises(urllib.error.HTTPError, match="404"):  # without --dashboard
            urllib.request.urlopen(page, timeout=20)
    finally:
        engine.close()
    assert (ended.ticket, ended.how) == ("a", "desk")
    assert "if the Scheduler and Client have different environments" in ended.reason
