"""A gate's decision as Markdown: for the summary of a job, and for a comment on a pull request."""

from collections.abc import Iterator, Sequence

from ondevice_bench.report.gate.outcome import GateOutcome, GateRow, counts_text
from ondevice_bench.report.markdown import escaped, table
from ondevice_bench.units import number_of

# GitHub shows no summary above 1 MiB, and no comment above 64 KiB
MOST_ROWS = 200
MOST_CELLS = 50  # of one side only
_TITLES = ["cell", "metric", "base", "new", "change", "verdict", "remark"]
_SIGNS = {4: "❌", 3: "❌", 5: "⚠️", 6: "⚠️", 0: "✅"}


def markdown(outcome: GateOutcome) -> str:
    """The decision, then what changed, then the notes. Unchanged rows are folded."""
    return "\n".join(_lines(outcome)) + "\n"


def _lines(outcome: GateOutcome) -> Iterator[str]:
    yield f"## {_SIGNS[int(outcome.exit_code)]} {escaped(outcome.sentence)}"
    yield ""
    base, new = escaped(outcome.base), escaped(outcome.new)
    yield f"`{_code(outcome.title)}`: base **{base}**, new **{new}**."
    yield ""
    changed = [row for row in outcome.in_order if row.verdict != "unchanged"]
    unchanged = [row for row in outcome.rows if row.verdict == "unchanged"]
    if changed:
        yield from table(_TITLES, list(map(_texts, changed[:MOST_ROWS])))
        yield ""
    if len(changed) > MOST_ROWS:
        yield f"{len(changed) - MOST_ROWS} more rows are left out."
        yield ""
    facts = [
        *_named("gone", outcome.only_in_base),
        *_named("new", outcome.only_in_new),
        *outcome.notes,
        f"all metrics: {counts_text(outcome.rows)}",
    ]
    yield from (f"- {escaped(fact)}" for fact in facts)
    if unchanged:
        yield ""
        yield f"<details><summary>{number_of(len(unchanged), 'metric')} unchanged</summary>"
        yield ""
        rows = [[row.cell, row.metric, row.base, row.new, row.change] for row in unchanged]
        yield from table(_TITLES[:5], rows[:MOST_ROWS])
        yield ""
        yield "</details>"


def _named(what: str, cells: Sequence[str]) -> Iterator[str]:
    """The cells of one side, and how many of them are left out."""
    yield from (f"{what}: {cell}" for cell in cells[:MOST_CELLS])
    if len(cells) > MOST_CELLS:
        yield f"{what}: {len(cells) - MOST_CELLS} more cells"


def _texts(row: GateRow) -> list[str]:
    return [row.cell, row.metric, row.base, row.new, row.change, row.verdict, row.remark]


def _code(text: str) -> str:
    return text.replace("`", "'")
