"""Processes that hang, stop, or say what nobody can read: every wait ends, and says why.

Small programs take the place of Python here, so that nothing imports torch.
"""

import contextlib
import signal
import subprocess
import sys
import time

import psutil
import pytest

from ondevice_bench.protocol import VERSION
from ondevice_bench.running.hosts import launch, worker_reply
from ondevice_bench.running.hosts.host import NoAnswer
from ondevice_bench.running.hosts.interpreter import Interpreter
from ondevice_bench.running.hosts.launch import (
    PassLauncher,
    SpawnLauncher,
    ZygoteEnded,
    ZygoteLauncher,
)
from ondevice_bench.running.hosts.local import local_host
from tests.workers import is_alive

HELLO = f'{{"protocol": {VERSION}, "software": {{}}, "threads": 1}}'
# what a zygote, a worker or a process that answers questions may do, by name
PROGRAM = """\
#!{python}
import json, os, signal, socket, subprocess, sys, time

def say(text):
    os.write(fd, text)

def fork_and_sleep():
    subprocess.Popen(["sleep", "600"], close_fds=False)

def stop():
    os.kill(os.getpid(), signal.SIGSTOP)

fd = int(sys.argv[-1]) if sys.argv[-1].isdecimal() else 1
{does}
"""


@pytest.fixture
def program(tmp_path):
    """Write a program that does this instead of what Python would do."""

    def write(does):
        path = tmp_path / "program"
        path.write_text(PROGRAM.format(python=sys.executable, does=does))
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(launch, "EXIT_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(worker_reply, "LATE_SECONDS", 0.2)
    monkeypatch.setattr(launch, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(worker_reply, "TICK_SECONDS", 0.1)


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("stop()", "it did not answer within 0.1 s"),
        ("time.sleep(600)", "it did not answer within 0.1 s"),
        ("os.close(fd); time.sleep(600)", "it printed nothing"),
        ("say(b'nonsense')", "its message cannot be read"),
        ("say(b'[' * 60000)", "its message cannot be read"),
        ("say(b'[1]')", "its message cannot be read"),
    ],
)
def test_a_handshake_has_a_deadline(program, odd_job, monkeypatch, does, reason):
    monkeypatch.setattr(launch, "HELLO_SECONDS", 0.1 if "within" in reason else 60.0)
    launcher = PassLauncher(None, lambda: ZygoteLauncher({}, program(does)))
    with contextlib.closing(launcher):
        with pytest.raises(ZygoteEnded) as error:
            _ = launcher.zygote.hello
        assert str(error.value) == reason
        launcher.renew()
        outcome = launcher.launch(odd_job("well"), 600, lambda: None)
        assert outcome.reply.status == "failed"
        assert outcome.reply.reason == f"the process that forks workers ended: {reason}"


_LOST = "the process that forks workers ended: "


@pytest.mark.parametrize(
    ("does", "status", "reason"),
    [
        # as under a shortage of memory: the worker has had its time
        ("stop()", "timeout", "no result within 0.5 s"),
        ("[s.recv(99999) for _ in range(9)]", "failed", f"{_LOST}it did not answer within 0.2 s"),
        (
            "s.recv(99999); s.send(b'nonsense'); time.sleep(9)",
            "failed",
            f"{_LOST}its message cannot be read",
        ),
        (
            "s.recv(99999); s.send(b'{\"exit\": []}'); time.sleep(9)",
            "failed",
            f"{_LOST}its message cannot be read",
        ),
    ],
)
def test_a_zygote_that_hangs_after_its_handshake_costs_one_cell(
    program, odd_job, does, status, reason
):
    hello = f"s = socket.socket(fileno=fd)\ns.send({HELLO.encode()!r})\n"
    with ZygoteLauncher({}, program(hello + does)) as zygote:
        assert zygote.can_fork
        reply = zygote.launch(odd_job("well"), 0.5, lambda: None).reply
        assert (reply.status, reply.reason) == (status, reason)
        assert zygote.can_fork  # another has started in its place


