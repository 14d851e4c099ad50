"""The state of a machine, which changes from minute to minute. Every measurement reads it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ondevice_bench.sensors import control_groups, temperature, throttling
from ondevice_bench.sensors.machine import (
    FAULTS,
    VCGENCMD,
    Ask,
    NoSensor,
    asked,
    firmware_mhz,
    throttling_sensor,
)
from ondevice_bench.units import GIB

_FAIR_SHARE = 0.75  # of the memory in whole GiB: what a kernel and a display leave at least
_STEP = 16 << 20


@dataclass(frozen=True)
class HardwareState:
    """Load, memory, clock and temperature; None if the machine does not report one."""

    load_1min: float | None
    memory_available_bytes: int | None
    swap_used_bytes: int | None
    cpu_mhz: float | None
    temperature_celsius: float | None
    throttle_bits: int | None = None  # as `sensors.throttling` reads them

    def to_dict(self) -> dict[str, float | int | None]:
        """The state as plain values."""
        return asdict(self)


def read_state(root: Path = Path("/"), throttled_by: str = "", ask: Ask = asked) -> HardwareState:
    """Read the state now, without the bits of throttling."""
    memory, allowed = _meminfo(root), control_groups.memory_available(root)
    available = [each for each in (memory.get("MemAvailable"), allowed) if each is not None]
    total, free = memory.get("SwapTotal"), memory.get("SwapFree")
    return HardwareState(
        load_1min=_first_number(root / "proc/loadavg"),
        memory_available_bytes=min(available, default=None),
        swap_used_bytes=total - free if total is not None and free is not None else None,
        cpu_mhz=_mhz(root, throttled_by, ask),
        temperature_celsius=_temperature(root),
    )


def throttle_bits(
    throttled_by: str, root: Path = Path("/"), ask: Ask = asked
) -> Callable[[], int | None]:
    """A function that reads the throttling bits. It returns None if the machine has none."""
    try:
        sensor = throttling_sensor(root, throttled_by, ask)
    except (NoSensor, *FAULTS):
        return lambda: None

    def read() -> int | None:
        try:
            return int(sensor())
        except FAULTS:
            return None

    return read


def throttled_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Why the board lowered its clock between two states, or at one of them; () if it did not.

    The states are plain values. If one of them has no bits, nothing is known.
    """
    first, last = before.get("throttle_bits"), after.get("throttle_bits")
    if first is None or last is None:
        return ()
    return throttling.causes(throttling.since(first, first) | throttling.since(last, first))


def memory_limit(root: Path = Path("/")) -> int | None:
    """The bytes that a container or a small memory allows to this process; None without a limit.

    A machine has its memory in whole GiB, see `probe`. If they promise far more than the kernel has
    (a board of 512 MiB), its memory is a limit. The steps hide what changes from boot to boot.
    """
    total, allowed = _meminfo(root).get("MemTotal"), control_groups.memory_limit(root)
    if total is None or total >= _FAIR_SHARE * -(-total // GIB) * GIB:
        return allowed
    real = total // _STEP * _STEP
    return real if allowed is None else min(real, allowed)


def allowed_cpus() -> tuple[int, ...]:
    """The processors that this process may run on."""
    return tuple(sorted(os.sched_getaffinity(0)))


def _first_number(path: Path) -> float | None:
    try:
        return float(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _meminfo(root: Path) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    values: dict[str, int] = {}
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return values
    for line in lines:
        name, _, value = line.partition(":")
        words = value.split()
        if words:
            values[name] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return values


def _temperature(root: Path) -> float | None:
    files = temperature.temperature_files(root)
    try:
        return temperature.celsius(files) if files else None
    except (OSError, ValueError):  # the sensor sleeps
        return None


def _mhz(root: Path, throttled_by: str, ask: Ask) -> float | None:
    if throttled_by == VCGENCMD:
        try:
            return firmware_mhz(ask)
        except FAULTS:
            return None
    return _mean_of(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq", 1e3)


def _mean_of(root: Path, pattern: str, divisor: float) -> float | None:
    readings = map(_first_number, root.glob(pattern))
    numbers = [number for number in readings if number is not None]
    return sum(numbers) / len(numbers) / divisor if numbers else None
