"""The copy that shows the bandwidth of the memory, not that of a cache."""

import pytest

from ondevice_bench.worker.passes.machine_peaks import copied_bytes

GIB, MIB = 2**30, 2**20


@pytest.mark.parametrize(
    ("available", "limit", "cap", "expected"),
    [
        (16 * GIB, "max", None, 512 * MIB),  # four times a cache of 128 MiB
        (2 * GIB, "max", None, 256 * MIB),
        (16 * GIB, GIB, None, 128 * MIB),
        (16 * GIB, "max", 512 * MIB, 64 * MIB),
    ],
)
def test_the_copy_is_larger_than_any_cache_and_fits_the_memory(
    tmp_path, available, limit, cap, expected
):
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{limit}\n")
    (group / "memory.current").write_text("0\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(f"MemAvailable:   {available // 1024} kB\n")
    assert copied_bytes(cap, tmp_path) == expected
