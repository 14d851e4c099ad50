"""The questions about each workload, with the answer of each board, and whether boards agree."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ondevice_bench.analyse.choice import STEP
from ondevice_bench.analyse.groups import CellWithBaseline, Group, groups
from ondevice_bench.analyse.kept_accuracy import lost_accuracy
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.board_answers import in_words, is_disturbed, out_of_memory, rests_on
from ondevice_bench.report.cards import Card, cards
from ondevice_bench.report.sections.section import ReportData
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.code import join_key

NO_ANSWER = ("unknown", "undecided")  # badges
NOT_MEASURED = "This workload was not measured here."


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

    @property
    def on_boards(self) -> tuple[BoardAnswer, ...]:
        """All answers of all boards."""
        return tuple(each for answer in self.answers for each in answer.on_boards if each)


@dataclass(frozen=True)
class _Decided:
    """A workload on one board: the answer to each question, and all of them in words."""

    title: str
    workload: Cell
    answers: tuple[BoardAnswer, ...]
    in_words: str


_OfBoard = dict[tuple[tuple[Any, ...], tuple[Any, ...]], _Decided]  # by workload and baseline


def workloads(
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
