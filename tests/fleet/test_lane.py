"""One board and its thread: what it tells, whatever happens to the board or to the desk."""

import errno
import threading

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.fleet.campaign import opened
from ondevice_bench.fleet.lane import Ended, Lane, Measured
from ondevice_bench.fleet.run import Wanted, requests
from ondevice_bench.remote.host import BoardLost
from ondevice_bench.suite.load import load_suite
from tests.fleet.simulation import AT_ONCE, Rules, SimulatedHost, Told, present, write_suite


@pytest.fixture
def measured(workplace):
    """Have a board measure a portion; what it told, and how that ended."""

    def run(host, change=lambda text: text):
        told = []
        lane = Lane("board0", host, AT_ONCE, told.append, threading.Event())
        suite = write_suite(workplace, 1)
        suite.write_text(change(suite.read_text()))
        wanted = Wanted("bench fleet run")
        of_suite = requests(lambda _: load_suite(str(suite), None), (), [present(host)], wanted)
        with opened(of_suite, workplace / "out", Told()) as (campaign,):
            (waiting,) = campaign.waiting
            work = campaign.work("ticket", waiting.portion, waiting.portion.tasks)
            return told, lane.measure(work)

    return run


class Dies(SimulatedHost):
    """A board that is lost as soon as it has measured one thing."""

    def state(self):
        if self.done:
            raise BoardLost("board0: did not come back")
        return super().state()


def test_what_a_board_measured_before_it_was_lost_is_told(measured):
    told, ended = measured(Dies(0, Rules(scale=1e-6)))
    assert ended == Ended("ticket", "board0", "lost", "board0: did not come back")
    (record,) = [event.record for event in told if isinstance(event, Measured)]
    assert record.details["unit"]
    assert record.state_after == {}


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (BadInput("x: cannot be written: No space left on device"), "desk"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "desk"),
        (BoardLost("board0: did not come back"), "lost"),
        (ZeroDivisionError("a bug"), "lost"),
    ],
)
def test_only_what_is_of_the_board_loses_it(measured, monkeypatch, error, how):
    host = SimulatedHost(0, Rules(scale=1e-6))

    def run(*_):
        raise error

    monkeypatch.setattr(host, "run", run)
    _, ended = measured(host)
    assert ended.how == how
    if how == "desk":
        assert ended.reason.endswith("No space left on device")


def test_a_file_of_the_users_that_changes_is_a_problem_of_the_desk(measured, workplace):
    file = workplace / "mine.py"
    file.write_text("class Mine:\n    pass\n")

    class Edits(SimulatedHost):
        def run(self, job, *more):
            file.write_text("class Mine:\n    other = True\n")
            return super().run(job, *more)

    told, ended = measured(
        Edits(0, Rules(scale=1e-6)), lambda text: text.replace("vanilla", "./mine.py:Mine", 1)
    )
    records = [event.record for event in told if isinstance(event, Measured)]
    assert not [record for record in records if "mine.py" in record.key.cell]
    assert ended.how == "desk"
    assert ended.reason.startswith(f"{file} changed since the run began")
