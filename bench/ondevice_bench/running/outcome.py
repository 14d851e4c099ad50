"""How a run ended: which statuses are failures, and the exit code."""

from collections.abc import Collection, Iterable, Mapping
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


def exit_code_of_all(codes: Iterable[ExitCode]) -> ExitCode:
    """The exit code of a command by those of its runs: what failed counts, then what was measured.

    A command without any run is ok.
    """
    found = set(codes)
    if ExitCode.CELL_FAILED in found:
        return ExitCode.CELL_FAILED
    return ExitCode.NOTHING_RAN if found == {ExitCode.NOTHING_RAN} else ExitCode.OK
