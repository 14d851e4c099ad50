"""Counters of the machine, against what this process does and against captured files."""

import time

import pytest

from ondevice_bench.measure import interference

pytestmark = pytest.mark.alone

STAT = "cpu  100 0 50 1000 20 0 5 40 0 0\ncpu0 1 2 3\n"


@pytest.fixture
def files(monkeypatch, tmp_path):
    monkeypatch.setattr(interference, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(interference, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(interference, "_CGROUPS", tmp_path / "fs")
    monkeypatch.setattr(interference, "_TICKS", 100)
    return tmp_path


def test_own_work_is_not_charged_to_others():
    before = interference.read()
    own = time.process_time()
    while time.process_time() - own < 0.3:
        pass
    after = interference.read()
    assert after.busy - before.busy >= 0.25
    meanwhile = interference.between(before, after)
    assert meanwhile.foreign == pytest.approx(after.busy - before.busy - 0.3, abs=0.05)


def test_steal_is_apart_from_what_processes_took(files):
    (files / "stat").write_text(STAT)
    found = interference.read()
    assert (found.busy, found.stolen) == (1.55, 0.4)


@pytest.mark.parametrize("text", ["", "cpu 1 2\n", "cpu a b\n"])
def test_what_cannot_be_read_is_unknown(files, text):
    (files / "stat").write_text(text)
    found = interference.read()
    assert (found.busy, found.stolen, found.throttled) == (None, None, None)
    meanwhile = interference.between(found, interference.read())
    assert meanwhile.foreign is None
    assert not meanwhile.is_disturbing


@pytest.mark.parametrize(
    ("groups", "folder", "content"),
    [
        (
            "0::/user/bench\n",
            "user/bench",
            "usage_usec 9\nnr_throttled 3\nthrottled_usec 1500000\n",
        ),
        (
            "4:memory:/x\n3:cpu,cpuacct:/box\n0::/\n",
            "cpu/box",
            "nr_periods 4\nthrottled_time 1500000000\n",
        ),
    ],
)
def test_a_quota_of_either_version(files, groups, folder, content):
    (files / "stat").write_text(STAT)
    (files / "cgroup").write_text(groups)
    (files / "fs" / folder).mkdir(parents=True)
    (files / "fs" / folder / "cpu.stat").write_text(content)
    assert interference.read().throttled == 1.5


def test_a_quota_of_a_group_around_the_own_one_counts_too(files):
    """A service without a quota, in a slice with one, below a slice without one."""
    (files / "stat").write_text(STAT)
    (files / "cgroup").write_text("0::/user/slice/service\n")
    for folder, throttled, quota in (
        ("user/slice/service", 250_000, "max 100000"),
        ("user/slice", 1_500_000, "50000 100000"),
        ("user", 70_000_000, "max 100000"),  # by a quota that it had before
    ):
        (files / "fs" / folder).mkdir(parents=True, exist_ok=True)
        (files / "fs" / folder / "cpu.stat").write_text(f"throttled_usec {throttled}\n")
        (files / "fs" / folder / "cpu.max").write_text(f"{quota}\n")
    assert interference.read().throttled == 1.75


def test_the_group_of_a_container_of_version_1_is_the_top_one(files):
    (files / "stat").write_text(STAT)
    (files / "cgroup").write_text("3:cpu,cpuacct:/docker/8d1f\n0::/\n")
    (files / "fs/cpu").mkdir(parents=True)
    (files / "fs/cpu/cpu.stat").write_text("nr_periods 4\nthrottled_time 1500000000\n")
    assert interference.read().throttled == 1.5


@pytest.mark.parametrize(
    ("taken", "disturbed"), [((0.0, 0.0), False), ((-0.2, 0.2), True), ((0.11, 0), False), ((0.13, 0), True), ((0.0, 0.2), True)]
)  # fmt: skip
def test_a_tenth_of_a_core_disturbs(taken, disturbed):
    foreign, stolen = taken
    assert interference.ForeignLoad(1.0, foreign, stolen, None).is_disturbing == disturbed


def test_stolen_time_that_counts_as_that_of_the_process_is_stolen_all_the_same():
    """On some guests the time of a process includes what the hypervisor took from it."""
    before = interference.Counters(wall=0, own=0, busy=0, stolen=0, throttled=None)
    after = interference.Counters(wall=10, own=9.5, busy=7.5, stolen=2, throttled=None)
    load = interference.between(before, after)
    assert load.lost == pytest.approx(2 - interference.SLACK)
    assert interference.share_of_others(before, after) == pytest.approx(0.2)
