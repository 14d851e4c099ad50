"""Workers as they are really started: forked and spawned, well and badly behaved."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

import ondevice_bench
from ondevice_bench.protocol.job import Reply
from ondevice_bench.protocol.questions import Questions
from ondevice_bench.running.hosts import interpreter, launch, worker_reply
from ondevice_bench.running.hosts.host import Outcome
from ondevice_bench.running.hosts.launch import PassLauncher, ZygoteLauncher
from tests.workers import THREADS, is_alive


def workers_below(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        below = psutil.Process(pid).children(recursive=True)
        return [each for each in below if any("worker." in word for word in each.cmdline())]
    return []


def test_forked_and_spawned_workers_compute_the_same_with_the_same_threads(
    zygote, spawner, make_job
):
    forked = zygote.launch(make_job("time"), 120, lambda: None)
    spawned = spawner.launch(make_job("time"), 120, lambda: None)
    assert (forked.launch, spawned.launch) == ("forked", "spawned")
    assert forked.reply.status == spawned.reply.status == "ok"
    one, two = forked.reply.result.details, spawned.reply.result.details
    assert one["threads"] == two["threads"] == THREADS
    assert one["losses"] == two["losses"]
    assert one["packages"] == two["packages"]


def test_a_forked_floor_is_lower_than_a_spawned_one_so_memory_is_spawned(zygote, spawner, make_job):
    # file pages of the libraries are not mapped in a forked child before it uses them
    chosen = PassLauncher(spawner, lambda: zygote)
    floors = {}
    for launcher in (zygote, chosen):
        outcome = launcher.launch(make_job("memory"), 120, lambda: None)
        floors[outcome.launch] = outcome.reply.result.metrics["runtime_floor_bytes"]
    assert floors["forked"] < 0.9 * floors["spawned"]
    assert chosen.launch(make_job("trace"), 120, lambda: None).launch == "forked"


class Spawning:
    """A launcher whose worker has replied already."""

    def launch(self, job, timeout, tick):
        return Outcome(Reply("ok"), "spawned", 0.0)


def test_a_job_that_is_spawned_starts_no_zygote(odd_job):
    def start_zygote():
        raise AssertionError("nothing needs a zygote here")

    chosen = PassLauncher(Spawning(), start_zygote)
    for work in (odd_job("well", "memory"), Questions("conformance", [], ())):
        assert chosen.launch(work, 120, lambda: None).reply.status == "ok"
    chosen.renew()
    chosen.close()


def test_the_zygote_has_imported_torch_and_started_no_thread(zygote):
    assert zygote.hello["threads"] == 1
    assert zygote.can_fork
    process = psutil.Process(zygote._process.pid)
    assert process.num_threads() == 1
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert "libtorch_cpu" in maps
    assert zygote.hello["software"]["torch"]


def test_a_zygote_with_threads_is_never_forked(zygote, odd_job, monkeypatch):
    monkeypatch.setattr(zygote, "_hello", {**zygote.hello, "threads": 2})
    chosen = PassLauncher(Spawning(), lambda: zygote)
    outcome = chosen.launch(odd_job("well", "trace"), 120, lambda: None)
    assert (outcome.launch, outcome.reply.status) == ("spawned", "ok")


def test_a_worker_carries_torch_and_the_standard_library_and_nothing_of_the_parents(
    zygote, make_job
):
    alone = subprocess.run(
        [sys.executable, "-c", _TORCH_ALONE], capture_output=True, text=True, check=True
    )
    for name in ("time", "trace"):
        outcome = zygote.launch(make_job(name), 120, lambda: None)
        packages = set(outcome.reply.result.details["packages"])
        assert packages - {"ondevice_bench"} <= set(alone.stdout.split())


_TORCH_ALONE = """
import sys, torch
torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
print(*{name.partition(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize(
    ("does", "status", "reason"),
    [
        ("raise", "failed", "ValueError: a model that cannot be"),
        ("exit", "failed", "the worker ended with status 7 and no result"),
        ("segfault", "failed", "killed by SIGSEGV"),
        ("kill", "failed", "killed by SIGKILL"),
        ("huge", "oom", "the model: could not allocate 4294967296.00 MiB"),
    ],
)
def test_whatever_a_worker_does_becomes_an_outcome(zygote, odd_job, does, status, reason):
    """`test_deadlines.py` has the same of spawned workers."""
    outcome = zygote.launch(odd_job(does), 120, lambda: None)
    assert outcome.reply.status == status
    assert outcome.reply.reason.startswith(reason)
    assert f"constructing {does}" in outcome.output
    assert "\n" not in outcome.reply.reason


def test_the_zygote_outlives_its_workers(zygote, odd_job):
    zygote.launch(odd_job("segfault"), 120, lambda: None)
    of_many_layers = replace(odd_job("well"), source={"path": "x" * 1_000_000})
    assert zygote.launch(of_many_layers, 120, lambda: None).reply.status == "ok"


def test_a_kill_by_the_kernel_for_want_of_memory_is_told_from_any_other(
    zygote, odd_job, monkeypatch
):
    kills = iter([3, 3, 4])  # the kernel's counter, before and after
    monkeypatch.setattr(worker_reply, "oom_kills", lambda: next(kills))
    outcome = zygote.launch(odd_job("kill"), 120, lambda: None)
    assert outcome.reply.status == "oom"
    assert outcome.reply.reason == "killed by the kernel because memory ran out"


@pytest.mark.parametrize(
    ("traceback", "before", "status"),
    [
        ("RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed. ", 3, "oom"),
        ("RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed. ", 4, "failed"),
        ("RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed. ", None, "failed"),
        ("RuntimeError: other", 3, "failed"),
    ],
)
def test_a_kill_of_a_process_that_loads_batches_is_told_from_any_other(
    monkeypatch, traceback, before, status
):
    monkeypatch.setattr(worker_reply, "oom_kills", lambda: 4)
    text = Reply("failed", "RuntimeError", traceback).to_text()
    assert worker_reply.judge(text, 0, 60, before).status == status


@pytest.mark.parametrize(
    ("reason", "before", "status"),
    [
        ("the process ended", 3, "oom"),
        ("the process ended", 4, "failed"),
        ("the process ended", None, "failed"),
        ("it cannot be started: Cannot allocate memory", None, "oom"),
        ("OSError: [Errno 12] Cannot allocate memory", 4, "oom"),  # a zygote that cannot fork
    ],
)
def test_a_worker_that_is_lost_to_a_shortage_is_out_of_memory(monkeypatch, reason, before, status):
    monkeypatch.setattr(worker_reply, "oom_kills", lambda: 4)
    assert worker_reply.lost(reason, before).status == status


def test_a_kernel_that_counts_no_kills_is_named():
    reply = worker_reply.judge("", -signal.SIGKILL, 60, None)
    assert reply.reason == "killed by SIGKILL: this kernel does not say whether memory ran out"


def test_a_worker_that_does_not_end_is_killed_and_the_parent_sleeps_until_then(zygote, odd_job):
    ticks = []
    before = time.process_time()
    outcome = zygote.launch(odd_job("sleep"), 0.5, lambda: ticks.append(1))
    assert time.process_time() - before < 0.05
    assert outcome.reply == Reply("timeout", reason="no result within 0.5 s")
    assert ticks
    assert not [worker for child in workers_below(os.getpid()) for worker in child.children()]


def test_a_worker_that_replied_is_not_waited_for(zygote, odd_job):
    outcome = zygote.launch(odd_job("linger"), 120, lambda: None)
    assert outcome.reply.status == "ok"
    assert outcome.seconds < 60


def test_an_interrupt_in_the_parent_kills_the_worker(zygote, spawner, odd_job):
    def interrupt():
        raise KeyboardInterrupt

    for launcher in (zygote, spawner):
        with pytest.raises(KeyboardInterrupt):
            launcher.launch(odd_job("sleep"), 120, interrupt)
    assert [p.pid for p in workers_below(os.getpid())] == [zygote._process.pid]


def test_a_zygote_that_dies_is_replaced_and_outlives_the_thread_that_did_so(zygote, odd_job):
    """One side of a comparison is launched by a thread of its own, and may have to replace it."""
    lost = []
    os.kill(zygote._process.pid, signal.SIGKILL)
    side = threading.Thread(
        target=lambda: lost.append(zygote.launch(odd_job("well"), 120, lambda: None))
    )
    side.start()
    side.join()
    assert lost[0].reply.status == "failed"
    assert "the process that forks workers ended" in lost[0].reply.reason
    assert zygote.launch(odd_job("well"), 120, lambda: None).reply.status == "ok"


def test_workers_die_with_a_parent_that_is_killed(odd_folder, odd_job):
    """Kill -9 of the parent takes the zygote and its worker along."""
    job = odd_job("sleep")
    script = (
        "import sys\n"
        "from ondevice_bench.protocol.job import Job\n"
        "from ondevice_bench.running.hosts.interpreter import worker_environment\n"
        "from ondevice_bench.running.hosts.launch import ZygoteLauncher\n"
        "zygote = ZygoteLauncher(worker_environment(1, [sys.argv[1]]))\n"
        "assert zygote.can_fork\n"
        "zygote.launch(Job.from_text(sys.argv[2]), 600, lambda: print('waiting', flush=True))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(odd_folder), job.to_text()], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout.readline() == b"waiting\n"
        family = workers_below(parent.pid)
        assert len(family) == 2
        parent.kill()
    gone, alive = psutil.wait_procs(family, timeout=20)
    assert (len(gone), alive) == (2, [])


def test_a_workers_environment_is_an_allow_list_plus_the_profiles_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    environment = interpreter.worker_environment(3)
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert environment["LC_ALL"] == "C.UTF-8"
    assert not {"SECRET_TOKEN", "MALLOC_ARENA_MAX"} & set(environment)


def test_a_worker_imports_this_bench_even_where_the_working_directory_has_another(
    workplace, make_job
):
    (workplace / "ondevice_bench").mkdir()
    wrong = workplace / "ondevice_bench" / "__init__.py"
    wrong.write_text("raise RuntimeError('the wrong package')")
    with ZygoteLauncher(interpreter.worker_environment(1)) as zygote:
        assert zygote.launch(make_job("trace"), 120, lambda: None).reply.status == "ok"


def test_workers_run_the_code_of_the_parent_that_starts_them(tmp_path):
    """A checkout that is run where another one is installed."""
    shutil.copytree(Path(ondevice_bench.__file__).parent, tmp_path / "ondevice_bench")
    (tmp_path / "ondevice_bench/worker/zygote.py").write_text("raise RuntimeError('the copy')\n")
    script = (
        "from ondevice_bench.running.hosts.interpreter import worker_environment\n"
        "from ondevice_bench.running.hosts.launch import ZygoteLauncher\n"
        "with ZygoteLauncher(worker_environment(1)) as zygote: zygote.hello\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "RuntimeError: the copy" in done.stderr


def test_a_zygote_that_cannot_start_says_why():
    broken = {"PYTHONHOME": "/none"}
    with (
        ZygoteLauncher(broken) as zygote,
        pytest.raises(launch.ZygoteEnded, match="ModuleNotFoundError: No module named 'encodings'"),
    ):
        _ = zygote.hello


def test_a_process_that_cannot_be_started_costs_one_cell(environment, odd_job, monkeypatch):
    """No more processes, no memory, an interpreter that may not be executed, too many files."""
    spawner = launch.SpawnLauncher(environment)
    forked = odd_job("well")
    spawned = replace(forked, pass_name="memory")
    with (
        contextlib.closing(PassLauncher(spawner, lambda: ZygoteLauncher(environment))) as launcher,
        monkeypatch.context() as patched,
    ):
        for number in (errno.EAGAIN, errno.ENOMEM, errno.EACCES, errno.EMFILE):
            refusal = OSError(number, os.strerror(number))
            patched.setattr(subprocess, "Popen", Mock(side_effect=refusal))
            why = f"cannot be started: {refusal.strerror}"
            for job, reason in (
                (forked, f"the process that forks workers ended: it {why}"),
                (spawned, f"a worker {why}"),
            ):
                lost = launcher.launch(job, 120, lambda: None)
                assert lost.reply.status == ("oom" if number == errno.ENOMEM else "failed")
                assert lost.reply.reason.startswith(reason)
            launcher.renew()
            with pytest.raises(launch.ZygoteEnded, match="it cannot be started"):
                _ = launcher.zygote.hello
            launcher.renew()
        patched.undo()
        assert launcher.launch(forked, 120, lambda: None).reply.status == "ok"


@pytest.mark.parametrize("kind", ["zygote", "spawner"])
def test_a_worker_takes_its_family_along(request, odd_job, kind):
    """Also what has left its session."""
    outcome = request.getfixturevalue(kind).launch(odd_job("family"), 120, lambda: None)
    assert outcome.reply.status == "ok"
    children = outcome.output.split()[2:]
    assert len(children) == 2
    assert not any(map(is_alive, children))


def test_a_zygote_ends_the_family_of_a_worker_that_crashed(zygote, odd_job):
    outcome = zygote.launch(odd_job("crash with a family"), 120, lambda: None)
    assert outcome.reply.reason == "killed by SIGSEGV"
    children = outcome.output.split()[-2:]
    assert not any(map(is_alive, children))
    assert zygote.launch(odd_job("well"), 120, lambda: None).reply.status == "ok"


def test_an_interrupt_stays_one_if_the_zygote_does_not_answer(zygote, odd_job, monkeypatch):
    for name in ("ANSWER_SECONDS", "EXIT_GRACE_SECONDS"):
        monkeypatch.setattr(launch, name, 0.3)

    def interrupt():
        os.kill(zygote._process.pid, signal.SIGSTOP)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zygote.launch(odd_job("sleep"), 120, interrupt)
    monkeypatch.undo()
    assert zygote.launch(odd_job("well"), 120, lambda: None).reply.status == "ok"


def test_a_worker_that_stops_its_zygote_costs_one_cell(zygote, odd_job, monkeypatch):
    for name in ("ANSWER_SECONDS", "EXIT_GRACE_SECONDS"):
        monkeypatch.setattr(launch, name, 0.3)
    outcome = zygote.launch(odd_job("stop the zygote"), 2, lambda: None)
    assert outcome.reply.status == "failed"
    assert outcome.reply.reason.endswith("it did not answer within 0.3 s")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSYS])
def test_a_worker_that_cannot_be_watched_is_killed(spawner, make_job, monkeypatch, number):
    """There is no descriptor left, or the kernel has no such call: nothing may go on beside."""

    def no_descriptor(pid):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pidfd_open", no_descriptor)
    job, before = make_job("memory"), workers_below(os.getpid())
    outcome = PassLauncher(spawner, Mock()).launch(job, 120, lambda: None)
    reason = f"a worker cannot be started: {os.strerror(number)}"
    assert (outcome.reply.status, outcome.reply.reason) == ("failed", reason)
    assert workers_below(os.getpid()) == before
