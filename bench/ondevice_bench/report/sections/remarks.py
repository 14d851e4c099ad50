"""Missing numbers, caveats, how to read the page, and the environment of the run."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.judgement import DRIFT
from ondevice_bench.analyse.summary import NOT_INTERLEAVED
from ondevice_bench.passes import BY_NAME, rounds_of
from ondevice_bench.record.origin import commit_text
from ondevice_bench.report.folding import fold, unmeasured
from ondevice_bench.report.sections.section import ReportData, Section, usual_baseline
from ondevice_bench.suite.cell import Cell
from ondevice_bench.validation.pi import caveat, is_of_a_pi


def problems(data: ReportData) -> Mapping[str, Any] | None:
    """What was not measured, and why. Cells with the same reason share a line."""
    planned = data.summary.planned
    items = [
        (each.who, each.text)
        for each in fold((cell.id, text) for cell in planned for text in cell.problems)
    ]
    others = unmeasured(cell.planned for cell in data.cells)
    items += [("", each.text) for each in others]  # these texts say which cells they are about
    return {"items": items} if items else None


def notes(data: ReportData) -> Mapping[str, Any] | None:
    """What disturbs the machine, and the notes of cells. Cells with the same note share a line."""
    items = [("this machine", text) for text in data.summary.warnings]
    items += _unproven_pis(data)
    items += [] if data.summary.is_interleaved else [("this run", NOT_INTERLEAVED)]
    of_cells = ((cell.id, note) for cell in data.summary.cells for note in cell.notes)
    items += [(each.who, each.text) for each in fold(of_cells)]
    return {"items": items} if items else None


def _unproven_pis(data: ReportData) -> list[tuple[str, str]]:
    """The Raspberry Pis of the page that are not known to be validated, each with what is known."""
    found: dict[tuple[str, str], None] = {}
    here = (data.summary.run.profile, data.summary.units)
    for one in (data.summary, *data.others):
        profile, boards = one.run.profile, one.units
        if is_of_a_pi(profile) and (text := caveat(boards, data.pis)):
            found["this machine" if (profile, boards) == here else profile, text] = None
    return list(found)


def reading(data: ReportData) -> Mapping[str, Any]:
    """The noise thresholds of the metrics that are judged, and the processes that a claim needs."""
    drift = 1 if data.summary.is_interleaved else DRIFT
    judged = [metrics.BY_NAME[name] for name in metrics.with_role("compared")]
    pass_names = dict.fromkeys(metric.pass_name for metric in judged)
    return {
        "thresholds": ", ".join(
            f"{each.noun} {drift * each.threshold * 100:g} %" for each in judged
        ),
        "processes": ", ".join(
            f"{BY_NAME[name].fewest_processes} in the {name} pass" for name in pass_names
        ),
    }


def conditions(data: ReportData) -> Mapping[str, Any]:
    """The machine and software of the run, its suite, and its profile."""
    return {"facts": _facts(data), "run": data.summary.run}


def _facts(data: ReportData) -> dict[str, str]:
    run = data.summary.run
    machine, software = run.machine, run.software
    unit = f"unit {run.unit}" if run.unit else ""
    cells = [cell.planned.cell for cell in data.summary.cells]
    torch = f"torch {software['torch']} ({software['torch_blas']}, {software['torch_cpu']})"
    cores = units.number_of(machine["physical_cores"], "core")
    threads = f"{units.number_of(machine['threads'], 'thread')} used"
    return {
        "Machine": ", ".join(filter(None, (machine["board"], machine["arch"], unit))),
        "Profile": run.profile,
        "Processor": f"{machine['cpu']}, {cores}, {threads}",
        "Memory": f"{machine['memory_gib']} GiB, pages of {machine['page_bytes'] // 1024} KiB",
        "System": f"Linux {machine['kernel']}, {machine['libc']}",
        "Software": f"bench {software['bench']}, Python {software['python']}, {torch}",
        "Commit": commit_text(run.commit),
        "Started": units.moment(run.created),
        "Finished": units.moment(run.finished or "not yet: measurements are missing"),
        "Data": ", ".join(sorted({cell.data for cell in cells})),
        "Weights": ", ".join(sorted({cell.weights for cell in cells})),
        "Optimizer": ", ".join(sorted({cell.train.optimizer for cell in cells})),
        "Allocator": _allocators(cells, software),
        "Limits": _limits(run.settings),
        "Rounds": _rounds(run.settings),
        "Command": run.command,
        "This page": _page_command(data),
    }


def _page_command(data: ReportData) -> str:
    """The command that draws this page."""
    runs = [data.summary.run.id, *(other.run.id for other in data.others)]
    is_usual = data.baseline == usual_baseline(data.summary)
    baseline = [] if is_usual else ["--baseline", data.baseline]
    fits = ["--fits", "FILE"] if data.fits else []
    return shlex.join(["bench", "report", *runs, "--layout", data.layout, *baseline, *fits])


def _allocators(cells: Sequence[Cell], software: Mapping[str, Any]) -> str:
    """The allocators of the cells, and what the user preloaded into all processes."""
    names = sorted({cell.allocator or "the C library's" for cell in cells})
    preload = software.get("preload")
    return ", ".join(names) + (f"; LD_PRELOAD of the user: {preload}" if preload else "")


def _limits(settings: Mapping[str, Any]) -> str:
    cpus, cap = settings.get("cpus"), settings.get("memory_cap_bytes")
    if cpus is None:
        return "not recorded"
    processors = ", ".join(map(str, cpus))
    memory = "no memory cap" if cap is None else f"{units.size(cap)} that a worker may allocate"
    limit = settings.get("memory_limit_bytes")
    container = "" if limit is None else f"; {units.size(limit)} for all processes"
    return f"processors {processors}; {memory}{container}"


def _rounds(settings: Mapping[str, Any]) -> str:
    counts = {name: rounds_of(name, settings["rounds"]) for name in settings["measure"]}
    listing = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"{listing} (each a new process)"


PROBLEMS = Section("problems", "Missing numbers, and why", content=problems)
NOTES = Section("notes", "Caveats", content=notes)
READING = Section("reading", "How to read this report", content=reading)
CONDITIONS = Section("conditions", "Environment", content=conditions)
