"""The reason when memory runs out, and the limit itself in a separate process."""

import errno
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from torch import nn

from ondevice_bench.protocol.job import Reply
from ondevice_bench.worker import current_stage, out_of_memory, worker

GIB = 2**30
LIMITED = """
import torch
from ondevice_bench.measure import memory
from ondevice_bench.worker import out_of_memory
torch.ones(8 << 20).sum()
size = ({cap} - memory.resident().anonymous) // 8
out_of_memory.limit({cap}, threads=1)
try:
    kept = [torch.ones(size, dtype=torch.uint8) for _ in range({count})]
except RuntimeError as error:
    print("oom" if out_of_memory.is_shortage(error, {cap}) else error)
else:
    print("ok")
"""


class Greedy(nn.Module):
    """Asks for what nobody has."""

    def forward(self, x):
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: you tried to allocate 1048576 bytes."
        )


def test_the_reason_names_stage_bytes_layer_cap_and_what_was_used():
    network = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), Greedy()))
    current_stage.enter("forward")
    with pytest.raises(RuntimeError) as caught:
        network(1)
    reason = out_of_memory.reason(caught.value, 2 * GIB)
    assert reason.startswith("forward: could not allocate 1.00 MiB in 1.1 under a cap of 2 GiB")
    assert "highest resident memory before: " in reason


@pytest.mark.parametrize(
    ("error", "cap", "is_one"),
    [
        (MemoryError(), None, True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), None, True),
        (RuntimeError("std::bad_alloc"), None, True),
        (RuntimeError("unable to mmap 8 bytes: Cannot allocate memory (12)"), None, True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), None, True),  # of a fork
        (OSError(errno.ENOENT, "out of memory"), None, False),
        (RuntimeError("could not create a primitive"), GIB, True),
        (RuntimeError("could not create a primitive"), None, False),
        (RuntimeError("shapes cannot be multiplied"), GIB, False),
        (ValueError("can't allocate memory"), None, False),
    ],
)
def test_a_shortage_is_told_from_other_errors(error, cap, is_one):
    assert out_of_memory.is_shortage(error, cap) is is_one


@pytest.mark.parametrize(("count", "ends"), [(7, "ok"), (9, "oom")])
def test_a_cap_is_what_a_process_may_allocate(count, ends):
    """Eighths of what torch itself leaves of the cap: seven fit, nine do not."""
    script = LIMITED.format(cap=GIB, count=count)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{ends}\n"


def test_a_cap_has_room_for_the_stacks_of_the_threads_not_of_all_processors(monkeypatch):
    def limit(cap, threads):
        raise InterruptedError(cap, threads)

    monkeypatch.setattr(out_of_memory, "limit", limit)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with pytest.raises(InterruptedError) as caught:
        worker.serve(SimpleNamespace(cpus=range(64), memory_cap=GIB), 0)
    assert caught.value.args == (GIB, 2)


def test_a_worker_without_memory_for_an_error_says_that_memory_ran_out(monkeypatch, tmp_path):
    def perform(_):
        raise MemoryError

    def end(status):
        raise SystemExit(status)

    monkeypatch.setattr(worker, "perform", perform)
    monkeypatch.setattr(worker.runtime, "use_shared_blas", lambda *_: None)
    monkeypatch.setattr(worker.runtime, "end_children", lambda: None)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    monkeypatch.setattr(os, "_exit", end)
    path = tmp_path / "reply"
    with pytest.raises(SystemExit, match="0"):
        worker.serve(
            SimpleNamespace(cpus=(), memory_cap=None), os.open(path, os.O_CREAT | os.O_RDWR)
        )
    assert Reply.from_text(path.read_text()) == Reply("oom", "memory ran out")
