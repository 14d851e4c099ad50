"""The bits with which a board says that it lowers its clock, and why."""

CAUSES = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
SINCE_BOOT = 16  # the same bits are this many places higher
LOWERED = 1 << 2  # the bit of a machine that says only that it lowers its clock


def bits_of(text: str) -> int:
    """The bits in the output of `vcgencmd get_throttled`; ValueError if it is not such output."""
    _, equals, number = text.strip().partition("throttled=")
    if not equals:
        raise ValueError(f"no number in {text.strip()[:80]!r}")
    return int(number, 16)


def causes(bits: int) -> tuple[str, ...]:
    """The causes of throttling at this moment."""
    return tuple(name for place, name in enumerate(CAUSES) if bits >> place & 1)


def causes_since_boot(bits: int) -> tuple[str, ...]:
    """The causes of throttling at any time since the board was started."""
    return causes(bits >> SINCE_BOOT)


def since(bits: int, earlier: int) -> int:
    """The bits of what throttles now, or has throttled for the first time since a reading."""
    now_and_new = bits | (bits & ~earlier) >> SINCE_BOOT
    return now_and_new & (1 << len(CAUSES)) - 1
