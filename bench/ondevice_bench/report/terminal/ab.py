"""Two git refs against each other, in the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil, inf
from typing import Any

from ondevice_bench import units
from ondevice_bench.analyse.budget_needed import budget_needed
from ondevice_bench.analyse.cell_pair import CellPair
from ondevice_bench.analyse.compare import OTHER_KERNELS
from ondevice_bench.report.quantities import exact_text
from ondevice_bench.report.terminal.comparison import AMBIGUOUS
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.join import JoinedCells
from ondevice_bench.suite.labels import labelled, short_names
from ondevice_bench.terminal import Table
from ondevice_bench.units import number_of


def ab_tables(pairs: Sequence[CellPair], cells: Mapping[str, Cell]) -> list[Table]:
    """A table for each workload, with a line for each pair. `cells` has those of the base by id."""
    by_cell = {cells[pair.base_id]: pair for pair in pairs}
    tables = []
    for group in labelled(by_cell):
        table = Table(
            "method",
            "step, new / base",
            "interval",
            "rounds",
            "step is",
            "exact metrics",
            heading=group.heading,
        )
        for label, cell in zip(group.labels, group.cells, strict=True):
            table.add_row(label, *_texts(by_cell[cell]))
        tables.append(table)
    return tables


def _texts(pair: CellPair) -> tuple[str, str, str, str, str]:
    ratio, interval = "–", ""
    if pair.step is not None:
        ratio = units.ratio(pair.step.ratio)
        if pair.step.upper < inf:
            interval = f"{units.ratio(pair.step.lower)} … {units.ratio(pair.step.upper)}"
    verdict = f"{pair.step_verdict}: {pair.remark}" if pair.remark else pair.step_verdict
    counts = {"differ": len(pair.differences), "missing": len(pair.missing)}
    exact = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "equal"
    exact = exact if _has_exact(pair) else "not compared"
    return ratio, interval, str(len(pair.base)), verdict, exact


def _has_exact(pair: CellPair) -> bool:
    """Whether the exact metrics were compared: a step may also fail after them."""
    return not pair.remark or bool(pair.differences or pair.missing or pair.equal)


def ab_lines(
    names: Sequence[str],
    pairs: Sequence[CellPair],
    cells: Mapping[str, Cell],
    joined: JoinedCells,
    threshold: float,
) -> list[str]:
    """Differences, cells of one side only, slow-downs that could be hidden, and all verdicts."""
    short = short_names([cells[pair.base_id] for pair in pairs])
    lines = [
        f"{difference.verdict}: {short[cells[pair.base_id]]}: {difference.metric}: "
        f"{exact_text(difference.metric, difference.base)} → "
        f"{exact_text(difference.metric, difference.new)}"
        for pair in pairs
        for difference in pair.differences
    ]
    lines += [
        f"missing: {short[cells[pair.base_id]]}: {each.metric}: "
        f"{exact_text(each.metric, each.base)} → not measured"
        + (f" ({each.reason})" if each.reason else "")
        for pair in pairs
        for each in pair.missing
    ]
    lines += [
        f"only in {name}: {cell.id}"
        for name, side in zip(names, (joined.only_in_base, joined.only_in_new), strict=True)
        for cell in side
    ]
    lines += ab_notes(pairs, joined, threshold)
    verdicts = Counter(pair.step_verdict for pair in pairs)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) or "no cells"
    changed = sum(bool(pair.differences) for pair in pairs)
    steps = f"steps: {counts} at a threshold of {100 * threshold:g}%"
    compared = number_of(sum(map(_has_exact, pairs)), "cell")
    exact = f"exact metrics: {changed} of {compared} differ"
    return [*lines, f"base {names[0]}, new {names[1]}: {steps}; {exact}"]


def ab_notes(pairs: Sequence[CellPair], joined: JoinedCells, threshold: float) -> list[str]:
    """Which code changed, what could not be joined, and what the noise may hide."""
    lines = [f"code: {change}" for change in joined.code_changes]
    if joined.ambiguous:
        ids = ", ".join(cell.id for cell in joined.ambiguous)
        lines.append(f"not joined: {AMBIGUOUS}: {ids}")
    left_out = dict.fromkeys(name for pair in pairs for name in pair.of_other_kernels)
    if left_out:
        lines.append(f"not compared: {', '.join(left_out)}: {OTHER_KERNELS}")
    return [*lines, *_hidden(pairs), *budget_lines(pairs, threshold)]


def budget_lines(pairs: Sequence[CellPair], threshold: float) -> list[str]:
    """What is inconclusive, in plain words, and the budget that would decide it."""
    needed = budget_needed(pairs, threshold)
    too_few = sum(p.step is None or p.step.upper == inf for p in pairs if not p.remark)
    lines = []
    if too_few:
        lines.append(
            f"{number_of(too_few, 'cell')} had too few rounds for an interval: give more --budget"
        )
    decidable = [name for name, rounds in needed.rounds.items() if rounds is not None]
    if decidable and needed.seconds is not None:
        text = (
            f"about --budget {ceil(needed.seconds / 60)}m would decide "
            f"{number_of(len(decidable), 'inconclusive cell')}, at the speed of this comparison"
        )
        lines.append(f"{text} (cells without an interval may need more)" if too_few else text)
    on_threshold = len(needed.rounds) - len(decidable)
    if on_threshold:
        lines.append(
            f"{number_of(on_threshold, 'cell')} may lie on the threshold of {100 * threshold:g}%, "
            "so more rounds would probably not decide: choose another --threshold"
        )
    return lines


def budget_remarks(pairs: Sequence[CellPair], threshold: float) -> dict[str, str]:
    """For each inconclusive pair, how many rounds would decide it."""
    found = budget_needed(pairs, threshold).rounds
    return {pair.name: _remark(pair, found[pair.name]) for pair in pairs if pair.name in found}


def _remark(pair: CellPair, needed: int | None) -> str:
    had = f"it had {number_of(len(pair.base), 'round')}"
    if needed is None:
        return f"{had}; it may lie on the threshold"
    if pair.step is None or pair.step.upper == inf:
        return f"{had}; an interval needs {needed}"
    return f"{had}; about {needed} would decide it"


def ab_json(
    names: Sequence[str], pairs: Sequence[CellPair], unpaired: Sequence[str]
) -> dict[str, Any]:
    """All of it as plain values."""
    return {
        "base": names[0],
        "new": names[1],
        "pairs": [pair.to_dict() for pair in pairs],
        "only_on_one_side": list(unpaired),
    }


def _hidden(pairs: Sequence[CellPair]) -> list[str]:
    """How large a slow-down may be hidden by noise, in cells that were not called slower."""
    bounds = sorted(
        pair.step.upper - 1
        for pair in pairs
        if pair.step is not None
        and 1 < pair.step.upper < inf
        and pair.step_verdict not in ("regressed", "failed")
    )
    if not bounds:
        return []
    line = f"a slow-down of up to {bounds[-1]:.1%} could be hidden in the noise of "
    line += f"{number_of(len(bounds), 'cell')} that did not regress"
    if len(bounds) > 1:
        line += f", of up to {bounds[len(bounds) // 2]:.1%} in half of them"
    return [line]
