"""Sessions of `pytest --benchmark` in a project of their own; workers answer by themselves."""

import pytest

from ondevice_bench.protocol.job import Findings, Reply
from ondevice_bench.record.store import Store
from ondevice_bench.run import session as session_module
from tests.run.test_session import FakeZygote, well

SUITE = """\
schema: 1
title: t
models: [{mcunet: {batch: [1, 2]}}]
methods: [vanilla]
measure: [trace]
"""


@pytest.fixture
def tests(pytester, monkeypatch):
    """A project with a suite, an ordinary test, and a YAML file of somebody else."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # these sessions are no workers
    monkeypatch.setattr(session_module, "ZygoteLauncher", FakeZygote)
    FakeZygote.seen, FakeZygote.answer = [], staticmethod(well)
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
            return Reply("ok", findings=Findings(metrics={"activation_bytes": activations}))
        seconds = step * (1 + next(rounds) % 7 / 1000)
        found = {"step_seconds": seconds}
        return Reply("ok", findings=Findings(found, {"step_seconds": [seconds] * 3}))

    FakeZygote.answer = staticmethod(answer)
