"""Limits of control groups, on folders that stand for machines."""

import pytest

from ondevice_bench.sensors import control_groups

GIB = 2**30
# what `systemd-run --user -p MemoryMax=2G -p CPUQuota=150%` makes, below a slice with more
SLICE, SERVICE = "sys/fs/cgroup/user.slice", "sys/fs/cgroup/user.slice/run.service"
SYSTEMD = {
    "proc/self/cgroup": "0::/user.slice/run.service\n",
    f"{SLICE}/cpu.max": "300000 100000\n",
    f"{SLICE}/memory.max": f"{3 * GIB}\n",
    f"{SLICE}/memory.current": f"{2 * GIB}\n",
    f"{SLICE}/memory.stat": f"anon 1\ninactive_file {GIB}\n",
    f"{SERVICE}/cpu.max": "150000 100000\n",
    f"{SERVICE}/memory.max": f"{2 * GIB}\n",
    f"{SERVICE}/memory.current": f"{GIB // 2}\n",
    f"{SERVICE}/memory.stat": "anon 1\ninactive_file 0\n",
}
# a container with a name space of its own sees its group as the top one
CONTAINER = {
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/cpu.max": "50000 100000\n",
    "sys/fs/cgroup/memory.max": f"{GIB}\n",
    "sys/fs/cgroup/memory.current": f"{GIB // 4}\n",
}
# Docker with version 1: the name of the group is that outside, the folders are those inside
DOCKER = {
    "proc/self/cgroup": (
        "5:memory:/docker/8d1f\n4:cpu,cpuacct:/docker/8d1f\n3:cpuset:/docker/8d1f\n0::/system\n"
    ),
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
    "sys/fs/cgroup/memory/memory.stat": f"inactive_file 0\ntotal_inactive_file {GIB // 8}\n",
}
NO_LIMITS = {
    "proc/self/cgroup": "2:memory:/\n1:cpu:/\n0::/a\n",
    "sys/fs/cgroup/a/cpu.max": "max 100000\n",
    "sys/fs/cgroup/a/memory.max": "max\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
}
OUTSIDE = {**CONTAINER, "proc/self/cgroup": "0::/../../other.slice\nwhat?\n"}


@pytest.mark.parametrize(
    ("files", "processors", "limit", "available"),
    [
        # the slice has 1 GiB left beside 1 GiB of caches, the service 1.5 GiB of its own
        (SYSTEMD, 1.5, 2 * GIB, 3 * GIB // 2),
        (CONTAINER, 0.5, GIB, 3 * GIB // 4),
        (DOCKER, 2.0, GIB, GIB // 8),
        (OUTSIDE, 0.5, GIB, 3 * GIB // 4),
        (NO_LIMITS, None, None, None),
        ({}, None, None, None),
    ],
    ids=["systemd", "container", "docker", "outside", "no limits", "nothing"],
)
def test_the_lowest_limit_of_all_groups_counts(tmp_path, files, processors, limit, available):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert control_groups.processors(tmp_path) == processors
    assert control_groups.memory_limit(tmp_path) == limit
    assert control_groups.memory_available(tmp_path) == available
