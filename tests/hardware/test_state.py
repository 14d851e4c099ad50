"""The state of a machine now."""

from ondevice_bench.hardware.state import read_state, throttle_bits


def test_the_throttling_bits_are_those_of_the_board(tmp_path):
    bits = tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled"
    bits.parent.mkdir(parents=True)
    bits.write_text("50005\n")
    read = throttle_bits("vcgencmd", tmp_path)
    assert read() == 0x50005
    bits.write_text("what?\n")
    assert read() is None
    bits.unlink()
    assert read() is None


def test_a_machine_without_sensors_has_none(tmp_path):
    assert throttle_bits("", tmp_path)() is None
    assert read_state(tmp_path).throttle_bits is None
