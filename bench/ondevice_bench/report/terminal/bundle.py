"""The runs of a bundle in the terminal."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ondevice_bench.record.run_json import RunContent
from ondevice_bench.units import minute


def bundle_row(content: RunContent) -> dict[str, Any]:
    """A run of a bundle: where it ran, and how much of it is there."""
    run, states = content.run, Counter(item.state for item in content.cells)
    machine, torch = run.machine, run.software["torch"]
    return {
        "run": run.id,
        "profile": run.profile,
        "machine": f"{machine['board'] or machine['arch']}, {machine['cpu']}, torch {torch}",
        "cells": ", ".join(f"{count} {state}" for state, count in states.items()),
        "records": len(content.records),
        "finished": run.finished or "",
    }


def bundle_line(row: Mapping[str, Any]) -> str:
    """The same as a sentence. An id that a column of a table cuts could not be copied."""
    new = f" ({row['new']} new) in {row['store']}" if "new" in row else ""
    finished = f"finished {minute(row['finished'])}" if row["finished"] else "unfinished"
    return (
        f"{row['run']}: {row['profile']} ({row['machine']}), cells: {row['cells']}, "
        f"{row['records']} records{new}, {finished}"
    )
