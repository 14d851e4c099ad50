"""The pages of a suite on one board: the verdict, the changes, the trends, any two runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any
from urllib.parse import quote

from ondevice_bench import metrics
from ondevice_bench.analyse.series import HistoryChange, Point, Series
from ondevice_bench.record.model import NOT_OK
from ondevice_bench.report.gate.outcome import GateRow
from ondevice_bench.report.gate.page import TONES
from ondevice_bench.report.history_text import (
    change_text,
    counts_text,
    order_text,
    series_text,
    short_commit,
)
from ondevice_bench.site import pairs
from ondevice_bench.site.board_history import BoardHistory, RunChanges
from ondevice_bench.site.changes import kind_text, size_text
from ondevice_bench.site.manifest import Card, Event
from ondevice_bench.site.sparkline import sparkline
from ondevice_bench.site.templates import PageTooLarge, filled
from ondevice_bench.units import day, minute, number_of, quantity

INDEX = "index.html"
MOST_CELLS = 50  # whose trends are on a page
MOST_DRAWINGS = 150  # of the cells on a page
MOST_MACHINES = 12  # with a drawing of their own, for one metric of a cell
MOST_EVENTS = 20
_KNOWN_CAUSES = ("code ", "no cause in the records")  # left out: the heading has the commits


@dataclass(frozen=True)
class Limits:
    """The most that the page of a board shows, so that it stays small."""

    rows: int = 200
    changes: int = 60
    of_run: int = 40
    pending: int = 60
    runs: int = 1_000

    @property
    def halved(self) -> "Limits":
        """Half of each limit, but at least 1."""
        return Limits(*(max(1, each // 2) for each in astuple(self)))


def board_pages(board: BoardHistory) -> Iterator[tuple[str, bytes]]:
    """Each page, with its path in the site."""
    folder = board.board.folder
    parts = pairs.parts_of(pairs.rows_of(board), board.runs)
    first = pairs.first_listed(board.runs)
    blocks = [pairs.blocks_of(part, len(board.runs), first) for part in parts]
    trends = _trends(board)
    names = _page_names(trends)
    for number, (_, name) in enumerate(names):
        values = {
            **_head(board),
            "columns": [metrics.BY_NAME[each].label for each in metrics.HEADLINES],
            "groups": trends[number],
            "other_pages": names,
            "page_number": number,
        }
        path = f"{folder}/{name}"
        if number == 0:
            yield path, _first_page(path, values, board, blocks[0])
        else:
            yield path, filled("trends", path, values)
    if len(board.runs) < 2:
        return
    links = pairs.part_names(parts, blocks)
    for number, (rows, its) in enumerate(zip(parts, blocks, strict=True)):
        values = {
            **_head(board),
            "parts": links,
            "part": number,
            "earlier_runs": its[pairs.first_block(its)].start,
        }
        for pair in pairs.pair_pages(its):
            path = f"{folder}/{pairs.page_name(*pair, number)}"
            data = pairs.page_json(board.runs, rows, its, pair, number)
            yield path, filled("compare", path, {**values, "pairs": data}, has_script=True)


def _first_page(
    path: str, values: Mapping[str, Any], board: BoardHistory, blocks: Sequence[range]
) -> bytes:
    """The page of the board. If it would be too large, it shows less of everything."""
    limits = Limits()
    while True:
        try:
            return filled("board", path, {**values, **_board_values(board, blocks, limits)})
        except PageTooLarge:
            if limits == limits.halved:
                raise
            limits = limits.halved


def card_of(board: BoardHistory) -> Card:
    """The card of this board on the first page."""
    run, verdict = board.newest.run, board.verdict
    before = board.runs[-2] if len(board.runs) > 1 else None
    events = [
        Event(each.run.created, each.tone, f"{_between(each)}: {each.text}")
        for each in board.by_run[:MOST_EVENTS]
    ]
    return Card(
        suite=board.board.suite,
        board=board.board.name,
        title=run.title,
        run=run.id,
        commit=short_commit(run.commit),
        created=run.created,
        tone=verdict.tone,
        verdict=verdict.sentence,
        counts=verdict.counts,
        against="" if before is None else short_commit(before.commit),
        runs=len(board.runs),
        worse=sum(each.worse for each in board.by_run),
        better=sum(each.better for each in board.by_run),
        page=f"{board.board.folder}/{INDEX}",
        changed_runs=len(board.by_run),
        events=events,
    )


def _head(board: BoardHistory) -> dict[str, Any]:
    return {"suite": board.board.suite, "board": board.board.name}


def _board_values(board: BoardHistory, blocks: Sequence[range], limits: Limits) -> dict[str, Any]:
    run, verdict, outcome = board.newest.run, board.verdict, board.verdict.outcome
    several = len(board.runs) > 1
    last = len(blocks) - 1
    rows = [each for each in outcome.in_order if each.verdict != "unchanged"] if outcome else []
    proven = [each for each in rows if each.verdict != "inconclusive"]
    undecided = [each for each in rows if each.verdict == "inconclusive"]
    name = _namer(board)
    pending = [
        f"{series.cell}: {change_text(series, change)}"
        for series, change in board.history.changes
        if change.kind == "pending"
    ]
    return {
        "chips": _chips(board),
        "verdict": verdict,
        "failed": verdict.failed[: limits.rows],
        "commit": short_commit(run.commit),
        "against": short_commit(board.runs[-2].commit) if several else "",
        "compare": pairs.page_name(last, last) if several else "",
        "proven": [_row(each, name) for each in proven[: limits.rows]],
        "more_proven": max(0, len(proven) - limits.rows),
        "open": [_row(each, name) for each in undecided[: limits.rows]],
        "open_text": f"{number_of(len(undecided), 'noisy metric')} not decided",
        "notes": _notes(board, limits),
        "counts": _capital(counts_text(board.history)),
        "order": _capital(order_text(board.history)),
        "changes": [
            _changes_of_run(board, each, limits) for each in board.by_run[: limits.changes]
        ],
        "more_changes": max(0, len(board.by_run) - limits.changes),
        "pending": pending[: limits.pending],
        "runs": list(_runs(board, blocks, limits)),
        "more_runs": max(0, len(board.runs) - limits.runs),
    }


def _chips(board: BoardHistory) -> list[tuple[str, str]]:
    run, machine = board.newest.run, board.newest.run.machine
    board_name = machine.get("board") or machine.get("cpu") or machine.get("arch")
    return [
        ("suite", run.title),
        ("board", str(board_name)),
        ("runs", str(len(board.runs))),
        ("newest", day(run.created)),
        ("torch", str(run.software.get("torch"))),
        ("bench", str(run.software.get("bench"))),
    ]


def _notes(board: BoardHistory, limits: Limits) -> list[str]:
    outcome = board.verdict.outcome
    unfinished = [] if board.newest.facts.finished else ["the newest run is not finished"]
    if outcome is None:
        return unfinished
    if not board.digests[-2].facts.finished:
        unfinished.append("the run before it is not finished")
    return [
        *unfinished,
        *(
            f"not judged: {cell}: the run before it has no result"
            for cell in board.verdict.unjudged[: limits.rows]
        ),
        *(f"gone: {cell}" for cell in outcome.only_in_base[: limits.rows]),
        *(f"new: {cell}" for cell in outcome.only_in_new[: limits.rows]),
        *outcome.notes[: limits.rows],
    ]


def _changes_of_run(board: BoardHistory, each: RunChanges, limits: Limits) -> dict[str, Any]:
    """The changes that appear first in a run, and what else differs from the run before."""
    before, after = _ends(each)
    latest = _latest_before(each)
    found = (cause for _, change in each.changes for cause in change.causes)
    causes = dict.fromkeys(each for each in found if not each.startswith(_KNOWN_CAUSES))
    labels = _labels(board)
    return {
        "when": day(each.run.created),
        "before": before,
        "after": after,
        "text": each.text,
        "tone": each.tone,
        "causes": "; ".join(list(causes)[:20]),
        "rows": [
            {
                "label": labels.get(series.fingerprint, series.cell),
                "metric": _metric_text(board, series),
                "kind": _kind(change, latest),
                "size": size_text(series.metric, change),
                "tone": "better" if change.is_better else "worse",
            }
            for series, change in each.changes[: limits.of_run]
        ],
        "more": max(0, len(each.changes) - limits.of_run),
    }


def _namer(board: BoardHistory) -> Callable[[str], str]:
    """A function that gives the label of a cell of the last two runs by its id."""
    labels = _labels(board)
    keys = {each.cell.id: each.cell.key for run in board.digests[-2:] for each in run.cells}
    return lambda cell: labels.get(keys.get(cell, ""), cell)


def _row(row: GateRow, name: Callable[[str], str]) -> dict[str, str]:
    return {
        "label": name(row.cell),
        "metric": metrics.described(row.metric).label,  # a failed row has the name of a pass
        "base": row.base,
        "new": row.new,
        "change": row.change,
        "verdict": row.verdict,
        "remark": row.remark,
        "tone": TONES.get(row.verdict, ""),
    }


def _kind(change: HistoryChange, latest: Point) -> str:
    """What happened, and since when if that was before the latest run of the heading."""
    text = kind_text(change)
    if change.before.place == latest.place:
        return text
    return f"{text}, somewhere since {short_commit(change.before.run.commit)}"


def _latest_before(each: RunChanges) -> Point:
    """The latest run before any of the changes. Some may have begun earlier."""
    return max((change.before for _, change in each.changes), key=lambda point: point.place)


def _ends(each: RunChanges) -> tuple[str, str]:
    """The commits before and after the changes. The first is the latest before any of them."""
    return short_commit(_latest_before(each).run.commit), short_commit(each.run.commit)


def _between(each: RunChanges) -> str:
    before, after = _ends(each)
    return f"between {before} and {after}"


def _runs(board: BoardHistory, blocks: Sequence[range], limits: Limits) -> Iterator[dict[str, Any]]:
    """A line for each run, the newest first."""
    changes = {each.run.id: each for each in board.by_run}
    numbers = {place: number for number, block in enumerate(blocks) for place in block}
    for place in reversed(range(max(0, len(board.runs) - limits.runs), len(board.runs))):
        run, digest = board.runs[place], board.digests[place]
        failed = sum(each.status in NOT_OK for each in digest.cells)
        href = ""
        if place > blocks[pairs.first_block(blocks)].start:
            page = pairs.page_name(numbers[place - 1], numbers[place])
            ends = (quote(each, safe="") for each in (board.runs[place - 1].id, run.id))
            href = f"{page}#{'/'.join(ends)}"
        yield {
            "id": run.id,
            "commit": short_commit(run.commit),
            "when": minute(run.created),
            "changes": changes.get(run.id),
            "failed": f"{number_of(failed, 'cell')} failed" if failed else "",
            "compare": href,
        }


def _labels(board: BoardHistory) -> Mapping[str, str]:
    """The label of each cell. It begins with the workload if there are several workloads."""
    several = len(board.workloads) > 1
    return {
        cell.key: f"{group.heading}: {label}" if several else label
        for group in board.workloads
        for cell, label in zip(group.cells, group.labels, strict=True)
    }


def _metric_text(board: BoardHistory, series: Series) -> str:
    label = metrics.BY_NAME[series.metric].label
    return f"{label} on {series.machine}" if board.several_machines else label


def _page_names(trends: Sequence["_Trends"]) -> list[tuple[str, str]]:
    """The text and the file name of each page with trends."""
    names, shown = [], 0
    for number, page in enumerate(trends):
        count = sum(len(rows) for _, rows in page)
        name = f"trends-{number + 1}.html" if number else INDEX
        names.append((f"{shown + 1}–{shown + count}", name))
        shown += count
    return names


_Trends = list[tuple[str, list[Any]]]  # the cells of a page by workload


def _trends(board: BoardHistory) -> list[_Trends]:
    """For each page, the cells by workload, with the drawings of each main metric."""
    by_cell: dict[str, dict[str, list[Series]]] = {}
    for series in board.history.series:
        if series.metric in metrics.HEADLINES:
            by_cell.setdefault(series.fingerprint, {}).setdefault(series.metric, []).append(series)
    pages: list[_Trends] = [[]]
    cells = drawings = 0
    for group in board.workloads:
        for cell, label in zip(group.cells, group.labels, strict=True):
            found = by_cell.get(cell.key, {})
            its = sum(min(len(several), MOST_MACHINES) for several in found.values())
            if cells and (cells == MOST_CELLS or drawings + its > MOST_DRAWINGS):
                pages.append([])
                cells = drawings = 0
            page = pages[-1]
            if not page or page[-1][0] != group.heading:
                page.append((group.heading, []))
            page[-1][1].append((label, [_drawn(board, name, found) for name in metrics.HEADLINES]))
            cells, drawings = cells + 1, drawings + its
    return pages


def _drawn(board: BoardHistory, name: str, found: Mapping[str, Sequence[Series]]) -> Any:
    """A main metric of a cell: its label, its drawings, and the number of machines left out.

    The machines that measured last are drawn.
    """
    several = found.get(name, ())
    latest = sorted(several, key=lambda series: series.points[-1].place)[-MOST_MACHINES:]
    shown = [series for series in several if series in latest]
    drawings = [_entry(board, series) for series in shown]
    return metrics.BY_NAME[name].label, drawings, len(several) - len(shown)


def _entry(board: BoardHistory, series: Series) -> dict[str, Any]:
    metric = metrics.BY_NAME[series.metric]
    first, last = (quantity(series.points[end].estimate.estimate, metric.unit) for end in (0, -1))
    changes = series_text(series)
    runs = number_of(len(series.points), "run")
    return {
        "drawing": sparkline(series, len(board.runs)),
        "latest": last,
        "machine": series.machine if board.several_machines else "",
        "changes": changes,
        "tone": _tone(series.changes),
        "text": f"{metric.label} over {runs}: {first} → {last}; {changes}",
    }


def _tone(changes: Sequence[HistoryChange]) -> str:
    """The colour of the latest change that is confirmed."""
    sure = [change for change in changes if change.kind != "pending"]
    if not sure:
        return ""
    return "better" if max(sure, key=lambda each: each.after.place).is_better else "worse"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
