"""Power chips that the kernel knows: INA219, INA226, INA3221 and similar ones, on a Pi or a Jetson.

Another process reads them: `hwmon SECONDS FILES` prints the watts of these rails together.
"""

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ondevice_bench.measure.energy import EnergyUnavailable
from ondevice_bench.measure.power_printer import print_power
from ondevice_bench.measure.printed_power import PrintedPower
from ondevice_bench.sensors.kernel_file import text_of

_ROOT = Path("/sys/class/hwmon")
_INTERVAL = 0.1
_INA = re.compile(r"ina\d+\w*")
_CHANNELS = 3  # of an INA3221; its further numbers are shunts and their sum
# rails from which all others are fed: to add these would count them twice
WHOLE = ("VDD_IN", "POM_5V_IN")


@dataclass(frozen=True)
class Rail:
    """One line of supply. Its power is in a file, or is the product of volts and amperes."""

    name: str
    device: str
    files: tuple[Path, ...]  # power in µW; or current in mA and voltage in mV

    def watts(self) -> float:
        """The power now."""
        return watts_of(self.files)


class Hwmon(PrintedPower):
    """Rails of power chips. Another process samples them ten times a second.

    Without names these are the rails of the only INA, or the one that feeds all others.
    """

    def __init__(self, names: Sequence[str] = (), root: Path = _ROOT) -> None:
        chosen = _chosen(rails(root, every_chip=bool(names)), names, root)
        for rail in chosen:
            try:
                rail.watts()
            except (OSError, ValueError) as error:
                raise EnergyUnavailable(f"rail {rail.name} cannot be read: {error}") from None
        listing = " + ".join(rail.name for rail in chosen)
        super().__init__(
            (sys.executable, "-P", "-m", __name__, str(_INTERVAL), _as_text(chosen)),
            scope=f"{'rails' if len(chosen) > 1 else 'rail'} {listing} (hwmon)",
        )


def watts_of(files: Sequence[Path]) -> float:
    """The power by one file in µW, or by two files in mA and mV."""
    numbers = [float(file.read_text()) for file in files]
    return math.prod(numbers) / 1e6


def _as_text(chosen: Sequence[Rail]) -> str:
    return json.dumps([[str(file) for file in rail.files] for rail in chosen])


def rails(root: Path = _ROOT, *, every_chip: bool = False) -> list[Rail]:
    """The rails of INA chips, or of every chip. Two of one name have the device in theirs."""
    found: list[Rail] = []
    for folder in sorted(root.glob("hwmon*"), key=lambda path: (len(path.name), path.name)):
        chip = text_of(folder / "name")
        if every_chip or _INA.fullmatch(chip):
            found += _rails_of(folder, chip)
    count = Counter(rail.name for rail in found)
    return [
        replace(rail, name=f"{rail.name}@{rail.device}") if count[rail.name] > 1 else rail
        for rail in found
    ]


def _rails_of(folder: Path, chip: str) -> list[Rail]:
    device = (folder / "device").resolve().name if (folder / "device").exists() else folder.name
    numbers = {
        int(match[1])
        for file in folder.glob("*_input")
        if (match := re.fullmatch(r"(?:power|curr)(\d+)_input", file.name))
    }
    found = []
    for number in sorted(numbers):
        power = folder / f"power{number}_input"
        pair = (folder / f"curr{number}_input", folder / f"in{number}_input")
        files = (power,) if power.exists() else pair
        is_sum = chip == "ina3221" and number > _CHANNELS
        is_off = text_of(folder / f"in{number}_enable") == "0"
        if is_sum or is_off or not all(file.exists() for file in files):
            continue
        labels = (text_of(folder / f"{kind}{number}_label") for kind in ("power", "in", "curr"))
        name = next(filter(None, labels), f"{chip}/{number}")
        found.append(Rail(name, device, files))
    return found


def _chosen(found: Sequence[Rail], names: Sequence[str], root: Path) -> list[Rail]:
    """The named rails, or those that are the whole board for certain."""
    by_name = {rail.name: rail for rail in found}
    listing = ", ".join(by_name) or "none"
    if names:
        missing = [name for name in names if name not in by_name]
        if missing:
            raise EnergyUnavailable(f"{root} has no rail {missing[0]!r} (it has: {listing})")
        return [by_name[name] for name in names]
    if not found:
        raise EnergyUnavailable(f"{root} has no INA219, INA226 or INA3221")
    whole = [by_name[name] for name in WHOLE if name in by_name]
    if not whole and len(found) > 1:
        raise EnergyUnavailable(
            f"{root} has several rails ({listing}), and one may feed another: name those that add "
            "up in the profile: `power: {hwmon: [RAIL, …]}`"
        )
    return whole[:1] or list(found)


def main() -> None:
    """Print the watts of the rails at each interval, while the parent lives."""
    interval, chosen = float(sys.argv[1]), json.loads(sys.argv[2])
    files = [[Path(file) for file in rail] for rail in chosen]
    print_power(lambda: sum(map(watts_of, files)), interval)


if __name__ == "__main__":
    main()
