"""Joules of a piece of work, by a meter. Each meter has a scope.

A meter is a counter of joules (RAPL), or it gives watts again and again: the power chip of the
Raspberry Pi 5, a chip that the kernel knows (hwmon), or a command of the user's.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol


class EnergyUnavailable(RuntimeError):
    """There is no energy meter, or it cannot be read. The text has the reason."""


class Metering(Protocol):
    """A running measurement. It raises only when it is asked for its joules."""

    def mark(self) -> float:
        """Take what the meter has counted so far; the moment by `time.perf_counter`.

        Call it at the beginning and the end of the work, and sometimes between two steps.
        """

    def settle(self) -> None:
        """Wait until the meter has readings up to the last mark, or has stalled."""

    def tells_of(self, moment: float) -> bool:
        """Whether the meter has told of this moment, or will not any more."""

    @property
    def interval(self) -> float:
        """The usual seconds between two readings; 0 for a counter."""

    def joules(self, start: float, end: float) -> float:
        """The energy between two marks; EnergyUnavailable with the reason if it is not known."""

    @property
    def scope(self) -> str:
        """The parts of the machine whose energy was counted, and how finely."""


class Meter(Protocol):
    """Something that counts energy."""

    def begin(self) -> AbstractContextManager[Metering]:
        """Measure until the end of the block."""


def meter(power: Mapping[str, Any] | None = None) -> Meter:
    """The meter that the profile names, or else the first one that this machine has."""
    from ondevice_bench.measure.hwmon import Hwmon
    from ondevice_bench.measure.pmic import Pmic
    from ondevice_bench.measure.printed_power import PrintedPower
    from ondevice_bench.measure.rapl import Rapl

    kinds: dict[str, Callable[[], Meter]] = {"rapl": Rapl, "pmic": Pmic, "hwmon": Hwmon}
    if power is not None:
        kind = power["kind"]
        if kind == "command":
            return PrintedPower(power["command"], power["folder"])
        return Hwmon(power["rails"]) if kind == "hwmon" else kinds[kind]()
    reasons = []
    for make in kinds.values():
        try:
            return make()
        except EnergyUnavailable as error:
            reasons.append(str(error))
    raise EnergyUnavailable("; ".join(reasons))
