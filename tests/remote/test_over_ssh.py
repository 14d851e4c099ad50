"""`bench … --on` through a real sshd."""

import json
import os
import random
import shlex
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from ondevice_bench.record.store import Store
from ondevice_bench.remote.address import Address
from ondevice_bench.remote.ssh import ssh_words
from tests.conftest import TINY

EXACT = TINY.replace("methods: [vanilla]", "methods: [vanilla, checkpoint]") + "measure: [trace]\n"
QUICK = (
    "schema: 1\ntitle: Quick\nmodels: [{mcunet: {batch: [1, 2, 3]}}]\nmethods: [vanilla]\n"
    "measure: [trace]\nrounds: 1\n"
)


def records(store: Path):
    with Store.open(store) as opened:
        (run,) = opened.runs()
        return run, list(opened.records(run.id))


def equal_there_and_here(bench, workplace):
    """Measure `tiny` on board1 and here. The numbers are equal; each run and its records."""
    there = bench("run", "tiny", "--on", "board1", "--out", "there-out")
    here = bench("run", "tiny", "--out", "here-out")
    assert (there.code, here.code) == (0, 0), there.err
    there_run, remote = records(workplace / "there-out/results.sqlite")
    local_run, local = records(workplace / "here-out/results.sqlite")
    assert {r.key: r.metrics for r in remote} == {r.key: r.metrics for r in local}
    return (there_run, remote), (local_run, local)


def test_a_run_on_a_board_has_the_exact_numbers_of_a_run_here(
    bench, suite_file, server, hosts_file, workplace
):
    suite_file(EXACT)
    hosts_file(server, workplace / "there")
    (run, remote), (local_run, _) = equal_there_and_here(bench, workplace)
    assert {r.launch for r in remote} == {"forked"}
    assert run.machine.pop("unit")  # which of the boards it was
    assert run.machine == local_run.machine
    assert (run.software, run.profile) == (local_run.software, local_run.profile)
    assert sorted(path.name for path in (workplace / "there").iterdir()) == ["in-use"]
    assert (workplace / "there").stat().st_mode & 0o777 == 0o700


