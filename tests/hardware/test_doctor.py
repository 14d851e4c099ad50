import subprocess
from dataclasses import replace

import pytest

from ondevice_bench.hardware import doctor
from ondevice_bench.hardware.probe import caches_kib, probe
from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.hardware.state import read_state
from tests.hardware.conftest import laptop, pi5

CPUS = "sys/devices/system/cpu"


@pytest.fixture
def examined(machine_tree, workplace):
    """What the doctor says of a machine, by subject."""

    def of(profile, files, threads=4, said="throttled=0x0\n", **environment):
        def ask(command):
            assert command == ("vcgencmd", "get_throttled")
            if isinstance(said, Exception):
                raise said
            return said

        root = machine_tree(files)
        found = doctor.examine(
            load_profile(profile), read_state(root), threads, root, ask, environment
        )
        return {finding.subject: finding for finding in found}

    return of


def governed(files, name):
    return {**files, **{f"{CPUS}/cpu{n}/cpufreq/scaling_governor": f"{name}\n" for n in range(4)}}


def test_a_board_at_rest_has_nothing_to_mend(examined):
    found = examined("pi5", governed(pi5(), "performance"))
    assert {finding.level for finding in found.values()} <= {"ok", "unknown"}
    assert found["governor"].observation == "performance"
    assert found["throttling"].observation == "never since boot"
    assert found["swap"].observation == "empty"
    assert found["load"].observation == "0.15"


def test_every_warning_has_an_effect_and_a_cure(examined):
    files = {
        **governed(laptop(), "powersave"),
        f"{CPUS}/intel_pstate/no_turbo": "0\n",
        "proc/meminfo": "MemTotal: 16217160 kB\nSwapTotal: 2048 kB\nSwapFree: 1024 kB\n",
        "proc/loadavg": "3.50 1 1 1/200 9\n",
        "sys/fs/cgroup/cpu.max": "150000 100000\n",
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
    }
    found = examined("x86", files, OMP_NUM_THREADS="8")
    warned = {name for name, finding in found.items() if finding.level == "warning"}
    assert warned == {"governor", "turbo", "swap", "load", "threads", "quota", "clock source"}
    assert all(found[name].effect and found[name].cure for name in warned)
    assert found["governor"].observation == "powersave, not performance"
    assert found["swap"].observation == "1.00 MiB used"
    assert found["quota"].observation == "1.5 processors; 4 threads for each worker"
    assert found["threads"].observation == "4 for each worker; workers ignore OMP_NUM_THREADS=8"


def test_a_quota_of_version_1_is_a_quota(examined):
    cpu = "sys/fs/cgroup/cpu"
    files = {f"{cpu}/cpu.cfs_quota_us": "200000\n", f"{cpu}/cpu.cfs_period_us": "100000\n"}
    found = examined("x86", {**laptop(), **files})["quota"]
    assert (found.level, found.observation) == (
        "warning",
        "2 processors; 4 threads for each worker",
    )


def test_the_bits_of_throttling_are_read_as_the_firmware_means_them(examined):
    found = examined("pi5", pi5(), said="throttled=0x50000\n")["throttling"]
    assert (found.level, found.observation) == ("warning", "since boot: under-voltage, throttled")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", "vcgencmd"), "No such file"),
        (subprocess.TimeoutExpired("vcgencmd", 10), "timed out"),
        ('error=1 error_msg="Command not registered"', "no number in"),
        ("throttled=zz", "invalid literal"),
    ],
)
def test_what_the_firmware_does_not_say_is_unknown(examined, said, reason):
    found = examined("pi5", pi5(), said=said)["throttling"]
    assert found.level == "unknown"
    assert reason in found.observation


def test_turbo_has_two_switches(examined):
    assert examined("x86", {**laptop(), f"{CPUS}/cpufreq/boost": "1\n"})["turbo"].level == "warning"
    assert (
        examined("x86", {**laptop(), f"{CPUS}/cpufreq/boost": "0\n"})["turbo"].observation == "off"
    )
    assert examined("x86", {f"{CPUS}/intel_pstate/no_turbo": "1\n"})["turbo"].level == "ok"


def test_the_setting_of_huge_pages_is_told(examined):
    enabled = "sys/kernel/mm/transparent_hugepage/enabled"
    found = examined("x86", {**laptop(), enabled: "always [madvise] never\n"})["huge pages"]
    assert (found.level, found.observation) == ("ok", "madvise")
    assert examined("x86", {enabled: "odd\n"})["huge pages"].level == "unknown"


def test_memory_is_weighed_against_what_a_suite_needs(machine_tree):
    state = read_state(machine_tree(pi5()))
    assert doctor.free_memory(state, None).level == "ok"
    assert doctor.free_memory(state, 2**30).level == "ok"
    short = doctor.free_memory(state, 2**40)
    assert short.level == "warning"
    assert "needs at least 1048576.00 MiB" in short.observation


def test_a_machine_that_is_not_quite_its_profile_is_told(machine_tree, workplace):
    machine = probe(machine_tree(pi5()))  # a folder does not say the size of pages
    profile = load_profile("pi5-8gb")
    assert doctor.profile_match(profile, machine).level == "ok"
    other = replace(machine, physical_cores=3, page_bytes=4096)
    finding = doctor.profile_match(profile, other)
    assert finding.level == "warning"
    assert finding.observation == "pi5-8gb: cores is 3, not 4; page_kib is 4, not 16"


def test_caches_are_those_for_data(machine_tree):
    index = "sys/devices/system/cpu/cpu0/cache/index"
    root = machine_tree(
        {
            f"{index}0/level": "1\n",
            f"{index}0/type": "Data\n",
            f"{index}0/size": "48K\n",
            f"{index}1/level": "1\n",
            f"{index}1/type": "Instruction\n",
            f"{index}1/size": "32K\n",
            f"{index}2/level": "2\n",
            f"{index}2/type": "Unified\n",
            f"{index}2/size": "2048K\n",
        }
    )
    assert caches_kib(root) == {1: 48, 2: 2048}


def test_the_doctor_says_which_allocators_a_suite_may_name(examined):
    found = examined("x86", laptop(), LD_PRELOAD="/opt/libx.so")["allocator"]
    assert (found.level, found.observation) == (
        "ok",
        (
            "the C library's for each worker; suites may name glibc, glibc-mmap-128k; not "
            "installed: libtcmalloc-minimal4, libmimalloc2.0, libjemalloc2; workers also load "
            "/opt/libx.so (LD_PRELOAD)"
        ),
    )
    found = examined("x86", laptop(), LD_PRELOAD="/opt/libjemalloc.so.2")["allocator"]
    assert found.observation == (
        "the C library's for each worker; workers also load /opt/libjemalloc.so.2 (LD_PRELOAD)"
    )


def test_a_profile_whose_allocator_is_missing_is_told(examined, workplace):
    text = "schema: 1\ntitle: t\nby_name_only: true\nallocator: mimalloc\n"
    (workplace / "quick.yaml").write_text(text)
    found = examined("./quick.yaml", laptop())["allocator"]
    assert found.level == "warning"
    assert found.observation == "the profile names mimalloc: mimalloc is not installed here"
    assert found.cure.startswith("sudo apt-get install libmimalloc2.0")
