"""What a machine shows, on folders that stand for machines."""

import os
import re
import shutil
import subprocess

import pytest

from ondevice_bench.sensors import machine
from ondevice_bench.sensors.machine import MachineSensors

PAGE = os.sysconf("SC_PAGE_SIZE")


def test_a_pi_shows_everything(pi):
    pi.hot(81.5)
    pi.clock(1800)
    pi.throttling(0x80008)
    pi.swapped(3, 4)
    pi.written(10)
    pi.own_written(4096)
    sensors = MachineSensors(range(4), "vcgencmd", pi.root, pi.ask)
    assert sensors.unavailable == {}
    assert sensors.read() == {
        "mhz": 1800.0,
        "celsius": 81.5,
        "throttle_bits": 0x80008,
        "swapped_bytes": 7 * PAGE,
        "written_bytes": 10 * 512,  # of the card: not of its partitions, loop0 and zram0 again
        "own_written_bytes": 4096,
    }


def test_a_machine_without_files_has_a_reason_for_each_and_no_zero(tmp_path):
    sensors = MachineSensors([0], "", tmp_path)
    assert sensors.read() == {}
    assert sensors.unavailable == {
        "mhz": "the kernel does not report the clock (no cpufreq)",
        "celsius": "the kernel reports no temperature (no thermal zone)",
        "throttle_bits": "this machine does not report throttling",
        "swapped_bytes": f"{tmp_path}/proc/vmstat cannot be read: No such file or directory",
        "written_bytes": "the kernel does not list disks (no /sys/block)",
        "own_written_bytes": f"{tmp_path}/proc/self/io cannot be read: No such file or directory",
    }


def test_zero_stays_zero_where_it_is_really_zero(pi):
    readings = MachineSensors([0], "vcgencmd", pi.root, pi.ask).read()
    assert [readings[name] for name in machine.COUNTERS] == [0, 0, 0]


def test_pages_that_zswap_keeps_in_memory_are_swapped(pi):
    with (pi.root / "proc/vmstat").open("a") as file:
        file.write("swpin_zero 70\nzswpin 5\nzswpout 6\nzswpwb 50\n")
    assert MachineSensors([0], "", pi.root).read()["swapped_bytes"] == 11 * PAGE


@pytest.mark.parametrize(
    ("names", "sectors"),
    [
        (("nvme0n1", "nvme0c0n1"), 30),  # the disk, and a way to it
        (("sda", "sdb", "md0", "bcache0", "zd16"), 30),  # two disks, and three made of them
        (("mmcblk0", "mmcblk0boot0"), 30),  # the parts of a card that hold its loader
    ],
)
def test_no_write_counts_twice(tmp_path, names, sectors):
    written = {"sda": 10, "sdb": 20, "mmcblk0boot0": 0}  # the others: 30
    (tmp_path / "proc").mkdir()
    rows = [f"8 0 {name} 1 0 8 0 9 0 {written.get(name, 30)} 0 0 0 0" for name in names]
    (tmp_path / "proc/diskstats").write_text("\n".join(rows))
    for name in names:
        (tmp_path / "sys/block" / name).mkdir(parents=True)
    assert MachineSensors([0], "", tmp_path).read()["written_bytes"] == sectors * 512


def test_only_the_processors_of_the_worker_count(pi):
    fast = pi.root / "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq"
    fast.write_text("3000000\n")
    assert MachineSensors([0, 3], "", pi.root).read()["mhz"] == 2700


@pytest.mark.parametrize(
    "answer", ["", "frequency(0)=0", "frequency(0)=fast", 'error=2 error_msg="Invalid arguments"']
)
def test_a_pi_whose_firmware_tells_no_clock_has_none(pi, answer):
    """The files of its kernel have a clock, but only the one that the kernel wants."""
    sensors = MachineSensors(range(4), "vcgencmd", pi.root, lambda _: answer)
    assert "mhz" not in sensors.read()
    assert sensors.unavailable["mhz"] == f"no clock in {answer!r}"


def test_the_hottest_zone_counts_if_none_is_of_a_processor_and_broken_ones_do_not(pi):
    zones = pi.root / "sys/class/thermal"
    for name, text in (("thermal_zone1", "71000\n"), ("thermal_zone2", "broken\n")):
        (zones / name).mkdir()
        (zones / name / "temp").write_text(text)
    assert MachineSensors([0], "", pi.root).read()["celsius"] == 71.0


