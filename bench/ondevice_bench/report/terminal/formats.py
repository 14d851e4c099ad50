"""Runs as text, Markdown or JSON."""

import json
from collections.abc import Sequence

from ondevice_bench import metrics
from ondevice_bench.analyse.learning import learning
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.report.board_names import board_names
from ondevice_bench.report.markdown import escaped, table
from ondevice_bench.report.quantities import quantity_of
from ondevice_bench.report.terminal.run import (
    learning_tables,
    problem_lines,
    run_notes,
    run_tables,
)
from ondevice_bench.report.terminal.verdict import answer_lines, answers_of, verdict_lines
from ondevice_bench.terminal import known_width, table_text, wrapped


def formatted(summaries: Sequence[RunSummary], form: str, baseline: str | None = None) -> str:
    """The runs in that form, one after the other."""
    match form:
        case "json":
            runs = [
                {**one.to_dict(), "learning": [line.to_dict() for line in learning(one)]}
                for one in summaries
            ]
            return json.dumps(runs[0] if len(runs) == 1 else runs, indent=2)
        case "md":
            return "\n\n".join(_markdown(one, baseline) for one in summaries)
        case _:
            return "\n\n".join(_texts(summaries, baseline))


def _texts(summaries: Sequence[RunSummary], baseline: str | None) -> list[str]:
    """The text of each run; below the name of its board if there are several runs."""
    texts = [_text(one, baseline) for one in summaries]
    if len(texts) == 1:
        return texts
    names = board_names(one.run for one in summaries)
    return [
        f"{name}: run {one.run.id}\n\n{text}"
        for name, one, text in zip(names, summaries, texts, strict=True)
    ]


def _text(summary: RunSummary, baseline: str | None) -> str:
    tables = [*run_tables(summary), *learning_tables(learning(summary))]
    texts = [table_text(table, known_width()) for table in tables]
    notes = [
        *run_notes(summary),
        *problem_lines(summary),
        *answer_lines(answers_of(summary, baseline)),
    ]
    return "\n".join([*texts, *(wrapped(note, known_width()) for note in notes)])


def _markdown(summary: RunSummary, baseline: str | None) -> str:
    columns = [metrics.BY_NAME[name] for name in metrics.HEADLINES]
    head = ["cell", *(metric.label for metric in columns), "status"]
    lines = [
        f"# {escaped(summary.run.title)}",
        "",
        f"Run `{summary.run.id}` on profile {escaped(summary.run.profile)}.",
        "",
        *(f"- {escaped(line)}" for line in verdict_lines(answers_of(summary, baseline))),
        "",
    ]
    rows = []
    for cell in summary.cells:
        quantities = [quantity_of(cell, metric.name) for metric in columns]
        texts = [f"{q.estimate} ({q.interval})" if q.interval else q.estimate for q in quantities]
        status = ": ".join([cell.status, *cell.problems[:1]])
        rows.append([cell.id, *texts, status])
    lines += table(head, rows)
    return "\n".join([*lines, "", *(f"- {escaped(note)}" for note in run_notes(summary))])
