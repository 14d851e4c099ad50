"""A board behind a pipe: what is refused, what is asked again, and which files travel."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.errors import BadInput
from ondevice_bench.remote import host as hosts
from ondevice_bench.remote import link as links
from ondevice_bench.remote.host import BoardLost, SshHost
from ondevice_bench.remote.in_use import in_use
from ondevice_bench.remote.received_files import NotReceived, ReceivedFiles
from ondevice_bench.running.queries.aa_trial import CELL
from ondevice_bench.running.queries.jobs import JobMaker
from tests.board import MACHINE
from tests.remote.pipe import PipeWay


def rules(way, **values):
    (way.folder / "rules.json").write_text(json.dumps(values))


def job(host, batches):
    return JobMaker(host, BatchStore(batches)).job(CELL, "trace")


def jobs(way):
    return (way.folder / "jobs").read_text().splitlines()


def test_a_job_runs_there_and_a_file_travels_once(quick_board, tmp_path):
    with SshHost(quick_board) as host:
        asked = job(host, tmp_path / "batches")
        outcome = host.run(asked, 10)
        assert (outcome.reply.status, outcome.launch) == ("ok", "forked")
        assert outcome.reply.result.metrics["step_flops"] == 8.0
        sent = set(host._sent)
        host.run(asked, 10)
        assert len(host._sent) == len(sent) == 1
        assert str(tmp_path) not in asked.to_text()
    batch = jobs(quick_board)[0].split()[-1]
    assert batch.startswith(str(quick_board.folder))
    assert not Path(batch).exists()  # all files there are gone with the connection
    assert sorted(path.name for path in quick_board.folder.iterdir()) == ["in-use", "jobs"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"frames": 99}, "speaks protocol 99."),
        ({"protocol": 99}, ".99, here it is"),
        ({"code": "0" * 16}, "has bench "),
        ({"torch": "1.0"}, "has torch 1.0, here it is "),
        ({"torch": ""}, "has no torch"),
    ],
)
def test_a_board_with_other_software_is_refused_with_what_to_do(quick_board, said, expected):
    rules(quick_board, hello=said)
    with pytest.raises(BadInput) as error:
        SshHost(quick_board)
    (line,) = error.value.lines
    assert line.startswith("board: ")
    assert expected in line
    assert line.endswith("run `bench board setup board`")
    assert not (quick_board.folder / "jobs").exists()


def test_a_torch_of_another_architecture_may_be_another_release(quick_board):
    rules(quick_board, hello={"machine": MACHINE, "torch": "2.9.1"})
    with SshHost(quick_board) as host:
        assert host.machine.arch == "aarch64"
    rules(quick_board, hello={"machine": MACHINE, "torch": "1.9.1"})
    with pytest.raises(BadInput, match=r"has torch 1.9.1, this bench needs torch.* there"):
        SshHost(quick_board)


def test_the_profile_is_that_of_the_board(quick_board):
    rules(quick_board, hello={"machine": MACHINE, "torch": "2.9.1", "allowed": [0, 1, 2, 3]})
    with SshHost(quick_board) as host:
        assert (host.profile.name, host.board.memory_gib) == ("pi5-8gb", 8)


def test_two_desks_do_not_measure_at_once(quick_board):
    said = r"board: .*\(process \d+\) uses this board now"
    with SshHost(quick_board), pytest.raises(BadInput, match=said):
        SshHost(PipeWay(quick_board.folder, program=quick_board.program))
    with SshHost(quick_board):
        pass


def test_a_board_that_stops_answering_is_killed_and_asked_again(quick_board, tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "LAUNCH_SECONDS", 1.0)
    monkeypatch.setattr(links, "STALL_SECONDS", 1.0)
    told = []
    with SshHost(quick_board) as host:
        host.tell = told.append
        asked = job(host, tmp_path / "batches")
        first = quick_board.links[0]._process.pid
        # the process that stops is not the one that the desk can kill
        monkeypatch.setattr(links.Link, "kill", lambda link, grace=0.0: link.end_of_input())
        os.kill(first, signal.SIGSTOP)
        # until all its threads have stopped, one may read the whole file: the desk waits longer then
        os.waitid(os.P_PID, first, os.WSTOPPED | os.WNOWAIT)
        outcome = host.run(asked, 1)
        assert outcome.reply.status == "ok"
        (line,) = told
        assert line.startswith("board: the ")
        assert line.endswith("; connecting again …")
        assert len(jobs(quick_board)) == 1
        assert quick_board.links[0]._process.wait(10) == -signal.SIGKILL
        monkeypatch.undo()
    for each in quick_board.links:
        each.close()


def test_a_job_that_always_breaks_the_connection_fails_alone(quick_board, tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "ATTEMPTS", 2)
    rules(quick_board, seconds=0.3)

    def kill():
        known = 0
        while known < 2:
            time.sleep(0.02)
            if (quick_board.folder / "jobs").exists() and len(jobs(quick_board)) > known:
                known += 1
                quick_board.links[-1]._process.kill()

    with SshHost(quick_board) as host:
        killer = threading.Thread(target=kill)
        killer.start()
        outcome = host.run(job(host, tmp_path / "batches"), 10)
        killer.join()
        assert outcome.reply.status == "failed"
        assert outcome.reply.reason == "not measured: the connection was lost 2 times"
        assert outcome.is_lost
        assert host.run(job(host, tmp_path / "batches"), 10).reply.status == "ok"


def test_a_board_that_does_not_come_back_is_one_line(quick_board):
    with SshHost(quick_board) as host:
        host.patience = 0.3
        quick_board.links[-1]._process.kill()
        quick_board.program = ("false",)
        with pytest.raises(
            BoardLost, match=r"did not come back within 0.3 s: .*continues from there"
        ):
            host.state()


def test_a_board_that_has_no_python_for_a_moment_comes_back(quick_board, monkeypatch):
    """After a reboot, sshd answers before the disk of the environment is mounted."""
    program, missing = quick_board.program, "has no python: run `bench board setup board`"
    monkeypatch.setattr(PipeWay, "refusal", lambda way, *_: missing if way.broken else "")
    monkeypatch.setattr(PipeWay, "broken", False, raising=False)
    with SshHost(quick_board) as host:
        host.wait = lambda _: vars(quick_board).update(program=program, broken=False)
        quick_board.links[-1]._process.kill()
        quick_board.program, quick_board.broken = ("false",), True
        assert host.state().load_1min is not None
    quick_board.program, quick_board.broken = ("false",), True
    with pytest.raises(BadInput) as error:
        SshHost(quick_board)
    assert error.value.lines == (f"board: {missing}",)


def test_a_board_at_which_another_desk_looks_for_a_moment_comes_back(quick_board):
    """`bench fleet status` may take the board while the connection is lost."""
    with SshHost(quick_board) as host, contextlib.ExitStack() as other:
        quick_board.links[-1]._process.kill()
        quick_board.links[-1]._process.wait()
        other.enter_context(in_use(quick_board.folder, "another key", "ann@desk"))
        host.wait = lambda _: other.close()
        assert host.state().load_1min is not None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unit": "0" * 12}, "another machine answers now"),
        ({"allowed": [0, 1, 2, 3]}, "has other processors or another memory limit than before"),
        ({"memory_limit": 1 << 29}, "has other processors or another memory limit than before"),
    ],
)
def test_another_machine_in_its_place_is_refused(quick_board, changed, said):
    """Its times and peaks would stand beside those of the first one."""
    rules(quick_board, hello={"allowed": [0], "memory_limit": None})
    with SshHost(quick_board) as host:
        quick_board.links[-1]._process.kill()
        rules(quick_board, hello={"allowed": [0], "memory_limit": None, **changed})
        with pytest.raises(BoardLost, match=said):
            host.state()


def test_what_was_refused_once_is_not_asked_later(quick_board, monkeypatch):
    with SshHost(quick_board) as host:
        host.software()
        monkeypatch.setattr(hosts.answers, "software", lambda _: {"torch": "another"})
        quick_board.links[-1]._process.kill()
        for _ in range(2):
            with pytest.raises(BoardLost, match="has other software now than before"):
                host.state()


def test_one_process_may_have_several_boards_at_once(tmp_path, quick_board):
    def measure(number):
        folder = tmp_path / f"board{number}"
        folder.mkdir()
        with SshHost(PipeWay(folder, program=quick_board.program)) as host:
            replies = [host.run(job(host, tmp_path / f"batches{number}"), 10) for _ in range(3)]
        return [each.reply.status for each in replies], len(
            (folder / "jobs").read_text().split("\n")
        )

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(measure, range(3))) == [(["ok"] * 3, 4)] * 3


def test_a_file_that_changed_or_went_since_it_was_named_fails_its_own_job(quick_board, tmp_path):
    with SshHost(quick_board) as host:
        asked = job(host, tmp_path / "batches")
        (batch,) = (tmp_path / "batches").iterdir()
        batch.write_bytes(b"short")
        said = host.run(asked, 10).reply
        assert (said.status, said.reason) == (
            "failed",
            f"{batch.name}: its content changed while it was sent",
        )
        batch.unlink()
        assert "cannot be read: No such file" in host.run(asked, 10).reply.reason
        assert host.state().load_1min is not None
        assert len(quick_board.links) == 1


def test_a_folder_travels_with_all_its_files(quick_board, tmp_path):
    """The folder of a class may be a link, as in a choice of classes."""
    for name in ("pets/cat/1.png", "elsewhere/dog/2.png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_bytes("/".join(file.parts[-2:]).encode())
    (tmp_path / "pets/dog").symlink_to(tmp_path / "elsewhere/dog")
    with SshHost(quick_board) as host:
        source = {"kind": "folder", "path": host.put(tmp_path / "pets")}
        asked = replace(job(host, tmp_path / "batches"), source=source)
        assert str(tmp_path) not in json.dumps(asked.source)
        assert host.run(asked, 10).reply.status == "ok"
        found = {
            path.relative_to(path.parents[1]).as_posix(): path.read_bytes()
            for path in quick_board.folder.rglob("*.png")
        }
    assert found == {"cat/1.png": b"cat/1.png", "dog/2.png": b"dog/2.png"}


def test_the_command_of_a_meter_gets_no_folder_of_this_side(quick_board, tmp_path, monkeypatch):
    questions, ask = [], hosts.exchange

    def spied(link, question, *rest):
        questions.append(question)
        return ask(link, question, *rest)

    monkeypatch.setattr(hosts, "exchange", spied)
    power = {"kind": "command", "command": ["./meter"], "rails": [], "folder": str(tmp_path)}
    with SshHost(quick_board) as host:
        asked = replace(job(host, tmp_path / "batches"), power=power)
        assert host.run(asked, 10).reply.status == "ok"
    (sent,) = [each["job"] for each in questions if each["do"] == "run"]
    assert json.loads(sent)["power"] == {**power, "folder": None}


@pytest.mark.parametrize("place", ["../x", "/x", "a/../../x", "", "a\0b", "a/" * 600])
def test_no_file_lands_outside_of_its_folder(tmp_path, place):
    files = ReceivedFiles(tmp_path / "files")
    with pytest.raises(NotReceived, match="is not a place for a file"):
        files.receive(place, 1, "0", lambda: b"x")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["files"]


def test_a_file_with_another_content_than_announced_is_refused(tmp_path):
    files = ReceivedFiles(tmp_path / "files")
    with pytest.raises(NotReceived, match="changed while it was sent"):
        files.receive("a/b", 1, "0" * 64, lambda: b"x")
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


@contextlib.contextmanager
def small_disk(folder, size):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this container mounts nothing")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_there_fails_the_cell_and_says_so(quick_board, tmp_path):
    with small_disk(quick_board.folder, "16k"), SshHost(quick_board) as host:
        reply = host.run(job(host, tmp_path / "batches"), 10).reply
        assert reply.status == "failed"
        assert reply.reason.endswith("cannot be written on the board: No space left on device")
        assert host.state().load_1min is not None  # and the board still answers


def test_a_disk_that_is_full_of_earlier_files_is_emptied(quick_board, tmp_path):
    """As after several seeds, each with examples of its own."""
    with small_disk(quick_board.folder, "1m"), SshHost(quick_board) as host:
        asked = job(host, tmp_path / "batches")
        for name in ("first", "second"):
            file = tmp_path / name
            file.write_bytes(name.encode() * 100_000)
            source = {"kind": "npz", "path": host.put(file)}
            assert host.run(replace(asked, source=source), 10).reply.status == "ok"
        assert len(quick_board.links) == 2
