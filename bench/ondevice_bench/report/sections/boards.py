"""Boards side by side: which method wins where, what it costs there, and where boards disagree."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.boards import NOT_PLANNED, BoardRow, CellOnBoard, boards
from ondevice_bench.analyse.choice import STEP
from ondevice_bench.analyse.differing_boards import differences
from ondevice_bench.analyse.groups import CellWithBaseline, Group, groups
from ondevice_bench.analyse.kept_accuracy import lost_accuracy
from ondevice_bench.analyse.learns_alike import losses_on_boards
from ondevice_bench.analyse.missing_metrics import EMULATED
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.board_answers import in_words, is_disturbed, out_of_memory, rests_on
from ondevice_bench.report.board_names import board_names
from ondevice_bench.report.cards import Card, about_badges, cards
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
from ondevice_bench.suite.code import join_key
from ondevice_bench.suite.labels import labelled, layers_text, shared_text, short_names
from ondevice_bench.units import percent
from ondevice_bench.validation.pi import about_other_boards, is_of_a_pi

NO_ANSWER = ("unknown", "undecided")  # badges
NOT_MEASURED = "This workload was not measured here."
SHORT_REASON = "not in that run"
DISTURBED = "other programs disturbed one of the two numbers"
MOST_NAMED = 4  # methods that a line names


@dataclass(frozen=True)
class BoardAnswer:
    """The answer of one board to a question, and whether others disturbed its measurement."""

    card: Card
    method: str  # its key, which is the same on all boards
    is_disturbed: bool  # the numbers that decide the answer
    has_disturbed_price: bool  # only the step time beside the answer


@dataclass(frozen=True)
class Answer:
    """One question about a workload: the answer of each board, and whether boards agree."""

    question: str
    on_boards: tuple[BoardAnswer | None, ...]  # None if the board did not measure the workload
    agreement: str
    doubt: str


@dataclass(frozen=True)
class Workload:
    """The questions about a workload, and the answer of each board in words."""

    title: str
    answers: tuple[Answer, ...]
    in_words: tuple[tuple[str, str], ...]  # board and text


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
    workloads = _answers(summaries, names, data) if len(summaries) > 1 else []
    found = [
        each.card
        for workload in workloads
        for answer in workload.answers
        for each in answer.on_boards
        if each is not None
    ]
    return {
        "workloads": workloads,
        "badges": about_badges(found, data.baseline),
        "has_disturbed": any(
            each and (each.is_disturbed or each.has_disturbed_price)
            for workload in workloads
            for answer in workload.answers
            for each in answer.on_boards
        ),
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


@dataclass(frozen=True)
class _Decided:
    """A workload on one board: the answer to each question, and all of them in words."""

    title: str
    workload: Cell
    answers: tuple[BoardAnswer, ...]
    in_words: str


_OfBoard = dict[tuple[tuple[Any, ...], tuple[Any, ...]], _Decided]  # by workload and baseline


def _answers(
    summaries: Sequence[RunSummary], names: Sequence[str], data: ReportData
) -> list[Workload]:
    """The questions of each workload and each baseline, with the answers of each board."""
    by_board: list[_OfBoard] = [
        {
            (group.members[0].cell.planned.cell.of_any_method, part.against): _decided(
                part, one, data
            )
            for group in groups(one, data.baseline)
            for part in group.by_baseline
        }
        for one in summaries
    ]
    for of_board in by_board:
        _join_without_baseline(of_board, by_board)
    firsts: _OfBoard = {}  # a title that names the baseline goes first
    for of_board in by_board:
        for key, found in of_board.items():
            firsts[key] = max(found, firsts.get(key, found), key=lambda each: len(each.title))
    counts = Counter(found.title for found in firsts.values())
    return [
        _of_workload(
            found.title if counts[found.title] == 1 else _long_title(found),
            [of_board.get(key) for of_board in by_board],
            names,
            [out_of_memory(one.cells, key[0]) for one in summaries],
        )
        for key, found in firsts.items()
    ]


def _join_without_baseline(of_board: _OfBoard, by_board: Sequence[_OfBoard]) -> None:
    """Put a workload without a number of the baseline beside the same one of other boards."""
    others = {workload: key for each in by_board for key in each if (workload := key[0]) and key[1]}
    for workload, against in list(of_board):
        alone = sum(key[0] == workload for key in of_board) == 1
        if not against and alone and workload in others:
            of_board[others[workload]] = of_board.pop((workload, against))


def _decided(part: Group, one: RunSummary, data: ReportData) -> _Decided:
    losing = lost_accuracy(one, data.baseline)
    found, limit = verdict(part, data.goal, data.baseline, losing), usable_memory(one)
    members = {member.cell.id: member for member in part.members}
    answers = []
    for card, decided_by in zip(cards(found, data.goal, limit), rests_on(data.goal), strict=True):
        about = [members[card.cell]] if card.cell else part.members
        is_decided = any(is_disturbed(member, decided_by) for member in about)
        has_price = bool(card.cell) and is_disturbed(about[0], (STEP,))
        answers.append(
            BoardAnswer(card, _method(members, card.cell), is_decided, has_price and not is_decided)
        )
    first = part.members[0].cell.planned.cell
    return _Decided(
        part.title, first, tuple(answers), in_words(found, data.goal, limit, part.members)
    )


def _method(members: Mapping[str, CellWithBaseline], cell: str) -> str:
    return join_key(replace(members[cell].cell.planned.cell, seed=0)) if cell else ""


def _long_title(found: _Decided) -> str:
    """The title with what differs between two boards, but not within one of them."""
    cell = found.workload
    return f"{found.title}, {cell.dtype}, {cell.data}, weights {cell.weights}"


def _of_workload(
    title: str,
    on_boards: Sequence[_Decided | None],
    names: Sequence[str],
    lacking: Sequence[str],
) -> Workload:
    questions = [each.card.title for each in next(filter(None, on_boards)).answers]
    answers = []
    for place, question in enumerate(questions):
        row = _told_apart([each.answers[place] if each else None for each in on_boards])
        answers.append(Answer(question, row, *_agreement(row, names)))
    return Workload(
        title,
        tuple(answers),
        tuple(
            (name, f"{each.in_words if each else NOT_MEASURED}{text}")
            for name, each, text in zip(names, on_boards, lacking, strict=True)
        ),
    )


def _told_apart(row: Sequence[BoardAnswer | None]) -> tuple[BoardAnswer | None, ...]:
    """The answers. Labels leave out the layers of a run, so two methods may have one label."""
    by_label: dict[str, set[str]] = {}
    for each in row:
        if each is not None and each.card.cell:
            by_label.setdefault(each.card.method, set()).add(each.method)
    return tuple(
        replace(each, card=replace(each.card, method=each.card.cell))
        if each is not None and len(by_label.get(each.card.method, ())) > 1
        else each
        for each in row
    )


def _agreement(row: Sequence[BoardAnswer | None], names: Sequence[str]) -> tuple[str, str]:
    """Whether the same method wins on each board, and where this is not proven."""
    named = list(zip(names, row, strict=True))
    open_on = [n for n, each in named if each is None or each.card.badge in NO_ANSWER]
    if open_on:
        return "not known", f"no answer on {_where(open_on, names)}"
    found = [(name, each) for name, each in named if each is not None]
    unproven = [name for name, each in found if each.card.badge not in ("proven", "no gain")]
    doubt = f"not proven on {_where(unproven, names)}" if unproven else ""
    return "yes" if len({each.method for _, each in found}) == 1 else "no", doubt


def _where(those: Sequence[str], names: Sequence[str]) -> str:
    return " and ".join(those) if len(those) < len(names) else "any board"


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