def test_a_zone_of_a_jetson_that_always_shows_100_degrees_is_not_the_hottest(pi):
    zones = pi.root / "sys/class/thermal"
    for name, kind, text in (
        ("thermal_zone1", "CPU-therm\n", "62000\n"),
        ("thermal_zone4", "PMIC-Die\n", "100000\n"),
    ):
        (zones / name).mkdir()
        (zones / name / "type").write_text(kind)
        (zones / name / "temp").write_text(text)
    assert MachineSensors([0], "", pi.root).read()["celsius"] == 62.0


def test_the_tool_goes_before_a_file_of_the_kernel_which_may_be_old(pi):
    folder = pi.root / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware"
    folder.mkdir(parents=True)
    (folder / "get_throttled").write_text("0\n")  # as at boot: nobody asks the firmware again
    pi.throttling(0x50005)
    sensors = MachineSensors([0], "vcgencmd", pi.root, pi.ask)
    assert sensors.read()["throttle_bits"] == 0x50005


def test_a_file_of_the_kernel_is_read_if_the_tool_does_not_answer(pi):
    folder = pi.root / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware"
    folder.mkdir(parents=True)
    (folder / "get_throttled").write_text("50005\n")

    def ask(command):
        raise FileNotFoundError(2, "No such file or directory", "vcgencmd")

    for throttled_by in ("vcgencmd", ""):
        sensors = MachineSensors([0], throttled_by, pi.root, ask)
        assert sensors.read()["throttle_bits"] == 0x50005


@pytest.mark.parametrize("of", ["core", "package"])
def test_a_counter_of_x86_is_a_bit_in_the_seconds_in_which_it_rose(pi, of):
    folder = pi.root / "sys/devices/system/cpu/cpu0/thermal_throttle"
    folder.mkdir(parents=True)
    for name in ("core_throttle_count", "package_throttle_count", "core_throttle_total_time_ms"):
        (folder / name).write_text("7\n")
    counter = folder / f"{of}_throttle_count"
    sensors = MachineSensors([0], "", pi.root)
    found = []
    for count in (7, 9, 9):
        counter.write_text(f"{count}\n")
        found.append(sensors.read()["throttle_bits"])
    assert found == [0, 4, 0]


def test_a_counter_of_x86_that_cannot_be_read_is_missing_and_the_others_are_not(pi):
    """As in a container, whose kernel lists files that it lets nobody read."""
    counter = pi.root / "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    counter.mkdir(parents=True)
    sensors = MachineSensors([0], "", pi.root)
    assert sensors.unavailable == {
        "throttle_bits": f"{counter} cannot be read: Is a directory",
    }
    assert {"mhz", "celsius"} <= sensors.read().keys()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", "vcgencmd"), "vcgencmd cannot be read"),
        (subprocess.TimeoutExpired("vcgencmd", 1.0), "timed out"),
        ('error=1 error_msg="Command not registered"', "no number in"),
    ],
)
def test_a_tool_that_fails_has_a_reason(pi, answer, reason):
    def ask(command):
        if isinstance(answer, Exception):
            raise answer
        return answer

    sensors = MachineSensors([0], "vcgencmd", pi.root, ask)
    assert reason in sensors.unavailable["throttle_bits"]
    assert "throttle_bits" not in sensors.read()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            """echo "Can't open device file: /dev/vcio"; echo Try creating it; exit 255""",
            "255: it may not ask the firmware: is this user in the group `video`?",
        ),
        ("echo returned -1; echo error=1; exit 255", "255: error=1"),
        ("exit 2", "2: it said nothing"),
    ],
)
def test_a_tool_that_fails_says_why(script, said):
    with pytest.raises(ValueError, match=f"^{re.escape(f'sh ended with {said}')}$"):
        machine.asked(("sh", "-c", script))


def test_a_sensor_that_fails_later_is_read_no_more(pi):
    sensors = MachineSensors([0], "", pi.root)
    shutil.rmtree(pi.root / "sys/class/thermal")
    assert "celsius" not in sensors.read()
    assert sensors.unavailable["celsius"].endswith("cannot be read: No such file or directory")
    pi.hot(50.0)
    assert "celsius" not in sensors.read()


def test_this_machine_can_be_read():
    readings = MachineSensors([0]).read()
    assert readings["own_written_bytes"] >= 0
