import platform

import psutil

from ondevice_bench.hardware.probe import probe
from ondevice_bench.hardware.state import read_state
from tests.hardware.conftest import PI5_CPU, laptop, pi5


def test_a_raspberry_pi_5_is_known_by_its_device_tree(machine_tree):
    machine = probe(machine_tree(pi5()))
    assert machine.board == "Raspberry Pi 5 Model B Rev 1.0"  # without the NUL byte
    assert machine.arch == "aarch64"
    assert machine.cpu == "0x41/0xd0b"  # its /proc/cpuinfo has no model name
    assert (machine.physical_cores, machine.logical_cores) == (4, 4)
    assert machine.memory_gib == 8
    assert machine.kernel == "6"


def test_a_laptop_has_a_brand_and_fewer_cores_than_threads(machine_tree):
    machine = probe(machine_tree(laptop()))
    assert machine.arch == "x86_64"
    assert machine.board == "ThinkPad T480"
    assert machine.cpu == "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz"
    assert (machine.physical_cores, machine.logical_cores) == (4, 8)
    assert machine.memory_gib == 16


def test_the_cores_of_both_clusters_of_a_big_little_count(machine_tree):
    """An RK3588 under Linux 6: clusters of four, two and two cores, each counted from 0."""
    files = {"proc/cpuinfo": "\n".join(PI5_CPU.format(n=n) for n in range(8))}
    places = [(0, n) for n in range(4)] + [(1, 0), (1, 1), (2, 0), (2, 1)]
    for number, (cluster, core) in enumerate(places):
        topology = f"sys/devices/system/cpu/cpu{number}/topology"
        files[f"{topology}/physical_package_id"] = "0\n"
        files[f"{topology}/cluster_id"] = f"{cluster}\n"
        files[f"{topology}/core_id"] = f"{core}\n"
    machine = probe(machine_tree(files))
    assert (machine.physical_cores, machine.logical_cores) == (8, 8)


def test_threads_of_a_core_are_one_core_whatever_its_cluster_is(machine_tree):
    clusters = {
        f"sys/devices/system/cpu/cpu{n}/topology/cluster_id": "65535\n" for n in range(8)
    }  # 65535: the kernel knows no clusters
    assert probe(machine_tree({**laptop(), **clusters})).physical_cores == 4


def test_clocks_and_reserved_memory_are_no_part_of_the_identity(machine_tree):
    slow = probe(machine_tree(laptop(mhz="800.000")))
    assert slow == probe(machine_tree(laptop(mhz="3400.000")))
    assert probe(machine_tree(pi5(8255488))) == probe(machine_tree(pi5(8245000)))


def test_an_empty_tree_is_probed_without_an_error(machine_tree):
    machine = probe(machine_tree({"proc/version": "x"}))
    assert (machine.board, machine.physical_cores, machine.memory_gib) == ("", 1, 0)


def test_this_machine_agrees_with_psutil():
    machine = probe()
    assert machine.arch == platform.machine()
    assert machine.logical_cores == psutil.cpu_count(logical=True)
    total = psutil.virtual_memory().total
    assert total <= machine.memory_gib * 2**30 < total + 2**30


def test_state_is_read_where_the_machine_tells_it(machine_tree):
    state = read_state(machine_tree(pi5()))
    assert state.temperature_celsius == 52.3
    assert state.cpu_mhz == 2400.0
    assert state.load_1min == 0.15
    assert state.memory_available_bytes == 7000000 * 1024
    assert state.swap_used_bytes == 0


def test_what_a_machine_does_not_tell_is_none_never_zero(machine_tree):
    state = read_state(machine_tree({"proc/version": "x"}))
    assert set(state.to_dict().values()) == {None}
