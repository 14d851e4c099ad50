"""Two boards in networks of their own: less memory, a cable that is pulled, a reboot."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.remote.conftest import RunningServer
from tests.remote.test_over_ssh import QUICK, records

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make networks"),
]
CAPPED = "schema: 1\ntitle: Board {n}\nextends: x86\nby_name_only: true\nmemory_cap: {n}G\n"


def ip(*words):
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
def boards(tmp_path):
    """Two servers, each in a network of its own, at the other end of a cable."""
    found = []
    try:
        for n in (1, 2):
            name, near, far = f"bench{n}", f"bench{n}a", f"bench{n}b"
            ip("netns", "add", name)
            ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
            ip("addr", "add", f"10.27.{n}.1/24", "dev", near)
            ip("link", "set", near, "up")
            ip("-n", name, "addr", "add", f"10.27.{n}.2/24", "dev", far)
            ip("-n", name, "link", "set", far, "up")
            server = RunningServer(tmp_path / name, host=f"10.27.{n}.2", namespace=name)
            found.append(server.__enter__())
        yield found
    finally:
        for server in found:
            server.stop()
        for n in (1, 2):
            subprocess.run(["ip", "netns", "del", f"bench{n}"], check=False)


@contextmanager
def memory_limit(server, gib: float):
    """Keep the server, and all that it starts from now on, below a limit of the kernel."""
    root = Path("/sys/fs/cgroup")
    group, limit = next(
        (
            (folder / f"bench-{server.namespace}", name)
            for folder, name in (
                (root / "memory", "memory.limit_in_bytes"),
                (root, "memory.max"),
            )
            if (folder / "cgroup.procs").exists()
        ),
        (None, ""),
    )
    try:
        assert group is not None
        group.mkdir()
        (group / limit).write_text(str(int(gib * (1 << 30))))
        (group / "cgroup.procs").write_text(str(server.process.pid))
    except (AssertionError, OSError) as error:
        pytest.skip(f"no memory limit can be set here: {error}")
    try:
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        server.process.wait()
        time.sleep(1)
        group.rmdir()


REAL = """\
schema: 1
title: What fits one board and not the other
models: [{mcunet: {batch: 2, image_size: 96}}, {vit_b_32: {batch: 1}}]
methods: [vanilla]
measure: [memory]
rounds: 1
"""


def test_what_does_not_fit_one_board_is_out_of_memory_there_and_measured_on_the_other(
    bench, workplace, boards
):
    write_hosts(workplace, boards, sys.executable)
    (workplace / "suites/quick.yaml").write_text(REAL)
    with memory_limit(boards[0], 0.75), memory_limit(boards[1], 4):
        ended = [
            bench("run", "quick", "--on", f"board{n}", "--out", f"out{n}", timeout=600)
            for n in (1, 2)
        ]
    assert [each.code for each in ended] == [3, 0], ended[0].err
    found = [
        {record.key.cell.split("/")[0]: record for record in records(place)[1]}
        for place in (workplace / f"out{n}/results.sqlite" for n in (1, 2))
    ]
    assert [each["mcunet"].status for each in found] == ["ok", "ok"]
    assert [each["vit_b_32"].status for each in found] == ["oom", "ok"]
    assert found[0]["vit_b_32"].reason == "killed by the kernel because memory ran out"


def write_hosts(workplace, boards, python):
    named = {
        f"board{n}": {
            "address": server.address,
            "folder": str(workplace / f"there{n}"),
            "python": str(python),
            "ssh_config": str(server.config),
        }
        for n, server in enumerate(boards, 1)
    }
    (workplace / "hosts.yaml").write_text(json.dumps({"schema": 1, "boards": named}))
    for folder in ("hardware", "suites", *(f"there{n}" for n in (1, 2))):
        (workplace / folder).mkdir()
    for n in (1, 2):
        (workplace / f"hardware/small{n}.yaml").write_text(CAPPED.format(n=n))
        (workplace / f"there{n}/rules.json").write_text(json.dumps({"seconds": 0.5}))
    (workplace / "suites/quick.yaml").write_text(QUICK)


def after_the_first_job(folder, action):
    def wait():
        while not (folder / "jobs").exists():
            time.sleep(0.05)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def run_all(bench, workplace, n):
    words = ("--on", f"board{n}", "--hardware", f"small{n}", "--out", f"out{n}")
    ended = bench("run", "quick", *words, timeout=380)
    assert ended.code == 0, ended.err
    assert "connecting again" in ended.err
    run, found = records(workplace / f"out{n}/results.sqlite")
    assert (run.profile, run.settings["memory_cap_bytes"]) == (f"small{n}", n << 30)
    assert sorted(record.key.cell for record in found) == [
        f"mcunet/vanilla/all/b{size}/s0" for size in (1, 2, 3)
    ]
    assert {record.status for record in found} == {"ok"}


def test_a_cable_that_is_pulled_and_a_board_that_reboots_lose_nothing(
    bench, workplace, boards, quick_python
):
    write_hosts(workplace, boards, quick_python)

    def pull():
        ip("link", "set", "bench1a", "down")
        time.sleep(75)  # ssh needs a minute to be sure
        ip("link", "set", "bench1a", "up")

    thread = after_the_first_job(workplace / "there1", pull)
    run_all(bench, workplace, 1)
    thread.join()

    def reboot():
        pids = subprocess.run(
            ["ip", "netns", "pids", "bench2"], capture_output=True, text=True, check=True
        ).stdout.split()
        for pid in pids:
            subprocess.run(["kill", "-9", pid], check=False)
        boards[1].process.wait()
        time.sleep(5)
        boards[1].start()

    thread = after_the_first_job(workplace / "there2", reboot)
    run_all(bench, workplace, 2)
    thread.join()
