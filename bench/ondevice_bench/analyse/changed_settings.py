"""The settings of two runs that change what they measure, and that differ."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench.record.model import Run

# some processors of a board are slower than others; a cap is a limit of the memory; another meter
# counts another energy
SETTINGS = ("cpus", "memory_cap_bytes", "power")


def changed_settings(before: Run, after: Run) -> list[str]:
    """The processors, the memory cap and the meter of workers, if both runs know them."""
    old, new = settings_of(before), settings_of(after)
    return [
        f"setting {name}: {old[name]} → {new[name]}"
        for name in SETTINGS
        if name in old and name in new and old[name] != new[name]
    ]


def settings_of(run: Run) -> dict[str, str]:
    """The texts of those settings that the run knows."""
    return {name: setting_text(run.settings[name]) for name in SETTINGS if name in run.settings}


def setting_text(value: Any) -> str:
    """The value of a setting, as a change of it names it."""
    if isinstance(value, Mapping):  # a meter with its rails or its command
        return "; ".join(f"{name}: {setting_text(each)}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
