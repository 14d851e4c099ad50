"""The allocator of a cell, in the processes that really measure it."""

from dataclasses import replace

import pytest

from ondevice_bench import allocators
from ondevice_bench.hardware.allocator_libraries import missing_allocators
from ondevice_bench.running.hosts import interpreter, local
from ondevice_bench.running.hosts.interpreter import Interpreter
from ondevice_bench.running.hosts.launch import SpawnLauncher
from ondevice_bench.running.hosts.local import local_host

LIBRARIES = [each.name for each in allocators.ALL if each.libraries]


@pytest.fixture
def host(odd_folder):
    with local_host(interpreter=Interpreter(sources=(odd_folder,))) as host:
        yield host


def under(job, allocator):
    return replace(job, cell=replace(job.cell, allocator=allocator))


@pytest.mark.parametrize("name", LIBRARIES)
def test_forked_and_spawned_workers_have_the_library_of_the_cell(host, odd_job, name):
    if name in missing_allocators():
        pytest.skip(missing_allocators()[name])
    for pass_name, way in (("time", "forked"), ("memory", "spawned")):
        outcome = host.run(under(odd_job("show allocators", pass_name), name), 120)
        assert (outcome.reply.status, outcome.launch) == ("ok", way), outcome.reply.reason
        found = outcome.output.split()
        assert any(f.startswith(allocators.BY_NAME[name].libraries) for f in found), found
    assert name in outcome.reply.result.details["allocator"]


def test_a_host_has_a_zygote_for_each_allocator(host, odd_job):
    plain = host.run(odd_job("show allocators"), 120)
    assert plain.output.split("\n")[1:] == ["", ""]
    host.run(under(odd_job("show allocators"), "glibc-mmap-128k"), 120)
    assert set(host._launchers) == {"", "glibc-mmap-128k"}
    assert host._launchers["glibc-mmap-128k"].zygote._environment["MALLOC_MMAP_THRESHOLD_"]


def test_a_missing_library_fails_the_job_before_a_process_starts(host, odd_job, monkeypatch):
    monkeypatch.setattr(local, "missing_allocators", lambda: {"tcmalloc": "install it"})
    with local_host() as poor:
        outcome = poor.run(under(odd_job("nothing"), "tcmalloc"), 1)
    assert (outcome.reply.status, outcome.reply.reason) == ("failed", "install it")
    assert poor.board.missing_allocators == {"tcmalloc": "install it"}


def test_a_library_that_the_system_does_not_load_fails_the_job(odd_job, odd_folder):
    """The system only warns, and starts the process with another allocator."""
    spawner = SpawnLauncher(interpreter.worker_environment(1, [odd_folder]))
    reply = spawner.launch(under(odd_job("nothing"), "jemalloc"), 120, lambda: None).reply
    assert reply.status == "failed"
    assert reply.reason == "the system did not load jemalloc into the measured process"
