"""Missing numbers, caveats, how to read the page, and the environment of the run."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.groups import apart_notes
from ondevice_bench.analyse.judgement import DRIFT
from ondevice_bench.analyse.summary import NOT_INTERLEAVED, RunSummary
from ondevice_bench.passes import BY_NAME, rounds_of
from ondevice_bench.record.origin import commit_text
from ondevice_bench.report.calm import about_calm
from ondevice_bench.report.folding import fold, unmeasured
from ondevice_bench.report.made_up import about_cosines
from ondevice_bench.report.quantities import measured_columns, rank_basis
from ondevice_bench.report.sections.section import ReportData, Section, usual_baseline
from ondevice_bench.report.sections.table import TABLE
from ondevice_bench.suite.cell import Cell
from ondevice_bench.validation.pi import caveat, is_of_a_pi


def problems(data: ReportData) -> Mapping[str, Any] | None:
    """What each board did not measure, and why. Cells with the same reason share a line."""
    return _of_boards(data, lambda one: _problems(data, one))


def notes(data: ReportData) -> Mapping[str, Any] | None:
    """What disturbs each board, and the notes of cells. Cells with the same note share a line."""
    return _of_boards(data, lambda one: _notes(data, one))


def _of_boards(
    data: ReportData, listed: Callable[[RunSummary], list[tuple[str, str]]]
) -> Mapping[str, Any] | None:
    """The items of each board that has any. One board alone needs no name."""
    names = data.board_names if len(data.boards) > 1 else ("",)
    found = [(name, listed(one)) for name, one in zip(names, data.boards, strict=True)]
    found = [(name, items) for name, items in found if items]
    return {"boards": found} if found else None


def _problems(data: ReportData, one: RunSummary) -> list[tuple[str, str]]:
    items = [
        (each.who, each.text)
        for each in fold((cell.id, text) for cell in one.planned for text in cell.problems)
    ]
    others = unmeasured(cell.planned for cell in data.cells_of(one))
    # these texts say which cells they are about
    return items + [("", each.text) for each in others]


def _notes(data: ReportData, one: RunSummary) -> list[tuple[str, str]]:
    items = [
        *(("this machine before it measured", text) for text in one.warnings),
        *(("this machine while it measured", text) for text in (one.unwatched, about_calm(one))),
    ]
    items = [(who, text) for who, text in items if text]
    items += _unproven_pis(data, one)
    items += [] if one.is_interleaved else [("this run", NOT_INTERLEAVED)]
    items += apart_notes(one)
    of_cells = ((cell.id, note) for cell in one.cells for note in cell.notes)
    return items + [(each.who, each.text) for each in fold(of_cells)]


def _unproven_pis(data: ReportData, one: RunSummary) -> list[tuple[str, str]]:
    """The Raspberry Pis of a board's runs that are not known to be validated, and what is known."""
    if not is_of_a_pi(one.run.profile):
        return []
    runs = (data.summary, *data.others)
    of_board = [each for each in runs if each.run.profile == one.run.profile]
    found: dict[tuple[str, str], None] = {}
    for each in [one] if data.compares_boards else [one, *of_board]:
        if text := caveat(each.units, data.pis):
            found["this machine" if each.units == one.units else each.run.profile, text] = None
    return list(found)


def reading(data: ReportData) -> Mapping[str, Any]:
    """What a reader needs to know of the numbers that this page has, and of no others."""
    cells = [cell for one in data.boards for cell in one.planned]
    found = {name for cell in cells for name in cell.estimates}
    drift = 1 if data.summary.is_interleaved else DRIFT
    judged = [metrics.BY_NAME[name] for name in metrics.with_role("compared")]
    settings = [one.run.settings for one in data.boards]
    columns = [*TABLE, *metrics.with_role("learning")]
    shown = found.intersection(columns) | {
        each.name for one in settings for each in measured_columns(TABLE, one)
    }
    return {
        "cell": cells[0].id if cells else "",
        "found": found,
        "repeated": {
            name
            for each in settings
            for name in each["measure"]
            if rounds_of(name, each["rounds"]) > 1
        },
        "needs": "; ".join(
            f"{each.noun} {drift * each.threshold * 100:g} % and "
            f"{BY_NAME[each.pass_name].fewest_processes} processes"
            for each in judged
            if each.name in found
        ),
        "is_disturbed": any(cell.is_disturbed for cell in cells),
        "is_imprecise": any(cell.is_imprecise for cell in cells),
        "has_ranks": any(each.ranks for cell in cells for each in cell.details.values()),
        "basis": next(filter(None, (rank_basis(cell.planned.cell) for cell in cells)), ""),
        "is_made_up": bool(about_cosines(cell.planned.cell for cell in cells)),
        "has_dashes": any(name not in cell.estimates for cell in cells for name in shown),
    }


def conditions(data: ReportData) -> Mapping[str, Any]:
    """The machine and software of each board's run, its suite, and its profile."""
    facts = [_facts(one) for one in data.boards]
    runs = [one.run for one in data.boards]
    names = data.board_names if len(runs) > 1 else ("",)
    return {
        "boards": names,
        "facts": {name: [each[name] for each in facts] for name in facts[0]},
        "this_page": _page_command(data),
        "suites": _each_once(names, [run.suite_text for run in runs]),
        "profiles": _each_once(names, [run.profile_text for run in runs]),
    }


def _each_once(names: Sequence[str], texts: Sequence[str]) -> list[tuple[str, str]]:
    """Each text with the boards that have it; without a name if all of them have it."""
    by_text: dict[str, list[str]] = {}
    for name, text in zip(names, texts, strict=True):
        by_text.setdefault(text, []).append(name)
    if len(by_text) == 1:
        return [("", texts[0])]
    return [(" and ".join(found), text) for text, found in by_text.items()]


def _facts(one: RunSummary) -> dict[str, str]:
    run = one.run
    machine, software = run.machine, run.software
    unit = f"unit {run.unit}" if run.unit else ""
    cells = [cell.planned.cell for cell in one.cells]
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


PROBLEMS = Section("problems", "Missing numbers, and why", content=problems, about="the page")
NOTES = Section("notes", "Caveats", content=notes, about="the page")
READING = Section("reading", "How to read this report", content=reading, about="the page")
CONDITIONS = Section("conditions", "Environment", content=conditions, about="the page")
