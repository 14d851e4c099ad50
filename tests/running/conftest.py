"""Sessions without a worker: a host that answers by itself."""

import contextlib
import dataclasses

import pytest

from ondevice_bench.hardware.probe import probe
from ondevice_bench.hardware.profile import recognise
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.progress import Silent
from ondevice_bench.running.request import Request
from ondevice_bench.running.session import open_session
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan

SUITE = """\
schema: 1
title: t
models: [{mcunet: {batch: [1, 2]}}, {vit_b_32: {depth: 1, image_size: 32, batch: 1}}]
methods: [vanilla]
measure: [trace, time]
rounds: 2
"""


def well(job):
    metric = "activation_bytes" if job.pass_name == "trace" else "step_seconds"
    return Reply("ok", result=PassResult(metrics={metric: 1.0}))


@pytest.fixture
def host():
    """A host that answers every job well."""
    machine = probe()
    return FakeHost(well, profile=recognise(machine), machine=machine)


@pytest.fixture
def world(workplace, host):
    """A workplace in which `start(...)` opens a session without any process."""
    (workplace / "x.yaml").write_text(SUITE)

    @contextlib.contextmanager
    def start(progress=None, filters=(), **what):
        suite = load_suite("x.yaml")
        request = Request(
            suite=suite,
            plan=plan(suite, Board(host.profile.name), filters=filters),
            host=host,
            commit="abc",
            command="bench run x",
        )
        request = dataclasses.replace(request, **what)
        with open_session(request, workplace / "out", progress or Silent()) as opened:
            yield opened

    return start


@pytest.fixture
def stored(workplace):
    def read():
        with Store.open(workplace / "out" / FILE_NAME) as store:
            return {run.id: store.statuses(run.id) for run in store.runs()}

    return read
