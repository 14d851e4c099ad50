"""How a run ended: which statuses are failures, and the exit code."""

from collections.abc import Collection, Mapping
from typing import Any

from ondevice_bench.errors import ExitCode
from ondevice_bench.record.model import NOT_OK


def failures(settings: Mapping[str, Any]) -> frozenset[str]:
    """The statuses that count as failures. Under a memory cap, out of memory is a result."""
    return NOT_OK - {"oom"} if settings.get("memory_cap_bytes") else NOT_OK


def exit_code(statuses: Collection[str], settings: Mapping[str, Any]) -> ExitCode:
    """The exit code of a run whose cells ended with these statuses."""
    failing = failures(settings)
    if failing & set(statuses):
        return ExitCode.CELL_FAILED
    results = {"ok", *(NOT_OK - failing)}
    return ExitCode.OK if results & set(statuses) else ExitCode.NOTHING_RAN
