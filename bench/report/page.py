"""The HTML page: one file, nothing loaded from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench
from bench import units
from bench.analyse.learning import learning
from bench.analyse.summary import RunSummary
from bench.declare.folders import resource
from bench.files import written_whole
from bench.record import metrics
from bench.report import figures
from bench.report.cells import HEADLINES, Figure, figure, learned, rank_basis
from bench.suite.passes import rounds_of

TABLE = (
    *HEADLINES,
    "forward_seconds",
    "backward_seconds",
    "update_seconds",
    "inference_seconds",
    "peak_rss_bytes",
    "parameter_bytes",
    "step_flops",
)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    cell: str
    basis: str
    status: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Lesson:
    """A line of the table on learning."""

    cells: str
    seeds: int
    figures: tuple[Figure, ...]


def write_report(summary: RunSummary, out: Path) -> None:
    """Draw the report of a run into `out`, whole or not at all."""
    page = render(summary)
    with written_whole(out) as file:
        file.write(page.encode())


def render(summary: RunSummary) -> str:
    """The page's text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    template = resource("templates/run.html.j2")
    environment = Environment(
        loader=FileSystemLoader(template.parent), autoescape=True, undefined=StrictUndefined
    )
    drawn = {plot: plot.draw(summary) for plot in figures.PLOTS}
    lines = learning(summary)
    lessons = learned(lines)
    return environment.get_template(template.name).render(
        run=summary.run,
        version=bench.__version__,
        statuses=summary.statuses,
        columns=[metrics.BY_NAME[name] for name in TABLE],
        headlines=HEADLINES,
        rows=[
            Row(
                cell.id,
                rank_basis(cell.planned.cell),
                cell.status,
                tuple(figure(cell, name) for name in TABLE),
            )
            for cell in summary.cells
        ],
        lesson_columns=lessons,
        lessons=[
            Lesson(
                line.id,
                len(line.seeds),
                tuple(figure(line, metric.name) for metric in lessons),
            )
            for line in lines
        ],
        problems=[(cell.id, text) for cell in summary.cells for text in cell.problems],
        notes=[
            *(("this machine", text) for text in summary.notes),
            *((cell.id, text) for cell in summary.cells for text in cell.notes),
        ],
        facts=_facts(summary),
        theme=resource("theme/theme.css").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
        plots=[(plot, _safe_in_script(figure)) for plot, figure in drawn.items() if figure],
    )


def _facts(summary: RunSummary) -> dict[str, str]:
    run = summary.run
    machine, software = run.machine, run.software
    cells = [cell.planned.cell for cell in summary.cells]
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
    }


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


def _safe_in_script(json_text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return json_text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
