"""Commands that lock a board: they hang, print without end, or leave a process behind."""

import time

import pytest

from ondevice_bench.fleet import locks
from ondevice_bench.fleet.fleet_file import FleetBoard
from ondevice_bench.fleet.locks import NotLocked, locked
from ondevice_bench.remote.address import Address


def lock(*words):
    with locked(FleetBoard(Address("board", "pi@board"), lock=words), lambda _: None):
        return True


def test_a_process_that_a_lock_command_leaves_behind_keeps_the_lock(tmp_path):
    """It may hold the lock, and it may keep the standard output open."""
    mark = tmp_path / "held"
    began = time.monotonic()
    assert lock("sh", "-c", f"(sleep 1; touch {mark}) & exit 0")
    assert time.monotonic() - began < 1
    while not mark.exists():
        time.sleep(0.05)
        assert time.monotonic() - began < 20


def test_a_lock_command_that_hangs_is_no_lock(monkeypatch):
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(NotLocked, match=r"^its lock command did not end within 0.3 s$"):
        lock("sh", "-c", "sleep 60 & wait")
    assert time.monotonic() - began < 20


def test_a_lock_command_that_prints_without_end_is_no_lock():
    with pytest.raises(NotLocked, match=r"^its lock command prints without end$"):
        lock("yes")


def test_the_last_line_says_why_there_is_no_lock():
    with pytest.raises(NotLocked, match=r"^its lock command ended with 3: taken by ann$"):
        lock("sh", "-c", "echo one; echo taken by ann >&2; exit 3")
