"""The bits of a Raspberry Pi, as its documentation lists them."""

import pytest

from ondevice_bench.sensors import throttling


def test_bits_have_names_now_and_since_boot():
    bits = throttling.bits_of("throttled=0x50005\n")
    assert throttling.causes(bits) == ("under-voltage", "throttled")
    assert throttling.causes_since_boot(bits) == ("under-voltage", "throttled")
    assert throttling.causes(0x80000) == ()
    assert throttling.causes_since_boot(0x80000) == ("soft temperature limit",)
    with pytest.raises(ValueError, match="no number in 'error'"):
        throttling.bits_of("error")


@pytest.mark.parametrize(
    ("earlier", "bits", "causes"),
    [
        (0, 0, ()),
        (0, 0x80008, ("soft temperature limit",)),
        (0, 0x40000, ("throttled",)),  # between two readings
        (0x40000, 0x40000, ()),  # before the first reading
        (0x40000, 0x40004, ("throttled",)),  # again
        (0x40000, 0x60000, ("frequency capped",)),
    ],
)
def test_what_is_old_does_not_count(earlier, bits, causes):
    assert throttling.causes(throttling.since(bits, earlier)) == causes
