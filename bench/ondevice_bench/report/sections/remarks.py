"""What was not measured and why, what to know before trusting, how to read, where it ran."""

import shlex
from collections.abc import Mapping
from typing import Any

from ondevice_bench import units
from ondevice_bench.analyse.summary import NOT_INTERLEAVED
from ondevice_bench.report.sections.section import Section, Shown, usual_baseline
from ondevice_bench.suite.passes import rounds_of


def problems(shown: Shown) -> Mapping[str, Any] | None:
    """Every cell's problems."""
    found = [(cell.id, text) for cell in shown.summary.cells for text in cell.problems]
    return {"items": found} if found else None


def notes(shown: Shown) -> Mapping[str, Any] | None:
    """The doctor's findings of the machine, and the notes of cells: alike ones together."""
    by_note: dict[str, list[str]] = {}
    for cell in shown.summary.cells:
        for note in cell.notes:
            by_note.setdefault(note, []).append(cell.id)
    items = [("this machine", text) for text in shown.summary.notes]
    items += [] if shown.summary.is_interleaved else [("this run", NOT_INTERLEAVED)]
    items += [(_listed(cells), note) for note, cells in by_note.items()]
    return {"items": items} if items else None


def _listed(cells: list[str]) -> str:
    return cells[0] if len(cells) == 1 else f"{cells[0]} and {len(cells) - 1} more"


def conditions(shown: Shown) -> Mapping[str, Any]:
    """The run, its suite and its profile, whole."""
    return {"facts": _facts(shown), "run": shown.summary.run}


def _facts(shown: Shown) -> dict[str, str]:
    run = shown.summary.run
    machine, software = run.machine, run.software
    cells = [cell.planned.cell for cell in shown.summary.cells]
    torch = f"torch {software['torch']} ({software['torch_blas']}, {software['torch_cpu']})"
    cores = f"{machine['physical_cores']} cores, {machine['threads']} threads used"
    return {
        "Machine": ", ".join(filter(None, (machine["board"], machine["arch"]))),
        "Profile": run.profile,
        "Processor": f"{machine['cpu']}, {cores}",
        "Memory": f"{machine['memory_gib']} GiB, pages of {machine['page_bytes'] // 1024} KiB",
        "System": f"Linux {machine['kernel']}, {machine['libc']}",
        "Software": f"bench {software['bench']}, Python {software['python']}, {torch}",
        "Commit": run.commit,
        "Started": run.created,
        "Finished": run.finished or "not yet: some measurements are missing",
        "Data": ", ".join(sorted({cell.data for cell in cells})),
        "Weights": ", ".join(sorted({cell.weights for cell in cells})),
        "Limits": _limits(run.settings),
        "Rounds": _rounds(run.settings),
        "Command": run.command,
        "This page": _drawing(shown),
    }


def _drawing(shown: Shown) -> str:
    """The command that draws this page."""
    run = shown.summary.run
    runs = [run.id, *(other.run.id for other in shown.others)]
    is_usual = shown.baseline == usual_baseline(shown.summary)
    against = [] if is_usual else ["--baseline", shown.baseline]
    return shlex.join(["bench", "report", *runs, "--layout", shown.layout, *against])


def _limits(settings: Mapping[str, Any]) -> str:
    cpus, cap = settings.get("cpus"), settings.get("memory_cap_bytes")
    if cpus is None:
        return "not recorded"
    listed = ", ".join(map(str, cpus))
    memory = "none on memory" if cap is None else f"{units.size(cap)} that a worker may allocate"
    return f"processors {listed}; {memory}"


def _rounds(settings: Mapping[str, Any]) -> str:
    counts = {name: rounds_of(name, settings["rounds"]) for name in settings["measure"]}
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"{said} (each a fresh process)"


PROBLEMS = Section("problems", "What was not measured, and why", content=problems)
NOTES = Section("notes", "Know before you trust", content=notes)
READING = Section("reading", "How to read this report", content=lambda _: {})
CONDITIONS = Section("conditions", "Where and with what", content=conditions)
