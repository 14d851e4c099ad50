"""Numbers with units as text, and back. No other module does this."""

import math
import re
from datetime import UTC, datetime

KIB = 2**10
MIB = 2**20
GIB = 2**30
_POWERS = {"K": 10, "M": 20, "G": 30}
# how users write sizes and durations
SIZE = r"\s*(\d+(?:\.\d+)?)\s*([KMG])(?:iB)?\s*"
DURATION = r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*"
_EARLIEST = datetime.min.replace(tzinfo=UTC)


def mib(value: float) -> str:
    """Bytes as MiB with two decimals, the papers' precision; below 1 MiB with three digits.

    Below 0.01 MiB they are KiB, and below 1 KiB bytes: zeros after the point are hard to count.
    """
    size = value / MIB
    if abs(size) >= 1 or size == 0:
        return f"{size:.2f} MiB"
    if abs(size) >= 0.01:
        return f"{size:#.3g} MiB"
    if abs(value) >= KIB:
        return f"{_digits(value / KIB)} KiB"
    return number_of(value, "byte") if value == round(value) else f"{_digits(value)} bytes"


def whole_mib(value: float) -> str:
    """Bytes of a limit as whole MiB: 3584 MiB."""
    return f"{value / MIB:.0f} MiB"


def share(value: float, limit: float) -> str:
    """Bytes as a share of a limit: 2.0 % of 3.5 GiB."""
    return f"{percent(value / limit)} of {size(limit)}"


def percent(share: float) -> str:
    """A share in percent, with one decimal below 10 %. No other share is rounded to 100 %."""
    if share != 1 and 0.995 <= share <= 1.005:
        return f"{100 * (min(share, 0.999) if share < 1 else max(share, 1.001)):.1f} %"
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def parse_bytes(text: str) -> int:
    """The bytes of `512M`, `2G` or `1.5 GiB`, by powers of 1024; ValueError for other text."""
    match = re.fullmatch(SIZE, text)
    if match is None:
        raise ValueError(f"must be a size such as 512M or 2G, got {text!r}")
    size = float(match[1]) * 2 ** _POWERS[match[2]]
    if size >= 2**63:  # no bundle can have such a number
        raise ValueError(f"must be a size such as 512M or 2G, got one of {len(text)} characters")
    return int(size)


def size(value: float) -> str:
    """Bytes as a size of memory: 512 MiB, 2 GiB."""
    if value < GIB:
        return f"{value / MIB:.4g} MiB"
    gib = value / GIB
    return f"{gib:.3g} GiB" if gib < 999.5 else f"{gib:.0f} GiB"  # no power of ten


def parse_duration(text: str) -> float:
    """The seconds of `90`, `90s`, `10m` or `2h`; ValueError for other text."""
    match = re.fullmatch(DURATION, text)
    if match is None:
        raise ValueError(f"must be a duration such as 90, 90s, 10m or 2h, got {text!r}")
    duration = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
    if duration >= 2**63:
        raise ValueError(
            f"must be a duration such as 90, 90s, 10m or 2h, got one of {len(text)} characters"
        )
    return duration


def seconds(value: float) -> str:
    """Seconds in the unit that reads best: µs, ms, s."""
    size = abs(value)
    if size >= 1 or size == 0:
        return f"{_digits(value)} s"
    if size >= 1e-3:
        return f"{_digits(value * 1e3)} ms"
    return f"{_digits(value * 1e6)} µs"


def flops(value: float) -> str:
    """Floating-point operations, in the power of a thousand that reads best."""
    return _in_thousands(value, "FLOP")


def macs(value: float) -> str:
    """Multiply-adds, in the power of a thousand that reads best."""
    return _in_thousands(value, "MAC")


def count(value: float, unit: str) -> str:
    """A count of things, in the power of a thousand that reads best."""
    return _in_thousands(value, unit, " ")


def number_of(number: float, noun: str) -> str:
    """A number of things: 1 cell, 2 cells."""
    return f"{number:.0f} {noun}" if number == 1 else f"{number} {noun}s"


def _in_thousands(value: float, unit: str, between: str = "") -> str:
    for power, name in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{_digits(value / 10**power)} {name}{between}{unit}"
    return f"{value:.0f} {unit}"


