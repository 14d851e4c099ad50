"""What everything that starts a worker may rely on, whatever the host is."""

import inspect
from functools import partial
from pathlib import Path

import pytest

from ondevice_bench.ab import worktree
from ondevice_bench.data.batch import BatchStore
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.protocol import VERSION
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.running.hosts import launch
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.hosts.host import Host, HostError, NoAnswer
from ondevice_bench.running.hosts.local import local_host, planning_host
from ondevice_bench.running.queries.aa_trial import CELL
from ondevice_bench.running.queries.fit import fits
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.plan import plan
from tests.git import git

PROTOCOL = "bench/ondevice_bench/protocol/__init__.py"
OLDER = "compare two older refs with the bench of one of them"
HELD = """\
schema: 1
title: One processor, one thread
by_name_only: true
affinity: 1
threads: 1
memory_cap: 1G
"""


def test_the_profile_decides_processors_threads_and_memory(workplace):
    (workplace / "held.yaml").write_text(HELD)
    host = local_host("./held.yaml", memory_cap=2 << 30)
    assert (len(host.cpus), host.threads, host.memory_cap) == (1, 1, 1 << 30)
    assert local_host("./held.yaml", memory_cap=512 << 20).memory_cap == 512 << 20
    assert host.board.memory_gib == 1


def test_confirming_a_fit_keeps_to_the_processors_of_the_profile(workplace):
    """The confirmation once took every processor, whatever the profile said."""
    (workplace / "held.yaml").write_text(HELD)
    numbers = {
        "resident_bytes": 10.0,
        "batch_bytes": 1.0,
        "activation_bytes": 10.0,
        "step_flops": 1.0,
    }
    host = FakeHost(
        lambda job: Reply(
            "ok", result=PassResult(metrics={**numbers, "peak_bytes": 10.0 + 20 * job.cell.batch})
        ),
        profile=load_profile("./held.yaml"),
    )
    suite = Words(["mcunet"]).suite()
    (fit,) = fits(host, suite, plan(suite, HERE), 80, {}, confirm=True)
    assert fit.batch == 3
    assert {job.cpus for job in host.jobs} == {host.cpus}
    assert len(host.cpus) == 1
    assert "memory" in {job.pass_name for job in host.jobs}


def test_a_plan_for_another_board_needs_no_machine_of_that_kind(workplace):
    text = "schema: 1\ntitle: Elsewhere\nrecognise: {cpu: no such processor}\n"
    (workplace / "elsewhere.yaml").write_text(text)
    assert planning_host("./elsewhere.yaml").profile.name != "elsewhere"
    with pytest.raises(BadInput, match="this machine is not elsewhere"):
        local_host("./elsewhere.yaml")


def test_a_fake_host_is_a_whole_host():
    members = {name for name, _ in inspect.getmembers(Host)} - {"__abstractmethods__"}
    assert members <= set(dir(FakeHost()))


def test_a_job_has_the_files_of_the_host_and_none_of_this_side(workplace):
    job = JobMaker(FakeHost(), BatchStore(Path("batches"))).job(CELL, "time")
    assert job.batch_path.startswith("/fake/")
    assert str(workplace) not in job.to_text()


@pytest.mark.usefixtures("forked")
def test_a_worker_of_another_protocol_is_refused_before_it_measures(monkeypatch):
    monkeypatch.setattr(launch, "VERSION", VERSION + 1)
    with local_host() as host, pytest.raises(HostError) as error:
        host.software()
    assert str(error.value) == f"its worker protocol is {VERSION}, ours is {VERSION + 1}"


@pytest.mark.usefixtures("forked")
def test_a_question_without_an_answer_says_why(workplace):
    (workplace / "deadly.py").write_text("import os\nos._exit(3)\n")
    request = {"model": "deadly.py:net", "options": {}, "weights": None, "head": None}
    with local_host() as host, pytest.raises(NoAnswer, match="gave no answer: the worker ended w"):
        host.ask("describe", [request], 60)


@pytest.mark.parametrize(
    ("files", "theirs", "to_do"),
    [
        ({PROTOCOL: "VERSION = 99\n"}, "protocol 99", "use the bench of this ref"),
        ({PROTOCOL: "VERSION = 1\n"}, "protocol 1", OLDER),
        ({"bench/ondevice_bench/run/worker.py": ""}, "a protocol without a version", OLDER),
        ({"bench/run/worker.py": ""}, "a protocol without a version", OLDER),
    ],
)
def test_a_ref_of_this_project_with_another_protocol_is_refused(tmp_path, files, theirs, to_do):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with pytest.raises(BadInput) as error:
        worktree._require_protocol(worktree.Tree("v1", tmp_path, "abc", tmp_path, tmp_path))
    (line,) = error.value.lines
    speaks = f"v1: its workers speak {theirs}, this bench speaks protocol {VERSION}"
    assert line == f"{speaks}: {to_do}"


def test_an_older_ref_is_told_the_first_that_can_be_compared(tmp_path):
    run = partial(git, cwd=tmp_path)
    run("init", "-q")
    for version in (VERSION - 1, VERSION):
        (tmp_path / PROTOCOL).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / PROTOCOL).write_text(f"VERSION = {version}\n")
        run("add", ".")
        run("commit", "-qm", "x")
    first = run("rev-parse", "--short", "HEAD")
    assert worktree._what_can_be_compared(tmp_path) == f"choose a ref from {first} on, or {OLDER}"


def test_another_projects_tree_and_one_of_this_protocol_are_taken(tmp_path):
    tree = worktree.Tree("v1", tmp_path, "abc", tmp_path, tmp_path)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("")
    assert worktree._require_protocol(tree) is tree
    protocol = tmp_path / "bench/ondevice_bench/protocol"
    protocol.mkdir(parents=True)
    (protocol / "__init__.py").write_text(f"VERSION = {VERSION}\n")
    assert worktree._require_protocol(tree) is tree
