"""The power chip of the Raspberry Pi 5, which reports volts and amperes of each rail.

Another process reads it: `pmic SECONDS COMMAND…` prints its watts at each interval.
"""

import subprocess
import sys

from ondevice_bench.measure.energy import EnergyUnavailable
from ondevice_bench.measure.power_printer import print_power
from ondevice_bench.measure.printed_power import PrintedPower
from ondevice_bench.sensors.machine import asked

_COMMAND = ("vcgencmd", "pmic_read_adc")
_INTERVAL = 0.1
_LONGEST = 10.0  # of a reading


class Pmic(PrintedPower):
    """The rails of a Raspberry Pi 5. Another process samples them ten times a second."""

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        try:
            rails = rail_watts(asked(command, _LONGEST))
        except OSError as error:
            raise EnergyUnavailable(f"{command[0]} cannot be run: {error.strerror}") from None
        except subprocess.SubprocessError as error:
            raise EnergyUnavailable(f"{command[0]} gives no readings: {error}") from None
        except ValueError as error:
            raise EnergyUnavailable(f"{' '.join(command)}: {error}") from None
        if not rails:
            raise EnergyUnavailable(f"{' '.join(command)} names no rail with volts and amperes")
        super().__init__(
            (sys.executable, "-P", "-m", __name__, str(_INTERVAL), *command),
            scope="the board's rails by its power chip, without losses of converters and without "
            "USB",
        )


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


def main() -> None:
    """Print the watts of all rails at each interval, while the parent lives.

    A reading without all rails ends it: a rail that is missing is not one without power.
    """
    interval, command = float(sys.argv[1]), sys.argv[2:]
    known = set[str]()

    def watts() -> float:
        nonlocal known
        rails = rail_watts(asked(command, _LONGEST))
        known = known or set(rails)
        if not rails or set(rails) != known:
            differing = ", ".join(sorted(known ^ set(rails))) or "none"
            sys.exit(f"{' '.join(command)} does not name the same rails each time: {differing}")
        return sum(rails.values())

    print_power(watts, interval)


if __name__ == "__main__":
    main()
