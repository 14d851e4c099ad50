"""Boards side by side: which method wins where, what it costs there, and where boards disagree."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.boards import NOT_PLANNED, BoardRow, CellOnBoard, boards
from ondevice_bench.analyse.differing_boards import differences
from ondevice_bench.analyse.learns_alike import losses_on_boards
from ondevice_bench.analyse.missing_metrics import EMULATED
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.report.board_names import board_names
from ondevice_bench.report.board_workloads import workloads
from ondevice_bench.report.cards import about_badges
from ondevice_bench.report.folding import fold
from ondevice_bench.report.quantities import (
    Quantity,
    dash,
    quantity_of,
    ratio_quantity,
    with_share,
)
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.stats import WIDEST, Direction, Estimate
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import labelled, layers_text, shared_text, short_names
from ondevice_bench.units import percent
from ondevice_bench.validation.pi import about_other_boards, is_of_a_pi

SHORT_REASON = "not in that run"
DISTURBED = "other programs disturbed one of the two numbers"
MOST_NAMED = 4  # methods that a line names


def content(data: ReportData) -> Mapping[str, Any]:
    """The answers, a table for each metric, and the cells that no board has measured yet."""
    summaries = (data.summary, *data.others)
    names = board_names(one.run for one in summaries)
    limits = [usable_memory(one) for one in summaries]
    tables = []
    for name in metrics.HEADLINES:
        lines = boards(summaries, name, data.baseline)
        labels, shared, layers = _labels([line.cell for line in lines])
        is_same = all(_is_same(line, name) for line in lines) and any(
            len(_measured(line, name)) > 1 for line in lines
        )
        tables.append(
            {
                "metric": metrics.BY_NAME[name],
                "is_same": is_same,
                "shared": shared,
                "layers": layers,
                "lines": [
                    (
                        labels[line.cell],
                        _of_any_board(line, name, data.baseline)
                        if is_same
                        else _quantities(line, name, limits, data.baseline),
                    )
                    for line in lines
                ],
                "disagreements": [
                    (labels[line.cell], _directions(line, names))
                    for line in lines
                    if line.disagrees
                ],
                "missing": _missing(lines, labels, names),
                "disturbed": _disturbed(lines, labels, names),
            }
        )
    found = workloads(summaries, names, data) if len(summaries) > 1 else []
    answers = [each for workload in found for each in workload.on_boards]
    return {
        "workloads": found,
        "badges": about_badges([each.card for each in answers], data.baseline),
        "has_disturbed": any(each.is_disturbed or each.has_disturbed_price for each in answers),
        "tables": tables,
        "boards": names,
        "other_first": _other_first(data),
        "widest": f"{WIDEST:g}",
        "baseline": data.baseline,
        **_learns_alike(summaries, names),
        "differences": differences([one.run for one in summaries]),
        "disturbed_boards": [
            name
            for name, one in zip(names, summaries, strict=True)
            if any(cell.is_disturbed for cell in one.cells)
        ],
        "pending": Counter(cell.planned.profile for cell in data.cells if cell.status == "pending"),
        "emulated": [
            name
            for name, one in zip(names, summaries, strict=True)
            if one.run.settings.get("emulated")
        ],
        "emulated_means": EMULATED,
        "about_pi": _about_pi(data),
    }


def _other_first(data: ReportData) -> str:
    """The command that draws this page about the second board."""
    runs = [one.run.id for one in (*data.others[:1], data.summary, *data.others[1:])]
    return shlex.join(["bench", "report", *runs, "--layout", data.layout])


def _about_pi(data: ReportData) -> str:
    """A sentence about times on a Raspberry Pi, if cells wait for one."""
    waiting = {cell.planned.profile for cell in data.cells if cell.status == "pending"}
    return about_other_boards(data.pis) if any(map(is_of_a_pi, waiting)) else ""


def _labels(cells: Sequence[Cell]) -> tuple[Mapping[Cell, str], str, str]:
    """The label of each line, with the options and layers that labels leave out."""
    groups = labelled(cells)
    if len(groups) > 1:
        return short_names(cells), "", ""
    (group,) = groups
    labels = dict(zip(group.cells, group.labels, strict=True))
    return labels, shared_text(group.cells), layers_text(group.cells)


def _learns_alike(summaries: Sequence[RunSummary], names: Sequence[str]) -> dict[str, Any]:
    """How many losses the boards share, and those in which they differ by more than rounding."""
    losses = losses_on_boards(summaries)
    different = [each for each in losses if not each.is_alike]
    widest = max((each.spread for each in losses), default=0.0)
    labels = short_names(each.cell for each in losses)
    return {
        "losses": len(losses),
        "largest_loss_spread": percent(math.ceil(round(1_000 * widest, 6)) / 1_000),  # at most
        "different_losses": [
            {
                "label": labels[each.cell],
                "metric": each.metric.label,
                "values": [
                    f"{value:.4g} on {name}"
                    for name, value in zip(names, each.values, strict=True)
                    if value is not None
                ],
                "start": {
                    True: "Both began with the same bytes of batch and weights.",
                    False: "They did not begin with the same bytes of batch and weights.",
                    None: "",
                }[each.same_start],
            }
            for each in different
        ],
    }


def _missing(
    lines: Sequence[BoardRow], labels: Mapping[Cell, str], names: Sequence[str]
) -> list[tuple[str, str, str]]:
    """What each board did not measure, and why: the board, the methods, the reason."""
    found = []
    for place, name in enumerate(names):
        texts = [
            (labels[line.cell], reason) for line in lines if (reason := line.boards[place].why_not)
        ]
        found += [(name, _some(each.cells), each.text) for each in fold(texts)]
    return found


def _disturbed(
    lines: Sequence[BoardRow], labels: Mapping[Cell, str], names: Sequence[str]
) -> list[tuple[str, str]]:
    """The boards on which others disturbed this metric, with the methods."""
    found = []
    for place, name in enumerate(names):
        measured = [line for line in lines if not line.boards[place].why_not]
        those = [labels[line.cell] for line in measured if line.boards[place].is_disturbed]
        if those:
            found.append((name, "all methods" if len(those) == len(measured) else _some(those)))
    return found


def _some(labels: Sequence[str]) -> str:
    """The first few of these, and how many more there are."""
    more = len(labels) - MOST_NAMED
    return ", ".join(labels[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _directions(line: BoardRow, names: Sequence[str]) -> list[tuple[str, Direction]]:
    """The direction on each board that has a ratio."""
    return [
        (name, on.direction)
        for name, on in zip(names, line.boards, strict=True)
        if on.ratio is not None
    ]


def _is_same(line: BoardRow, name: str) -> bool:
    """Whether all boards that measured it have the same exact number."""
    found = _measured(line, name)
    return all(each.basis == "exact" for each in found) and len(set(found)) <= 1


def _measured(line: BoardRow, name: str) -> list[Estimate]:
    """The numbers of all boards that measured it."""
    return [e for on in line.boards if on.cell and (e := on.cell.estimates.get(name))]


def _of_any_board(line: BoardRow, name: str, baseline: str) -> list[Quantity]:
    """The number and its ratio on the first board that measured it."""
    having = (on for on in line.boards if on.cell and name in on.cell.estimates)
    on = next(having, line.boards[0])
    return [_value(on, name), _to_baseline(on, name, baseline)]


def _quantities(
    line: BoardRow, name: str, limits: Sequence[int | None], baseline: str
) -> list[Quantity]:
    quantities = []
    for on, limit in zip(line.boards, limits, strict=True):
        quantities += [with_share(_value(on, name), name, limit), _to_baseline(on, name, baseline)]
    if len(line.boards) > 1:
        quantities.append(_between(line))
    return quantities


def _between(line: BoardRow) -> Quantity:
    """The number of the second board over the first one's; of no use if others disturbed it."""
    found = _ratio(line.between, "of the second board over the first", line.why_no_between)
    if line.between is None or not any(on.is_disturbed for on in line.boards[:2]):
        return found
    return replace(found, meaning=f"{found.meaning}; {DISTURBED}", is_noisy=True)


def _value(on: CellOnBoard, name: str) -> Quantity:
    if on.cell is None:
        return Quantity("–", SHORT_REASON, NOT_PLANNED)
    if not on.cell.estimates:
        return Quantity(on.cell.status, "", on.why_not)
    return quantity_of(on.cell, name)


def _to_baseline(on: CellOnBoard, name: str, baseline: str) -> Quantity:
    """The ratio to the baseline on the same board."""
    if on.cell is not None and name in on.cell.estimates and on.member is None:
        return Quantity("1×", "", f"{baseline} is what the others are compared with", 1.0)
    return _ratio(on.ratio, "of the baseline on that board", on.why_no_ratio)


def _ratio(ratio: Estimate | None, meaning: str, why_not: str) -> Quantity:
    if ratio is None:
        return dash(f"no ratio {meaning}: {why_not}")
    return ratio_quantity(ratio, meaning)


SECTION = Section(
    name="boards",
    title="Board by board",
    text="The same questions on each board. Every ratio compares a method with the baseline on the "
    "same board.",
    content=content,
    about="the page",
)
