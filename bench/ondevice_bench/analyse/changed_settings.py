"""The settings of two runs that change what they measure, and that differ."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench.record.model import Run

# some processors of a board are slower than others; a cap is a limit of the memory; another meter
# counts another energy
SETTINGS = ("cpus", "memory_cap_bytes", "power")


def changed_settings(before: Run, after: Run) -> list[str]:
    """The processors, the memory cap and the meter of workers, if both runs know them."""
    known = [name for name in SETTINGS if name in before.settings and name in after.settings]
    pairs = {
        name: (setting_text(before.settings[name]), setting_text(after.settings[name]))
        for name in known
    }
    return [
        f"setting {name}: {one} → {other}" for name, (one, other) in pairs.items() if one != other
    ]


def setting_text(value: Any) -> str:
    """The value of a setting, as a change of it names it."""
    if isinstance(value, Mapping):  # a meter with its rails or its command
        return "; ".join(f"{name}: {setting_text(each)}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
