"""The state of a machine now."""

from ondevice_bench.hardware.state import memory_limit, read_state, throttle_bits
from tests.hardware.conftest import pi5


def test_the_throttling_bits_are_those_of_the_board(tmp_path):
    bits = tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled"
    bits.parent.mkdir(parents=True)
    bits.write_text("50005\n")

    def ask(command):
        raise FileNotFoundError(2, "No such file or directory", "vcgencmd")

    read = throttle_bits("vcgencmd", tmp_path, ask)
    assert read() == 0x50005
    bits.write_text("what?\n")
    assert read() is None
    bits.unlink()
    assert read() is None


def test_the_clock_of_a_pi_is_that_of_its_firmware(machine_tree):
    root = machine_tree(pi5())
    assert (
        read_state(root, "vcgencmd", lambda _: "frequency(0)=1500019456\n").cpu_mhz == 1500.019456
    )
    assert read_state(root, "vcgencmd", lambda _: "error=2").cpu_mhz is None
    assert read_state(root).cpu_mhz == 2400.0


def test_no_more_memory_is_available_than_a_container_allows(machine_tree):
    group = "sys/fs/cgroup/memory"
    root = machine_tree({**pi5(), f"{group}.max": f"{2**30}\n", f"{group}.current": f"{2**28}\n"})
    assert read_state(root).memory_available_bytes == 3 * 2**28
    assert memory_limit(root) == 2**30


def test_a_board_with_less_than_whole_gib_has_its_real_memory(machine_tree):
    """A Raspberry Pi Zero 2 W: 512 MiB, of which the kernel has 416 and some."""
    assert memory_limit(machine_tree(pi5(memory_kb=430_004))) == 416 * 2**20


def test_what_a_kernel_reserves_is_no_limit(machine_tree):
    assert memory_limit(machine_tree(pi5())) is None


def test_the_lower_of_a_small_memory_and_a_container_counts(machine_tree):
    limit = {"sys/fs/cgroup/memory.max": f"{2**28}\n"}
    assert memory_limit(machine_tree({**pi5(memory_kb=430_004), **limit})) == 2**28


def test_a_machine_without_sensors_has_none(tmp_path):
    assert throttle_bits("", tmp_path)() is None
    assert read_state(tmp_path).throttle_bits is None
