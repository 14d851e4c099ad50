"""The settings of two runs that change what they measure, and that differ."""

from typing import Any

from ondevice_bench.record.model import Run

# some processors of a board are slower than others; a cap is a limit of the memory
_SETTINGS = ("cpus", "memory_cap_bytes")


def changed_settings(before: Run, after: Run) -> list[str]:
    """The processors and the memory cap of workers, if both runs know them and they differ."""
    known = [name for name in _SETTINGS if name in before.settings and name in after.settings]
    pairs = {name: (_text(before.settings[name]), _text(after.settings[name])) for name in known}
    return [
        f"setting {name}: {one} → {other}" for name, (one, other) in pairs.items() if one != other
    ]


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