def test_a_board_recommends_by_its_own_times(bench, server, hosts_file, workplace, quick_python):
    (workplace / "space.yaml").write_text("schema: 1\ntitle: Two\nmethods: [vanilla, lean]\n")
    folder = workplace / "there"
    hosts_file(server, str(folder), quick_python)
    asked = ("recommend", "--model", "mcunet", "--space", "space.yaml", "--on", "board1")
    asked += ("--memory-cap", "256M", "--budget", "2m")
    ended = bench(*asked, "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert (found["winner"]["label"], found["decided"]) == ("vanilla", True)
    assert found["measured_on_the_board"]
    assert found["memory_bytes"] == 256 << 20
    jobs = (folder / "jobs").read_text().splitlines()
    assert sum(" time " in line for line in jobs) >= 6
    again = bench(*asked)
    assert again.code == 0, again.err
    assert "uncertain: times are those of this machine" not in again.out
    assert "0 new records" in again.out
    both = bench(*asked, "--board", "pi5-2gb")
    assert both.code == 2
    assert both.err.strip() == (
        "bench: --on and --board: --on names the board; its profile is --hardware"
    )


NASTY = ("my board", "a'b\"c", "$(touch owned)", "`touch owned`", "-x; touch owned", "ü & |")


@pytest.mark.parametrize("name", NASTY)
def test_no_name_is_read_by_a_shell_on_the_board(
    bench, suite_file, server, hosts_file, workplace, quick_python, name
):
    suite_file(QUICK)
    folder = str(workplace / name)
    hosts_file(server, folder, quick_python)
    ended = bench("run", "tiny", "--on", "board1")
    assert ended.code == 0, ended.err
    jobs = (workplace / name / "jobs").read_text().splitlines()
    assert len([line for line in jobs if " trace " in line]) == 3
    assert not list(workplace.rglob("owned"))
    assert not (Path.home() / "owned").exists()


def test_a_board_may_be_named_by_its_address(
    bench, suite_file, server, workplace, monkeypatch, quick_python
):
    """The client's configuration is the user's own: here a command `ssh` that names it."""
    suite_file(QUICK)
    shim = workplace / "bin/ssh"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {shlex.quote(str(server.config))} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:/usr/bin:/bin")
    ended = bench("plan", "tiny", "--on", server.address)
    assert ended.code == 2
    line = ended.err.strip()
    assert "run `bench board setup" in line
    assert "\n" not in line


def clients(server) -> list[int]:
    """The processes of `ssh` that use this server."""
    return pids_with("ssh", str(server.config))


def pids_with(*words: str) -> list[int]:
    """The processes with all these words in their command lines."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if {*words} <= {*(process.info["cmdline"] or ())}
    ]


class Breaker(threading.Thread):
    """Breaks the connection so many times: after some jobs, at a random moment, at either end."""

    def __init__(self, server, jobs: Path, times: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.server, self.jobs, self.left, self.draw = server, jobs, times, random.Random(seed)
        self.is_over = threading.Event()

    def run(self) -> None:
        seen = 0
        while self.left and not self.is_over.wait(0.02):
            count = len(self.jobs.read_text().splitlines()) if self.jobs.exists() else 0
            if count <= seen:
                continue
            seen = count
            self.is_over.wait(self.draw.uniform(0, 0.4))
            for pid in self.draw.choice((clients, type(self.server).sessions))(self.server):
                os.kill(pid, signal.SIGKILL)
                self.left -= 1


def broken_run(bench, workplace, server, breaks, seed, cells):
    there = workplace / "there"
    there.mkdir()
    (there / "rules.json").write_text(json.dumps({"seconds": 0.2}))
    (workplace / "suites").mkdir()
    (workplace / "suites/quick.yaml").write_text(QUICK.replace("[1, 2, 3]", str(cells)))
    breaker = Breaker(server, there / "jobs", breaks, seed)
    breaker.start()
    ended = bench("run", "quick", "--on", "board1", timeout=380)
    breaker.is_over.set()
    breaker.join()
    assert ended.code == 0, ended.err
    assert breaker.left <= 0
    assert "connecting again" in ended.err
    _, found = records(workplace / "bench-out/quick/results.sqlite")
    assert Counter(record.key.cell for record in found) == Counter(
        f"mcunet/vanilla/all/b{size}/s0" for size in cells
    )
    assert {record.status for record in found} == {"ok"}
    assert all(record.metrics["activation_bytes"] == len(record.key.cell) for record in found)
    assert [path.name for path in there.iterdir() if path.is_dir()] == []  # nothing is left there


def test_a_run_whose_connection_breaks_has_every_cell_once(
    bench, workplace, server, hosts_file, quick_python
):
    hosts_file(server, workplace / "there", quick_python)
    broken_run(bench, workplace, server, 4, 1, [1, 2, 3, 4, 5])


@pytest.mark.nightly
def test_a_run_whose_connection_breaks_twenty_times_has_every_cell_once(
    bench, workplace, server, hosts_file, quick_python
):
    hosts_file(server, workplace / "there", quick_python)
    broken_run(bench, workplace, server, 20, 2, [*range(1, 31)])


def one_line(ended) -> str:
    assert ended.code == 2, ended.err
    (line,) = ended.err.splitlines()
    return line


def test_a_changed_host_key_is_refused(bench, workplace, own_server, hosts_file, quick_python):
    hosts_file(own_server, workplace / "there", quick_python)
    own_server.new_host_key()
    line = one_line(bench("doctor", "--quick", "--on", "board1"))
    assert "board1: its host key has changed (Offending" in line
    assert not (workplace / "there").exists()


def test_a_command_for_logins_by_hand_does_not_stand_in_the_way(tmp_path):
    config = tmp_path / "ssh_config"
    config.write_text("Host *\nRemoteCommand tmux attach\nRequestTTY force\n")
    words = ssh_words(Address("board1", "pi@127.0.0.1", 1, ssh_config=config), ["true"])
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "Connection refused" in ended.stderr


def test_an_unknown_host_a_refused_key_and_a_closed_port_are_one_line_each(
    bench, workplace, own_server, hosts_file, quick_python
):
    hosts_file(own_server, workplace / "there", quick_python)
    known = own_server.folder / "known_hosts"
    key = known.read_text()
    known.write_text("")
    line = one_line(bench("doctor", "--quick", "--on", "board1"))
    assert f"its host key is unknown: connect once by hand with `ssh -p {own_server.port} " in line
    known.write_text(key)
    (own_server.folder / "authorized_keys").write_text("")
    line = one_line(bench("doctor", "--quick", "--on", "board1"))
    assert "Permission denied (publickey)" in line
    assert "set up a key with `ssh-copy-id`" in line
    own_server.stop()
    assert "Connection refused" in one_line(bench("doctor", "--quick", "--on", "board1"))


def test_a_board_without_bench_is_told_to_be_set_up(bench, workplace, server, hosts_file):
    hosts_file(server, workplace / "there", workplace / "no/python")
    line = one_line(bench("doctor", "--quick", "--on", "board1"))
    assert line.endswith("run `bench board setup board1`")
    bare = workplace / "bare"
    bare.write_text(
        f'#!/bin/sh\nunset PYTHONPATH\nexec {os.path.realpath(os.sys.executable)} -S "$@"\n'
    )
    bare.chmod(0o755)
    hosts_file(server, workplace / "there", bare)
    line = one_line(bench("doctor", "--quick", "--on", "board1"))
    assert "has no bench" in line
    assert line.endswith("run `bench board setup board1`")


def test_a_wrong_clock_there_is_told_and_changes_no_record(
    bench, workplace, suite_file, server, hosts_file, quick_python
):
    there = workplace / "there"
    there.mkdir()
    (there / "rules.json").write_text(json.dumps({"hello": {"clock": 1e9}}))
    hosts_file(server, there, quick_python)
    suite_file(QUICK)
    began = time.strftime("%Y-%m-%dT%H", time.gmtime())
    assert bench("run", "tiny", "--on", "board1").code == 0
    run, found = records(workplace / "bench-out/tiny/results.sqlite")
    assert all(record.started >= began for record in found)
    (finding,) = [each for each in run.settings["doctor"] if each["subject"] == "clock"]
    assert finding["said"].startswith("the board's clock differs by -")


def test_a_validation_over_ssh_is_a_bundle_and_judged_alike_elsewhere(
    bench, workplace, server, hosts_file, quick_python, tmp_path_factory
):
    """The quick board measures nothing: its figures are no desk's, and it is no Pi."""
    hosts_file(server, workplace / "there", quick_python)
    ended = bench("board", "validate", "--on", "board1", "-o", "v.bundle", "--json")
    assert ended.code == 5, ended.err
    found = json.loads(ended.out)
    outcomes = {each["subject"]: each["outcome"] for each in found["proofs"]}
    assert outcomes["recognition"] == "passed"
    assert outcomes["figures"] == outcomes["peaks"] == "failed"
    assert found["conclusion"].startswith("this validates no Raspberry Pi: this machine is ")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    imported = bench("import", workplace / "v.bundle", "--json", cwd=elsewhere)
    assert imported.code == 0, imported.err
    (judged,) = json.loads(imported.out)["validations"]
    assert {**judged, "bundle": found["bundle"]} == found
