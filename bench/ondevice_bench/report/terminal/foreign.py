"""Readings of other tools in a history. Every output marks them: bench did not measure them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ondevice_bench import units
from ondevice_bench.record.foreign import ForeignRun, by_series
from ondevice_bench.terminal import Table

MARK = "foreign"
HEADING = "foreign metrics: measured by other tools, never joined with ours and never judged"


def foreign_line(run: ForeignRun, path: Path, *, is_new: bool) -> str:
    """A line about the readings that an import stored."""
    already = "" if is_new else ", already here"
    count = units.number_of(len(run.readings), "benchmark")
    return f"{MARK}: {count} of {run.tool} {run.tool_version} on {run.machine}{already}: {path}"


def foreign_row(run: ForeignRun, path: Path, *, is_new: bool) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "kind": MARK,
        "tool": run.tool,
        "tool_version": run.tool_version,
        "created": run.created,
        "commit": run.commit,
        "machine": run.machine,
        "benchmarks": len(run.readings),
        "new": is_new,
        "file": str(path),
    }


def foreign_table(runs: Sequence[ForeignRun]) -> Table:
    """A line for each benchmark on each machine: its first and its latest median."""
    table = Table("foreign", "benchmark", "machine", "readings", "first", "latest", heading=HEADING)
    for (tool, benchmark, machine), points in by_series(runs).items():
        ends = (points[0][1], points[-1][1])
        medians = (units.seconds(each.median) for each in ends)
        table.add_row(tool, benchmark, machine, str(len(points)), *medians)
    return table


def foreign_json(runs: Sequence[ForeignRun]) -> list[dict[str, Any]]:
    """The same with all readings, as plain values."""
    return [
        {
            "kind": MARK,
            "tool": tool,
            "benchmark": benchmark,
            "machine": machine,
            "readings": [
                {
                    "created": run.created,
                    "commit": run.commit,
                    "tool_version": run.tool_version,
                    "median_seconds": each.median,
                    "mean_seconds": each.mean,
                    "min_seconds": each.min,
                    "stddev_seconds": each.stddev,
                    "rounds": each.rounds,
                }
                for run, each in points
            ],
        }
        for (tool, benchmark, machine), points in by_series(runs).items()
    ]
