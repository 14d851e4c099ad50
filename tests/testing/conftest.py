"""Sessions of pytest in a project of their own, of cells or steps; workers answer by themselves."""

import itertools

import pytest

from ondevice_bench.analyse.summarise import summarise
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
# as pytest-rerunfailures does: each test is run twice, and only the second attempt is reported
RUN_AGAIN = (
    CONFTEST
    + """

def pytest_runtest_protocol(item, nextitem):
    from _pytest.runner import runtestprotocol

    for is_last in (False, True):
        if hasattr(item, "_initrequest"):
            item._initrequest()
        runtestprotocol(item, nextitem=nextitem, log=is_last)
    return True
"""
)
STEP = "def step(a):\n    pass\n\ndef setup():\n    return 1\n\n"
PEAKS = itertools.count()  # of steps that are well


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


@pytest.fixture
def steps(pytester, monkeypatch, hosts):
    """A project with a step; no process is started."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    hosts.answer = well_step

    def run(test, *arguments):
        pytester.makepyfile(test_mine=STEP + test)
        return pytester.runpytest("test_mine.py", *arguments)

    run.path, run.run, run.session = pytester.path, pytester.run, pytester.runpytest
    return run


def well_step(job):
    """The answer of a step that is well; each of its peaks is another one."""
    passes = {
        "step_trace": PassResult({"activation_bytes": 4096.0, "step_flops": 2e9}),
        "step_time": PassResult({"step_seconds": 0.02}, {"step_seconds": [0.01, 0.02, 0.03]}),
        "step_memory": PassResult(
            {"peak_rss_bytes": 3e8, "peak_rss_over_runtime_bytes": 1e8 + next(PEAKS)}
        ),
    }
    return Reply("ok", result=passes[job.pass_name])


def stored_steps(steps):
    """The runs of the project, the oldest first."""
    path = steps.path / "bench-out/steps/results.sqlite"
    with Store.open(path) as store:
        return [summarise(store, run) for run in store.runs()]
