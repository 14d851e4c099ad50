"""Runs as text, Markdown, CSV or JSON."""

import json
from collections.abc import Sequence

from ondevice_bench.analyse.frame import frame_of
from ondevice_bench.analyse.learning import learning
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.record import metrics
from ondevice_bench.report.quantities import HEADLINES, figure
from ondevice_bench.report.terminal.run import learning_table, run_notes, run_table
from ondevice_bench.report.terminal.verdict import verdict_lines
from ondevice_bench.terminal import table_text


def formatted(summaries: Sequence[RunSummary], form: str, baseline: str | None = None) -> str:
    """The runs in that form, one after the other; CSV has one table of all."""
    match form:
        case "csv":
            return _csv(summaries)
        case "json":
            found = [
                {**one.to_json(), "learning": [line.to_json() for line in learning(one)]}
                for one in summaries
            ]
            return json.dumps(found[0] if len(found) == 1 else found, indent=2)
        case "md":
            return "\n\n".join(_markdown(one, baseline) for one in summaries)
        case _:
            return "\n\n".join(_text(one, baseline) for one in summaries)


def _csv(summaries: Sequence[RunSummary]) -> str:
    return str(frame_of(summaries).to_csv(index=False)).rstrip("\n")


def _text(summary: RunSummary, baseline: str | None) -> str:
    shown = [run_table(summary)]
    if lines := learning(summary):
        shown.append(learning_table(lines))
    said = [*verdict_lines(summary, baseline), *run_notes(summary)]
    return "\n".join([*map(table_text, shown), *said])


def _markdown(summary: RunSummary, baseline: str | None) -> str:
    shown = [metrics.BY_NAME[name] for name in HEADLINES]
    head = ["cell", *(metric.label for metric in shown), "status"]
    lines = [
        f"# {_cell(summary.run.title)}",
        "",
        f"Run `{summary.run.id}` on profile {summary.run.profile}.",
        "",
        *(f"- {_cell(line)}" for line in verdict_lines(summary, baseline)),
        "",
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
    ]
    for cell in summary.cells:
        found = [figure(cell, metric.name) for metric in shown]
        figures = [f"{f.estimate} ({f.interval})" if f.interval else f.estimate for f in found]
        status = ": ".join([cell.status, *cell.problems[:1]])
        lines.append(f"| {' | '.join(map(_cell, [cell.id, *figures, status]))} |")
    return "\n".join([*lines, "", *(f"- {_cell(note)}" for note in run_notes(summary))])


def _cell(said: str) -> str:
    """Text that ends no cell of a table, and starts no markup."""
    for mark in "\\|*_`<>[]":
        said = said.replace(mark, f"\\{mark}")
    return " ".join(said.split())
