"""Commands that lock a board: they hang, print without end, or leave a process behind."""

import os
import time

import pytest

from ondevice_bench.fleet import locks
from ondevice_bench.fleet.fleet_file import FleetBoard
from ondevice_bench.fleet.lock_notes import FOLDER, LeftLock, LockNote, left_locks
from ondevice_bench.fleet.locks import locked
from ondevice_bench.remote.address import Address

pytestmark = pytest.mark.usefixtures("workplace")


def board(name, lock=(), unlock=()):
    return FleetBoard(Address(name, f"pi@{name}"), lock=lock, unlock=unlock)


def lock(*words):
    """Why the board could not be locked; empty if it was."""
    with locked([board("board", words)], lambda _: None) as problems:
        return problems.get("board", "")


def test_a_process_that_a_lock_command_leaves_behind_keeps_the_lock(tmp_path):
    """It may hold the lock, and it may keep the standard output open."""
    mark = tmp_path / "held"
    began = time.monotonic()
    assert lock("sh", "-c", f"(sleep 1; touch {mark}) & exit 0") == ""
    assert time.monotonic() - began < 1
    while not mark.exists():
        time.sleep(0.05)
        assert time.monotonic() - began < 20


def test_a_lock_command_that_hangs_is_no_lock(monkeypatch):
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.3)
    began = time.monotonic()
    assert lock("sh", "-c", "sleep 60 & wait") == "its lock command did not end within 0.3 s"
    assert time.monotonic() - began < 20


def test_a_lock_command_that_prints_without_end_is_no_lock():
    assert lock("yes") == "its lock command prints without end"


def test_the_last_line_says_why_there_is_no_lock():
    said = "its lock command ended with 3: taken by ann"
    assert lock("sh", "-c", "echo one; echo taken by ann >&2; exit 3") == said


def test_locks_are_awaited_side_by_side_and_a_line_says_which(monkeypatch, tmp_path):
    monkeypatch.setattr(locks, "LOCK_SECONDS", 3)
    monkeypatch.setattr(locks, "TELL_SECONDS", 0.5)
    told = []
    boards = [board(f"board{n}", ("sleep", "60")) for n in range(8)]
    boards.append(board("free", ("true",), ("touch", str(tmp_path / "given back"))))
    began = time.monotonic()
    with locked(boards, told.append) as problems:
        assert problems.keys() == {f"board{n}" for n in range(8)}
        assert set(problems.values()) == {"its lock command did not end within 3 s"}
        assert not (tmp_path / "given back").exists()
    assert time.monotonic() - began < 20  # one after the other would take 24 s
    names = "board0, board1, board2, board3, board4, 3 more"
    assert told == [f"waiting for the lock command of {names}, at most 3 s"]
    assert (tmp_path / "given back").exists()


def test_whoever_stops_the_wait_gives_back_what_is_locked_and_waits_no_more(monkeypatch, tmp_path):
    monkeypatch.setattr(locks, "TELL_SECONDS", 0.5)
    boards = [
        board("taken", ("sleep", "60"), ("touch", str(tmp_path / "never"))),
        board("free", ("true",), ("touch", str(tmp_path / "given back"))),
    ]

    def interrupt(text):
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), locked(boards, interrupt):
        pytest.fail("the locks are not taken")
    assert time.monotonic() - began < 20
    assert (tmp_path / "given back").exists()
    assert not (tmp_path / "never").exists()


def names_in_notes():
    return {path.read_text() for path in FOLDER.glob("*")}


def test_the_next_command_says_what_a_killed_one_has_not_given_back():
    boards = [board(name, ("mkdir", name), ("rmdir", name)) for name in ("one", "the other")]
    with locked(boards, print) as problems:
        assert problems == {}
        (noted,) = names_in_notes()
        assert left_locks([each.name for each in boards]) == []  # this command lives
    assert names_in_notes() == set()
    killed = LockNote(FOLDER)
    killed.keep({each.name: each.unlock for each in boards})
    killed._file.close()  # as the kernel does
    assert names_in_notes() == {noted}
    os.mkdir("the other")  # and somebody has given back the first one
    told = []
    with locked(boards, told.append) as problems:
        assert problems.keys() == {"the other"}
    left = LeftLock("the other", "rmdir 'the other'")
    assert told == [left.line]
    assert left_locks([each.name for each in boards]) == [left]
    os.rmdir("the other")
    with locked(boards, told.append) as problems:
        assert problems == {}
    assert names_in_notes() == set()
    assert told == [left.line]


def test_a_board_whose_unlock_command_fails_is_not_given_back():
    with locked([board("one", ("true",), ("false",))], print):
        pass
    assert left_locks(["one"]) == [LeftLock("one", "false")]


def test_without_a_place_for_notes_boards_are_locked_all_the_same(tmp_path):
    FOLDER.parent.write_text("no folder")
    with locked([board("one", ("true",), ("touch", "given back"))], print) as problems:
        assert problems == {}
    assert (tmp_path / "given back").exists()


@pytest.mark.parametrize("text", ["", "[" * 10_000, "[]", '{"one": 1}', '{"one": []}', "\xff"])
def test_a_note_that_cannot_be_read_is_left_alone(text):
    FOLDER.mkdir(parents=True)
    (FOLDER / "x.note").write_text(text, encoding="latin-1")
    with locked([board("one", ("true",), ("true",))], print) as problems:
        assert problems == {}
    assert left_locks(["one"]) == []