def children_with(word):
    """The children of this process that have this word in their command lines."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            found += [child] if word in child.cmdline() else []
    return found


GOOD = '{"status": "ok", "reason": "", "traceback": "", "result": {}}\\n'
ABORT = "terminate called after an error\n  what():  std::bad_alloc"  # of C++
ANSWERED = GOOD.replace("{}", '{"details": {"answers": 3}}')


@pytest.mark.parametrize(
    ("does", "status", "reason"),
    [
        (f"say(b'{GOOD}')", "ok", ""),
        (f"fork_and_sleep(); say(b'{GOOD}')", "ok", ""),
        (f"say(b'{GOOD}'); stop()", "ok", ""),
        (f"say(b'{GOOD}' * 1000)", "failed", "the worker's reply cannot be read"),
        ("say(b'nonsense\\n')", "failed", "the worker's reply cannot be read"),
        ("say(b'nonsense')", "failed", "the worker's reply cannot be read"),
        ("say(b'\\n')", "failed", "the worker's reply cannot be read"),
        ("say(b'[]\\n')", "failed", "the worker's reply cannot be read"),
        ("say(b'{\"status\": 3}\\n')", "failed", "the worker's reply cannot be read"),
        ("say(b'[' * 50000 + b'\\n')", "failed", "the worker's reply cannot be read"),
        ("while True: say(b'x' * 50000)", "failed", "the worker's reply cannot be read"),
        ("stop()", "timeout", "no result within 0.5 s"),
        ("while True: time.sleep(0.01); say(b'x')", "timeout", "no result within 0.5 s"),
        ("fork_and_sleep(); os._exit(7)", "failed", "the worker ended with status 7"),
        ("os.kill(os.getpid(), 40)", "failed", "killed by signal 40"),
        ("print('MemoryError', flush=True); os._exit(1)", "oom", "memory ran out: MemoryError"),
        ("print('std::bad_alloc', flush=True); os.abort()", "failed", "killed by SIGABRT"),
        (f"print({ABORT!r}, flush=True); os.abort()", "oom", "memory ran out: what():  std::bad"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "failed", "killed by SIGSEGV"),
    ],
)
def test_whatever_comes_through_the_reply_pipe_becomes_an_outcome(
    program, odd_job, monkeypatch, does, status, reason
):
    monkeypatch.setattr(worker_reply, "MOST_REPLY_BYTES", 1 << 20)
    limit = 0.5 if status == "timeout" else 60
    path = program(f"print('here', flush=True)\n{does}")
    outcome = SpawnLauncher({}, path).launch(odd_job("well"), limit, lambda: None)
    assert outcome.reply.status == status
    assert outcome.reply.reason.startswith(reason)
    assert outcome.output.startswith("here\n")
    assert outcome.seconds < 30
    assert not children_with(path)


def test_a_reply_that_lies_ready_at_the_deadline_counts(program, odd_job):
    """A parent that was stopped for a while, or had too little of a processor."""
    launcher = SpawnLauncher({}, program(f"time.sleep(0.5); say(b'{GOOD}')"))
    outcome = launcher.launch(odd_job("well"), 1.0, lambda: time.sleep(1.5))
    assert outcome.reply.status == "ok"
    assert outcome.seconds > 1.0


def test_what_a_worker_forked_ends_with_it(program, odd_job):
    does = f'print(subprocess.Popen(["sleep", "600"]).pid, flush=True); say(b\'{GOOD}\')'
    outcome = SpawnLauncher({}, program(does)).launch(odd_job("well"), 60, lambda: None)
    assert outcome.reply.status == "ok"
    child = int(outcome.output)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.wait_procs([psutil.Process(child)], timeout=5)  # its new parent reaps it
    assert not is_alive(child)


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("stop()", "gave no answer: no result within 0.5 s: here"),
        (f"say(b'{GOOD}')", "answered what cannot be read: None"),
        (f"say(b'{GOOD}'.replace(b'{{}}', b'[]'))", "gave no answer: the worker's reply cannot be"),
        (f"say(b'{ANSWERED}')", "answered what cannot be read: 3"),
        (f"say(b'{ANSWERED}'.replace(b'3', b'[1]'))", "answered what cannot be read: [1]"),
        (
            f"say(b'{ANSWERED}'.replace(b'3', b'[{{}}, {{}}]'))",
            "answered what cannot be read: [{},",
        ),
        ("fork_and_sleep()", "gave no answer: the worker ended with status 0 and no result: here"),
    ],
)
def test_a_question_has_a_deadline_and_an_answer_a_form(program, does, reason):
    """Where a zygote has threads, a new interpreter answers."""
    many = HELLO.replace('"threads": 1', '"threads": 2')
    zygote = f"socket.socket(fileno=fd).send({many.encode()!r}); time.sleep(9)"
    path = program(f"if 'zygote' in sys.argv[3]: {zygote}\nprint('here', flush=True)\n{does}")
    with local_host(interpreter=Interpreter(path)) as host, pytest.raises(NoAnswer) as error:
        host.ask("describe", [{}], 0.5 if does == "stop()" else 60)
    assert str(error.value).startswith(reason)


def test_a_zygote_does_not_outlive_a_parent_that_is_killed_while_it_imports_torch(tmp_path):
    (tmp_path / "torch.py").write_text("import time\nprint('importing')\ntime.sleep(600)\n")
    script = (
        "import sys, time\n"
        "from ondevice_bench.running.hosts.interpreter import worker_environment\n"
        "from ondevice_bench.running.hosts.launch import ZygoteLauncher\n"
        "zygote = ZygoteLauncher(worker_environment(1, [sys.argv[1]]))\n"
        "print(zygote._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
    ) as parent:
        orphan = psutil.Process(int(parent.stdout.readline()))
        try:
            end = time.monotonic() + 30
            while not _imports(orphan) and time.monotonic() < end:
                time.sleep(0.02)
        finally:
            parent.kill()
    gone, _ = psutil.wait_procs([orphan], timeout=20)
    with contextlib.suppress(psutil.NoSuchProcess):
        orphan.kill()
    assert gone


def _imports(process):
    """Whether its own code runs: it then catches the signal of a child's end."""
    with open(f"/proc/{process.pid}/status") as file:
        caught = next(line for line in file if line.startswith("SigCgt"))
    return int(caught.split()[1], 16) >> (signal.SIGCHLD - 1) & 1
