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


def test_a_machine_without_sensors_has_none(tmp_path):
    assert throttle_bits("", tmp_path)() is None
    assert read_state(tmp_path).throttle_bits is None
