"""Suites that run without a process."""

import pytest

from ondevice_bench.api import run as module
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.running.hosts import local
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.progress import Silent

KEYS = {
    "models": [{"mcunet": {"batch": [1, 2]}}],
    "methods": ["vanilla"],
    "measure": ["trace", "time"],
    "rounds": 1,
}


def well(job):
    if job.pass_name == "shapes":  # before the run: what a step needs
        return Reply("failed", "no shapes here")
    metric = "activation_bytes" if job.pass_name == "trace" else "step_seconds"
    return Reply("ok", result=PassResult(metrics={metric: 1.0}))


@pytest.fixture
def answered(workplace, monkeypatch):
    """Let this function answer the jobs of this machine."""

    def by(answer=well):
        hosts = []

        def host(hardware=None, memory_cap=None):
            hosts.append(FakeHost(answer, memory_cap=memory_cap))
            return hosts[-1]

        monkeypatch.setattr(local, "local_host", host)
        monkeypatch.setattr(module, "for_terminal", Silent)
        return hosts

    return by