def ratio(value: float) -> str:
    """A ratio to a baseline: 0.78×."""
    return f"{_digits(value)}×"


def clock(value: float) -> str:
    """A duration as a clock shows it: 0:42, 12:05, 1:02:05."""
    hours, below_hour = divmod(max(0, round(value)), 3600)
    minutes, secs = divmod(below_hour, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def instant(text: str) -> datetime | None:
    """An ISO 8601 time in UTC; None for a text that is not a time, as a bundle may have it.

    A time without a zone counts as UTC.
    """
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def by_time(text: str) -> datetime:
    """The key that sorts times of any zone by their instant. What is not a time comes first."""
    return instant(text) or _EARLIEST


def minute(text: str) -> str:
    """An ISO 8601 time to the minute, in UTC: `2026-11-30 03:29`. Any other text stays as it is."""
    found = instant(text)
    return text if found is None else f"{found:%Y-%m-%d %H:%M}"


def day(text: str) -> str:
    """The day of an ISO 8601 time, in UTC: `2026-11-30`. Any other text stays as it is."""
    found = instant(text)
    return text if found is None else f"{found:%Y-%m-%d}"


def moment(text: str) -> str:
    """An ISO 8601 time as readable UTC: `2026-11-30 03:29 UTC`. Any other text stays as it is."""
    return text if instant(text) is None else f"{minute(text)} UTC"


def seconds_between(begin: str, end: str) -> float:
    """The seconds between two ISO 8601 times; 0 if a text, perhaps of a bundle, is no time."""
    first, last = instant(begin), instant(end)
    return 0.0 if first is None or last is None else (last - first).total_seconds()


def natural_key(name: str) -> list[tuple[int, str]]:
    """The key that sorts names by their numbers: pi5-2gb before pi5-16gb.

    A number is compared by the count of its digits, then by its digits. So it may have any length.
    Different names have different keys.
    """
    parts = re.split(r"([0-9]+)", name)
    parts[1::2] = [part.lstrip("0") for part in parts[1::2]]
    key = [(len(part) if place % 2 else -1, part) for place, part in enumerate(parts)]
    return [*key, (-2, name)]


def about(value: float) -> str:
    """A duration in words: 100 ms, 40 s, 4 min, 1 h 20 min."""
    minutes = max(0, round(value / 60))
    if 0 < value < 0.95:
        return seconds(float(f"{value:.1g}"))
    if value < 60:
        return f"{max(0, round(value))} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def quantity(value: float, unit: str) -> str:
    """A metric's value in its unit, as tables show it."""
    match unit:
        case "bytes":
            return mib(value)
        case "seconds":
            return seconds(value)
        case "flops":
            return flops(value)
        case "celsius":
            return f"{value:.1f} °C"
        case "":
            return _not_up_to_one(value)
        case "joules" | "watts":
            return f"{_digits(value)} {unit}"
        case _:
            return count(value, unit)


def axis(unit: str) -> tuple[float, str]:
    """The factor for a value on an axis, and the unit of the axis."""
    match unit:
        case "bytes":
            return 1 / MIB, "MiB"
        case "seconds":
            return 1e3, "ms"
        case "flops":
            return 1e-9, "GFLOP"
        case "celsius":
            return 1.0, "°C"
        case _:
            return 1.0, unit


def interval(lower: float, upper: float, unit: str) -> str:
    """Two bounds with their unit. A unit that both share is shown only at the end."""
    low, high = quantity(lower, unit), quantity(upper, unit)
    value, _, low_unit = low.rpartition(" ")
    if value and low_unit == high.rpartition(" ")[2]:
        low = value
    return f"{low} … {high}"


def _not_up_to_one(value: float) -> str:
    """The same digits, but `>0.999` just below 1: only an exact cosine or share is 1."""
    return ">0.999" if 0.9995 <= value < 1 else _digits(value)


def _digits(value: float) -> str:
    """Three significant digits, with their zeros; whole numbers are never shortened."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1 or size == 0:
        return f"{value:.2f}"
    return f"{value:#.3g}"
