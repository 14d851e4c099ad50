"""The questions about each workload, with the answer of each board, and whether boards agree."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ondevice_bench.analyse.groups import Group, groups
from ondevice_bench.analyse.kept_accuracy import lost_accuracy
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.analyse.verdict import first, verdict
from ondevice_bench.report.board_advice import advice_on_boards
from ondevice_bench.report.board_answers import BoardAnswer, answers, next_steps, out_of_memory
from ondevice_bench.report.sections.section import ReportData
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.code import join_key

NO_ANSWER = "unknown"  # a badge


@dataclass(frozen=True)
class Answer:
    """One question about a workload: the answer of each board, and whether boards agree."""

    question: str
    on_boards: tuple[BoardAnswer | None, ...]  # None if the board did not measure the workload
    agreement: str
    doubt: str

    @property
    def is_of_goal(self) -> bool:
        """Whether it answers what the goal of the suite asks."""
        return any(each.is_of_goal for each in self.on_boards if each)


@dataclass(frozen=True)
class Workload:
    """The questions about a workload, and what to do next on each board."""

    title: str
    advice: tuple[str, ...]  # what to run on each board
    answers: tuple[Answer, ...]
    lacking: tuple[str, ...]  # for each board: the methods that ran out of memory
    next_steps: tuple[tuple[str, ...] | None, ...]  # None if that is not known

    @property
    def badges(self) -> frozenset[str]:
        """The badges of all answers."""
        found = (each for answer in self.answers for each in answer.on_boards if each)
        return frozenset(badge for each in found for badge in each.all_badges)


@dataclass(frozen=True)
class _Decided:
    """A workload on one board: the answer to each question, and what to do next."""

    title: str
    workload: Cell
    answers: tuple[BoardAnswer, ...]
    methods: Mapping[str, str]  # the key of a method, which is the same on all boards, by cell
    labels: Mapping[str, str]  # of the measured methods, by key
    planned: frozenset[str]  # keys; a method that failed is one of them
    next_steps: tuple[str, ...] | None


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
            data,
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
    methods = {each.cell.id: _key(each.cell.planned.cell) for each in part.members}
    three = answers(found, data.goal, limit, part.members)
    return _Decided(
        part.title,
        part.members[0].cell.planned.cell,
        three,
        methods,
        {methods[each.cell.id]: each.full_label for each in part.members},
        frozenset(_key(cell.planned.cell) for cell in one.cells),
        next_steps(found, data.goal, part.members, three),
    )


def _key(cell: Cell) -> str:
    """The same for a cell on all boards, with any seed."""
    return join_key(replace(cell, seed=0))


def _long_title(found: _Decided) -> str:
    """The title with what differs between two boards, but not within one of them."""
    cell = found.workload
    return f"{found.title}, {cell.dtype}, {cell.data}, weights {cell.weights}"


def _of_workload(
    title: str,
    on_boards: Sequence[_Decided | None],
    names: Sequence[str],
    lacking: Sequence[str],
    data: ReportData,
) -> Workload:
    questions = [each.question for each in next(filter(None, on_boards)).answers]
    rows = []
    for place, question in enumerate(questions):
        row = [each.answers[place] if each else None for each in on_boards]
        methods = [
            each.methods.get(answer.cell, "") if each and answer else None
            for each, answer in zip(on_boards, row, strict=True)
        ]
        said = _agreement(row, methods, on_boards, names)
        rows.append(Answer(question, _told_apart(row, methods), *said))
    memory, *_ = rows  # the first question is about memory
    asked = next((row for row in rows if row.is_of_goal), memory)
    return Workload(
        title,
        advice_on_boards(names, asked.on_boards, memory.on_boards, data.goal, data.baseline),
        tuple(sorted(rows, key=lambda row: not row.is_of_goal)),
        tuple(lacking),
        tuple(_steps(each, on_boards) if each else None for each in on_boards),
    )


def _steps(own: _Decided, on_boards: Sequence[_Decided | None]) -> tuple[str, ...] | None:
    """What to do next on a board. A method that only other boards planned is to be measured."""
    missing = _only_on_others(own, on_boards).values()
    if not missing:
        return own.next_steps
    return (*(own.next_steps or ()), f"Measure {first(list(missing))} here, too")


def _only_on_others(own: _Decided, on_boards: Sequence[_Decided | None]) -> dict[str, str]:
    """The methods that a board did not plan, by key. An equal label gives way to the cell's id."""
    return {
        key: each.labels[key] if each.labels[key] not in own.labels.values() else cell
        for each in on_boards
        if each
        for cell, key in each.methods.items()
        if key not in own.planned
    }


def _told_apart(
    row: Sequence[BoardAnswer | None], methods: Sequence[str | None]
) -> tuple[BoardAnswer | None, ...]:
    """The answers. Labels leave out the layers of a run, so two methods may have one label."""
    by_label: dict[str, set[str]] = {}
    for each, method in zip(row, methods, strict=True):
        if each is not None and method:
            by_label.setdefault(each.method, set()).add(method)
    return tuple(
        replace(each, method=each.cell)
        if each is not None and each.cell and len(by_label[each.method]) > 1
        else each
        for each in row
    )


def _agreement(
    row: Sequence[BoardAnswer | None],
    methods: Sequence[str | None],
    on_boards: Sequence[_Decided | None],
    names: Sequence[str],
) -> tuple[str, str]:
    """Whether the same method wins on each board. What is not proven is not known.

    Neither is it known if a board did not measure the method of another one.
    """
    named = list(zip(names, row, strict=True))
    open_on = [name for name, each in named if each is None or each.proof == NO_ANSWER]
    if open_on:
        return "not known", f"no answer on {_where(open_on, names)}"
    unproven = [n for n, each in named if each and each.proof not in ("proven", "no gain")]
    if unproven:
        if len(unproven) == len(names):
            return "not known", "no answer is wholly proven"
        return "not known", f"not proven on {' and '.join(unproven)}"
    for name, board in zip(names, on_boards, strict=True):
        missing = _only_on_others(board, on_boards) if board else {}
        if lacking := [missing[key] for key in methods if key in missing]:
            return "not known", f"{lacking[0]} not measured on {name}"
    return "yes" if len(set(methods)) == 1 else "no", ""


def _where(those: Sequence[str], names: Sequence[str]) -> str:
    return " and ".join(those) if len(those) < len(names) else "any board"
