"""What goes wrong on a board, behind a real sshd: its disk is full, its clock is wrong."""

import os
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.remote.test_over_ssh import QUICK, equal_there_and_here, one_line, records

EXACT = TINY + "measure: [trace]\n"
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@contextmanager
def small_disk(folder: Path, kib: int):
    """A file system of that size, mounted at the folder."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=700", "none", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_full_disk_there_fails_the_cells_and_the_same_command_goes_on(
    bench, suite_file, server, hosts_file, workplace, quick_python
):
    suite_file(QUICK.replace("[1, 2, 3]", "[1, 64]"))  # the second batch is larger than the disk
    hosts_file(server, workplace / "there", quick_python)
    with small_disk(workplace / "there", 2048):
        ended = bench("run", "tiny", "--on", "board1")
        assert ended.code == 3
        _, found = records(workplace / "bench-out/tiny/results.sqlite")
        by_cell = {record.key.cell: (record.status, record.reason) for record in found}
        assert by_cell["mcunet/vanilla/all/b1/s0"] == ("ok", "")
        status, reason = by_cell["mcunet/vanilla/all/b64/s0"]
        assert status == "failed"
        assert reason.endswith("cannot be written on the board: No space left on device")
        assert sorted(path.name for path in (workplace / "there").iterdir()) == ["in-use", "jobs"]
    again = bench("run", "tiny", "--on", "board1", "--retry", "failed")
    assert again.code == 0, again.err
    _, found = records(workplace / "bench-out/tiny/results.sqlite")
    assert {record.status for record in found} == {"ok"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_disk_that_is_full_from_the_beginning_is_one_line(
    bench, server, hosts_file, workplace, quick_python
):
    hosts_file(server, workplace / "there", quick_python)
    with small_disk(workplace / "there", 64):
        with pytest.raises(OSError, match="No space left"):
            (workplace / "there/full").write_bytes(bytes(1 << 20))
        line = one_line(bench("doctor", "--quick", "--on", "board1"))
        assert "No space left on device" in line


@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime here: install faketime")
def test_a_board_whose_clock_is_years_behind_measures_the_same(
    bench, suite_file, server, hosts_file, workplace
):
    suite_file(EXACT)
    behind = workplace / "behind"
    behind.write_text(
        f"#!/bin/sh\nexport LD_PRELOAD={FAKETIME} FAKETIME=-1000d FAKETIME_DONT_FAKE_MONOTONIC=1\n"
        f'exec {shlex.quote(sys.executable)} "$@"\n'
    )
    behind.chmod(0o755)
    hosts_file(server, workplace / "there", behind)
    (run, remote), (local_run, _) = equal_there_and_here(bench, workplace)
    assert all(run.created[:4] == record.started[:4] for record in remote)
    assert run.created[:10] >= local_run.created[:8]
    (finding,) = [each for each in run.settings["doctor"] if each["subject"] == "clock"]
    assert finding["said"].startswith("the board's clock differs by -864")
