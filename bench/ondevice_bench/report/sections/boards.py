"""Boards side by side: which method wins where, what it costs there, and where boards disagree."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.boards import BoardRow, CellOnBoard, boards, software_differences
from ondevice_bench.analyse.groups import Group, groups
from ondevice_bench.analyse.kept_accuracy import lost_accuracy
from ondevice_bench.analyse.learns_alike import losses_on_boards
from ondevice_bench.analyse.missing_metrics import EMULATED
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.cards import Card, cards
from ondevice_bench.report.quantities import (
    Quantity,
    dash,
    quantity_of,
    ratio_quantity,
    with_share,
)
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.stats import Direction, Estimate
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.code import join_key
from ondevice_bench.suite.labels import labelled, layers_text, shared_text, short_names
from ondevice_bench.units import percent
from ondevice_bench.validation.pi import about_other_boards, is_of_a_pi


@dataclass(frozen=True)
class Answer:
    """One question about a workload: the card of each board, and whether boards agree."""

    question: str
    cards: tuple[Card | None, ...]  # None if the board did not measure the workload
    agreement: str


def content(data: ReportData) -> Mapping[str, Any]:
    """The answers, a table for each metric, and the cells that no board has measured yet."""
    summaries = (data.summary, *data.others)
    names = _names(summaries)
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
            }
        )
    return {
        "answers": _answers(summaries, names, data) if len(summaries) > 1 else [],
        "tables": tables,
        "boards": names,
        "baseline": data.baseline,
        **_learns_alike(summaries, names),
        "software": [
            (name, difference)
            for name, other in zip(names[1:], data.others, strict=True)
            for difference in software_differences(data.summary, other)
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


def _names(summaries: tuple[RunSummary, ...]) -> list[str]:
    """Each run's profile, with its unit if two runs have the same profile; or else its id."""
    runs = [one.run for one in summaries]
    ways = (
        [run.profile for run in runs],
        [f"{run.profile}, unit {run.machine.get('unit', 'unknown')}" for run in runs],
        [run.id for run in runs],
    )
    return [
        next(
            (name for name, way in zip(names, ways, strict=True) if way.count(name) == 1), names[-1]
        )
        for names in zip(*ways, strict=True)
    ]


@dataclass(frozen=True)
class _Decided:
    """The cards of a workload on one board, each with the key of its method."""

    title: str
    workload: Cell
    cards: tuple[Card, ...]
    methods: tuple[str, ...]


def _answers(
    summaries: Sequence[RunSummary], names: Sequence[str], data: ReportData
) -> list[tuple[str, list[Answer]]]:
    """The questions of each workload and each baseline, with the cards of each board."""
    by_board = [
        {
            (group.members[0].cell.planned.cell.of_any_method, part.against): _decided(
                part, one, data
            )
            for group in groups(one, data.baseline)
            for part in group.by_baseline
        }
        for one in summaries
    ]
    firsts: dict[tuple[Any, ...], _Decided] = {}  # a title that names the baseline goes first
    for of_board in by_board:
        for key, found in of_board.items():
            firsts[key] = max(found, firsts.get(key, found), key=lambda each: len(each.title))
    counts = Counter(found.title for found in firsts.values())
    return [
        (
            found.title if counts[found.title] == 1 else _long_title(found),
            _of_workload([of_board.get(key) for of_board in by_board], names),
        )
        for key, found in firsts.items()
    ]


def _decided(part: Group, one: RunSummary, data: ReportData) -> _Decided:
    losing = lost_accuracy(one, data.baseline)
    found = verdict(part, data.goal, data.baseline, losing)
    its = cards(found, data.goal, usable_memory(one))
    cells = {member.cell.id: member.cell.planned.cell for member in part.members}
    keys = (join_key(replace(cells[card.cell], seed=0)) if card.cell else "" for card in its)
    return _Decided(part.title, next(iter(cells.values())), its, tuple(keys))


def _long_title(found: _Decided) -> str:
    """The title with what differs between two boards, but not within one of them."""
    cell = found.workload
    return f"{found.title}, {cell.dtype}, {cell.data}, weights {cell.weights}"


def _of_workload(on_boards: Sequence[_Decided | None], names: Sequence[str]) -> list[Answer]:
    questions = [card.title for card in next(filter(None, on_boards)).cards]
    answers = []
    for place, question in enumerate(questions):
        row = tuple(each.cards[place] if each else None for each in on_boards)
        methods = tuple(each.methods[place] if each else "" for each in on_boards)
        answers.append(Answer(question, _told_apart(row, methods), _agreement(row, methods, names)))
    return answers


def _told_apart(row: Sequence[Card | None], methods: Sequence[str]) -> tuple[Card | None, ...]:
    """The cards. Labels leave out the layers of a run, so two methods may have one label."""
    by_label: dict[str, set[str]] = {}
    for card, method in zip(row, methods, strict=True):
        if card is not None and card.cell:
            by_label.setdefault(card.method, set()).add(method)
    return tuple(
        replace(card, method=card.cell)
        if card is not None and len(by_label.get(card.method, ())) > 1
        else card
        for card in row
    )


def _agreement(row: Sequence[Card | None], methods: Sequence[str], names: Sequence[str]) -> str:
    """Whether the same method wins on each board, and where this is not proven."""
    found = [c for c in row if c is not None and c.badge not in ("unknown", "undecided")]
    if len(found) < len(row):
        return "not known"
    unproven = [
        name
        for card, name in zip(found, names, strict=True)
        if card.badge not in ("proven", "no gain")
    ]
    where = " and ".join(unproven) if len(unproven) < len(row) else "any board"
    doubt = f", but not proven on {where}" if unproven else ""
    return ("yes" if len(set(methods)) == 1 else "no") + doubt


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
        quantities.append(_ratio(line.between, "of the second board over the first"))
    return quantities


def _value(on: CellOnBoard, name: str) -> Quantity:
    if on.cell is None:
        return dash(on.why_not)
    if not on.cell.estimates:
        return Quantity(on.cell.status, "", on.why_not)
    return quantity_of(on.cell, name)


def _to_baseline(on: CellOnBoard, name: str, baseline: str) -> Quantity:
    """The ratio to the baseline on the same board."""
    if on.cell is not None and name in on.cell.estimates and on.member is None:
        return Quantity("1×", "", f"{baseline} is what the others are compared with", 1.0)
    return _ratio(on.ratio, "of the baseline on that board")


def _ratio(ratio: Estimate | None, meaning: str) -> Quantity:
    if ratio is None:
        return dash(f"no ratio {meaning}: a number is missing, or the two cannot be compared")
    return ratio_quantity(ratio, meaning)


SECTION = Section(
    name="boards",
    title="Board by board",
    text="The same cells on each board. Each method is compared with the baseline on the same "
    "board. Numbers in grey italics are too noisy to use. The column with ÷ has the number of "
    "the second board as a multiple of that of the first.",
    content=content,
)
