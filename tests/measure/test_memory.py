"""The kernel's high-water mark against allocations of known size."""

import mmap
import os
import subprocess
import sys

import psutil
import pytest

from ondevice_bench.measure import memory

MIB = 2**20


def touch(megabytes):
    """Make that much memory resident, and give it back to the kernel."""
    with mmap.mmap(-1, megabytes * MIB) as area:
        for offset in range(0, len(area), 4096):
            area[offset] = 1
        return memory.rss_bytes()


def test_a_burst_that_is_over_is_still_seen():
    floor = memory.reset_peak()
    inside = touch(200)
    assert memory.rss_bytes() < floor + 20 * MIB  # it is over
    rise = memory.peak_bytes() - floor
    assert abs(rise - 200 * MIB) < 0.02 * 200 * MIB
    assert abs(memory.peak_bytes() - inside) < 0.02 * inside


def test_a_reset_forgets_earlier_bursts():
    touch(200)
    floor = memory.reset_peak()
    assert memory.peak_bytes() - floor < 8 * MIB
    touch(50)
    rise = memory.peak_bytes() - floor
    assert abs(rise - 50 * MIB) < 4 * MIB


def test_a_child_is_not_charged_with_its_parents_peak():
    with mmap.mmap(-1, 300 * MIB) as area:
        for offset in range(0, len(area), 4096):
            area[offset] = 1
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from ondevice_bench.measure import memory; print(memory.peak_bytes())",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    assert int(done.stdout) < 100 * MIB


def test_the_kernels_other_figure_agrees():
    assert memory.rss_bytes() == pytest.approx(
        psutil.Process(os.getpid()).memory_info().rss, rel=0.02
    )


def test_pages_of_files_are_told_from_what_the_process_allocated(tmp_path):
    content = tmp_path / "content"
    content.write_bytes(b"x" * 40 * MIB)
    before = memory.resident()
    with content.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as area:
        for offset in range(0, len(area), 4096):
            area[offset]
        during = memory.resident()
    assert during.file_backed - before.file_backed == pytest.approx(40 * MIB, rel=0.02)
    assert abs(during.anonymous - before.anonymous) < 4 * MIB
    assert during.total == during.anonymous + during.file_backed


def test_swapped_pages_are_counted_or_unknown(monkeypatch, tmp_path):
    sample = tmp_path / "vmstat"
    sample.write_text("nr_free_pages 12\npswpin 7\npswpout 5\n")
    monkeypatch.setattr(memory, "_VMSTAT", sample)
    assert memory.swapped_pages() == 12
    sample.write_text("pswpin 7\npswpout 5\nzswpin 2\nzswpout 3\nzswpwb 1\n")
    assert memory.swapped_pages() == 17  # also pages that zswap keeps in memory
    sample.write_text("nr_free_pages 12\n")
    assert memory.swapped_pages() is None
    monkeypatch.setattr(memory, "_VMSTAT", tmp_path / "none")
    assert memory.swapped_pages() is None


def test_settling_gives_free_heap_back():
    blocks = [bytes(100_000) for _ in range(1000)]  # below malloc's threshold for mappings
    full = memory.rss_bytes()
    del blocks[:-1]  # the last block keeps the heap from shrinking by itself
    memory.settle()
    assert memory.rss_bytes() < full - 50 * MIB


def test_a_mark_that_cannot_be_reset_is_said_never_read_as_something_else(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "none" / "clear_refs")
    with pytest.raises(memory.PeakUnavailable, match="cannot be written"):
        memory.reset_peak()
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    with pytest.raises(memory.PeakUnavailable, match="cannot be read"):
        memory.rss_bytes()
    (tmp_path / "status").write_text("Name: x\n")
    with pytest.raises(memory.PeakUnavailable, match="has no VmHWM"):
        memory.peak_bytes()
