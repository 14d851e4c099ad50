"""Sessions of `pytest --benchmark` in a project of their own; workers answer by themselves."""

import pytest

from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.record.store import Store
from tests.running.test_session import well
from tests.testing.hosts import FakeHosts, now

SUITE = """\
schema: 1
title: t
models: [{mcunet: {batch: [1, 2]}}]
methods: [vanilla]
measure: [trace]
"""


CONFTEST = """\
from tests.testing import hosts


def pytest_bench_host(config, hardware):
    return hosts.now[-1].host(hardware)
"""


@pytest.fixture
def hosts(pytester):
    """The hosts of the project's sessions, which its conftest chooses; no process is started."""
    pytester.makeconftest(CONFTEST)
    given = FakeHosts(well)
    now.append(given)
    yield given
    now.remove(given)


@pytest.fixture
def tests(pytester, monkeypatch, hosts):
    """A project with a suite, an ordinary test, and a YAML file of somebody else."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # these sessions are no workers
    (pytester.path / "suites").mkdir()
    pytester.makefile(".yaml", **{"suites/small": SUITE, "other": "a: 1\n"})
    pytester.makepyfile(test_ordinary="def test_ordinary():\n    pass\n")
    return pytester


def statuses(pytester, suite="small", folder="bench-out"):
    with Store.open(pytester.path / folder / suite / "results.sqlite") as store:
        return {run.id: store.statuses(run.id) for run in store.runs()}


def answering(activations=100.0, step=1.0):
    """Workers that say so of every cell; steps vary a little from process to process."""
    rounds = iter(range(10**6))

    def answer(job):
        if job.pass_name == "trace":
            return Reply("ok", result=PassResult(metrics={"activation_bytes": activations}))
        seconds = step * (1 + next(rounds) % 7 / 1000)
        found = {"step_seconds": seconds}
        return Reply("ok", result=PassResult(found, {"step_seconds": [seconds] * 3}))

    return answer
