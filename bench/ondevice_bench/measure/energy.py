"""Joules of a piece of work, by a meter of the machine itself. Each meter has a scope.

RAPL counts the energy of a processor package. The power chip of the Raspberry Pi 5 reports volts
and amperes of each rail. Another process reads the chip: `energy SECONDS COMMAND…` prints watts.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_POWERCAP = Path("/sys/class/powercap")
_PMIC = ("vcgencmd", "pmic_read_adc")
_INTERVAL = 0.1


class EnergyUnavailable(RuntimeError):
    """The machine has no energy meter, or does not allow to read it. The text has the reason."""


class Meter(Protocol):
    """Something that counts energy."""

    @property
    def scope(self) -> str:
        """The parts of the machine whose energy it counts."""

    def during(self, work: Callable[[], None]) -> "EnergyUse":
        """The energy used while `work` runs."""


@dataclass(frozen=True)
class EnergyUse:
    """Energy and time of a piece of work."""

    joules: float
    seconds: float

    @property
    def watts(self) -> float:
        """Mean power."""
        return self.joules / self.seconds


def meter() -> Meter:
    """The meter of this machine."""
    reasons = []
    for kind in (Rapl, Pmic):
        try:
            return kind()
        except EnergyUnavailable as error:
            reasons.append(str(error))
    raise EnergyUnavailable("; ".join(reasons))


class Rapl:
    """Counters of processor packages below /sys/class/powercap, in microjoules. They wrap."""

    scope = "processor packages (RAPL), without memory and board"

    def __init__(self, root: Path = _POWERCAP) -> None:
        zones = sorted(root.glob("*-rapl:[0-9]*")) if root.is_dir() else []
        names = {zone: _text(zone / "name") for zone in zones if zone.name.count(":") == 1}
        self._zones = [zone for zone, name in names.items() if name.startswith("package")]
        if not self._zones:
            raise EnergyUnavailable(f"{root} has no package of a RAPL")
        try:
            self._read()
        except OSError as error:
            raise EnergyUnavailable(f"{error.filename} cannot be read: {error.strerror}") from None

    def during(self, work: Callable[[], None]) -> EnergyUse:
        """The counters after the work, minus the counters before it."""
        before, start = self._read(), time.perf_counter()
        work()
        seconds, after = time.perf_counter() - start, self._read()
        total = 0
        for zone, first, last in zip(self._zones, before, after, strict=True):
            wraps_at = int(_text(zone / "max_energy_range_uj") or 0)
            total += last - first + (wraps_at if last < first else 0)
        return EnergyUse(total / 1e6, seconds)

    def _read(self) -> list[int]:
        return [int((zone / "energy_uj").read_text()) for zone in self._zones]


class Pmic:
    """The rails of a Raspberry Pi 5. Another process samples them ten times a second."""

    scope = "the board's rails by its power chip, without losses of converters and without USB"

    def __init__(self, command: tuple[str, ...] = _PMIC) -> None:
        self._command = command
        try:
            reading = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=10
            )
        except OSError as error:
            raise EnergyUnavailable(f"{command[0]} cannot be run: {error.strerror}") from None
        except subprocess.SubprocessError as error:
            raise EnergyUnavailable(f"{command[0]} gives no readings: {error}") from None
        if not rail_watts(reading.stdout):
            raise EnergyUnavailable(f"{' '.join(command)} names no rail with volts and amperes")

    def during(self, work: Callable[[], None]) -> EnergyUse:
        """The mean of the sampled power, times the time."""
        sampler = [sys.executable, "-P", "-m", __name__, str(_INTERVAL), *self._command]
        with subprocess.Popen(sampler, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
            process.kill()
            output = first + process.communicate()[0]
        watts = [float(line) for line in output.splitlines(keepends=True) if line[-1] == "\n"]
        if not watts:
            raise EnergyUnavailable(f"{self._command[0]} gave no readings while the work ran")
        return EnergyUse(sum(watts) / len(watts) * seconds, seconds)


def rail_watts(text: str) -> dict[str, float]:
    """Watts of each rail with volts and amperes; lines are like `VDD_CORE_A current(7)=0.845A`."""
    amperes: dict[str, float] = {}
    volts: dict[str, float] = {}
    for line in text.splitlines():
        name, _, reading = line.strip().partition(" ")
        value = reading.partition("=")[2].rstrip("AV")
        table = {"_A": amperes, "_V": volts}.get(name[-2:])
        if table is not None and value:
            table[name[:-2]] = float(value)
    return {rail: current * volts[rail] for rail, current in amperes.items() if rail in volts}


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def main() -> None:
    """Print the watts of all rails at each interval, while the parent lives."""
    interval, command = float(sys.argv[1]), sys.argv[2:]
    parent = os.getppid()
    while os.getppid() == parent:
        reading = subprocess.run(command, capture_output=True, text=True, check=True)
        print(sum(rail_watts(reading.stdout).values()), flush=True)  # noqa: T201  # to its parent
        time.sleep(interval)


if __name__ == "__main__":
    main()
