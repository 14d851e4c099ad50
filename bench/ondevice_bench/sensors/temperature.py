"""The temperature of the processor if the kernel names its sensor, or else of the hottest zone.

A mean of all zones would include disks, batteries and the air of the case.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ondevice_bench.sensors.kernel_file import text_of

# types of thermal zones: cpu-thermal (Pi), CPU-therm (Jetson), x86_pkg_temp, bigcore0-thermal
_PROCESSOR_ZONE = re.compile(r"cpu|(big|mid|little)core|x86_pkg_temp", re.IGNORECASE)
_PROCESSOR_CHIPS = ("k10temp", "zenpower", "coretemp", "cpu_thermal")  # names of hwmon
_OFFSET_LABEL = "Tctl"  # AMD: on some processors 10 to 27 °C above Tdie, which is the real value
_CONSTANT_ZONE = "PMIC-Die"  # Jetson: it always shows 100 °C


def temperature_files(root: Path) -> tuple[Path, ...]:
    """The files to read. The highest number counts, in thousandths of a °C.

    There are none if the machine shows no temperature.
    """
    every = sorted(root.glob("sys/class/thermal/thermal_zone*/temp"))
    zones = {path: text_of(path.with_name("type")) for path in every if _reads(path)}
    of_processor = [path for path, kind in zones.items() if _PROCESSOR_ZONE.search(kind)]
    others = [path for path, kind in zones.items() if kind != _CONSTANT_ZONE]
    return tuple(of_processor or _inputs_of_chips(root) or others)


def celsius(files: Sequence[Path]) -> float:
    """The highest temperature now; OSError or ValueError if a file cannot be read."""
    return max(float(path.read_text()) for path in files) / 1e3


def _inputs_of_chips(root: Path) -> list[Path]:
    """The files in which the driver of the processor reports its temperature."""
    names = sorted(root.glob("sys/class/hwmon/hwmon*/name"))
    chips = [path.parent for path in names if text_of(path) in _PROCESSOR_CHIPS]
    inputs = [path for chip in chips for path in sorted(chip.glob("temp*_input")) if _reads(path)]
    exact = [path for path in inputs if _label(path) != _OFFSET_LABEL]
    return exact or inputs


def _label(path: Path) -> str:
    return text_of(path.with_name(path.name.replace("_input", "_label")))


def _reads(path: Path) -> bool:
    try:
        float(path.read_text())
    except (OSError, ValueError):
        return False
    return True
