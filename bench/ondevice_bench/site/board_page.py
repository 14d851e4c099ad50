"""The pages of a suite on one board: the verdict, the changes, the trends, any two runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ondevice_bench import metrics
from ondevice_bench.analyse.history import HistoryChange, Series
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
from ondevice_bench.site.templates import filled
from ondevice_bench.units import number_of, quantity

INDEX = "index.html"
# what a page shows at most, so that it stays small
MOST_ROWS = 200
MOST_CHANGES = 60
MOST_OF_RUN = 40
MOST_PENDING = 60
MOST_RUNS = 1_000
MOST_CELLS = 50
MOST_EVENTS = 20
_KNOWN_CAUSES = ("code ", "no cause in the records")  # the line has the commits already


def board_pages(board: BoardHistory) -> Iterator[tuple[str, bytes]]:
    """The path of each page within the site, and the page."""
    folder = board.board.folder
    rows = pairs.rows_of(board)
    blocks = pairs.blocks_of(rows, len(board.runs))
    names = _page_names(board)
    trends = _trends(board)
    for number, (_, name) in enumerate(names):
        values = {
            **_head(board),
            "columns": [metrics.BY_NAME[each].label for each in metrics.HEADLINES],
            "groups": trends[number],
            "other_pages": names,
            "page_number": number,
        }
        if number == 0:
            values |= _board_values(board, blocks)
        path = f"{folder}/{name}"
        yield path, filled("trends" if number else "board", path, values)
    if len(board.runs) < 2:
        return
    for pair in pairs.pair_pages(blocks):
        path = f"{folder}/{pairs.page_name(*pair)}"
        data = pairs.page_json(board.runs, rows, blocks, pair)
        yield path, filled("compare", path, {**_head(board), "pairs": data}, has_script=True)


def card_of(board: BoardHistory) -> Card:
    """What the first page says of it."""
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


def _board_values(board: BoardHistory, blocks: Sequence[range]) -> dict[str, Any]:
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
        "failed": verdict.failed[:MOST_ROWS],
        "commit": short_commit(run.commit),
        "against": short_commit(board.runs[-2].commit) if several else "",
        "compare": pairs.page_name(last, last) if several else "",
        "proven": [_row(each, name) for each in proven[:MOST_ROWS]],
        "more_proven": max(0, len(proven) - MOST_ROWS),
        "open": [_row(each, name) for each in undecided[:MOST_ROWS]],
        "open_text": f"{number_of(len(undecided), 'noisy metric')} not decided",
        "notes": _notes(board),
        "counts": _capital(counts_text(board.history)),
        "order": _capital(order_text(board.history)),
        "changes": [_changes_of_run(board, each) for each in board.by_run[:MOST_CHANGES]],
        "more_changes": max(0, len(board.by_run) - MOST_CHANGES),
        "pending": pending[:MOST_PENDING],
        "runs": list(_runs(board, blocks)),
        "more_runs": max(0, len(board.runs) - MOST_RUNS),
    }


def _chips(board: BoardHistory) -> list[tuple[str, str]]:
    run, machine = board.newest.run, board.newest.run.machine
    board_name = machine.get("board") or machine.get("cpu") or machine.get("arch")
    return [
        ("suite", run.title),
        ("board", str(board_name)),
        ("runs", str(len(board.runs))),
        ("newest", run.created[:10]),
        ("torch", str(run.software.get("torch"))),
        ("bench", str(run.software.get("bench"))),
    ]


def _notes(board: BoardHistory) -> list[str]:
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
            for cell in board.verdict.unjudged[:MOST_ROWS]
        ),
        *(f"gone: {cell}" for cell in outcome.only_in_base[:MOST_ROWS]),
        *(f"new: {cell}" for cell in outcome.only_in_new[:MOST_ROWS]),
        *outcome.notes[:MOST_ROWS],
    ]


def _changes_of_run(board: BoardHistory, each: RunChanges) -> dict[str, Any]:
    """The changes that are first seen in a run, and what else differs from the run before."""
    before, after = _ends(each)
    found = (cause for _, change in each.changes for cause in change.causes)
    causes = dict.fromkeys(each for each in found if not each.startswith(_KNOWN_CAUSES))
    labels = _labels(board)
    return {
        "when": each.run.created[:10],
        "before": before,
        "after": after,
        "text": each.text,
        "tone": each.tone,
        "causes": "; ".join(list(causes)[:20]),
        "rows": [
            {
                "label": labels.get(series.fingerprint, series.cell),
                "metric": _metric_text(board, series),
                "kind": kind_text(change),
                "size": size_text(series.metric, change),
                "tone": "better" if change.is_better else "worse",
            }
            for series, change in each.changes[:MOST_OF_RUN]
        ],
        "more": max(0, len(each.changes) - MOST_OF_RUN),
    }


def _namer(board: BoardHistory) -> Callable[[str], str]:
    """A function from the id of a cell of one of the last two runs to its label."""
    labels = _labels(board)
    keys = {each.cell.id: each.cell.key for run in board.digests[-2:] for each in run.cells}
    return lambda cell: labels.get(keys.get(cell, ""), cell)


def _row(row: GateRow, name: Callable[[str], str]) -> dict[str, str]:
    return {
        "label": name(row.cell),
        "metric": metrics.BY_NAME[row.metric].label,
        "base": row.base,
        "new": row.new,
        "change": row.change,
        "verdict": row.verdict,
        "remark": row.remark,
        "tone": TONES.get(row.verdict, ""),
    }


def _ends(each: RunChanges) -> tuple[str, str]:
    """The commits around a change. The first one is the latest before any of the changes."""
    before = max((change.before for _, change in each.changes), key=lambda point: point.place)
    return short_commit(before.run.commit), short_commit(each.run.commit)


def _between(each: RunChanges) -> str:
    before, after = _ends(each)
    return f"between {before} and {after}"


def _runs(board: BoardHistory, blocks: Sequence[range]) -> Iterator[dict[str, Any]]:
    """A line for each run, the newest first."""
    changes = {each.run.id: each for each in board.by_run}
    numbers = {place: number for number, block in enumerate(blocks) for place in block}
    for place in reversed(range(max(0, len(board.runs) - MOST_RUNS), len(board.runs))):
        run, digest = board.runs[place], board.digests[place]
        failed = sum(each.status in ("failed", "oom", "timeout") for each in digest.cells)
        href = ""
        if place > 0:
            page = pairs.page_name(numbers[place - 1], numbers[place])
            ends = (quote(each, safe="") for each in (board.runs[place - 1].id, run.id))
            href = f"{page}#{'/'.join(ends)}"
        yield {
            "id": run.id,
            "commit": short_commit(run.commit),
            "when": run.created[:16].replace("T", " "),
            "changes": changes.get(run.id),
            "failed": f"{number_of(failed, 'cell')} failed" if failed else "",
            "compare": href,
        }


def _labels(board: BoardHistory) -> Mapping[str, str]:
    """The label of each cell. Its workload goes first if there are several."""
    several = len(board.workloads) > 1
    return {
        cell.key: f"{group.heading}: {label}" if several else label
        for group in board.workloads
        for cell, label in zip(group.cells, group.labels, strict=True)
    }


def _metric_text(board: BoardHistory, series: Series) -> str:
    label = metrics.BY_NAME[series.metric].label
    return f"{label} on {series.machine}" if board.several_machines else label


def _page_names(board: BoardHistory) -> list[tuple[str, str]]:
    """What the pages with trends show, and their names."""
    count = sum(len(group.cells) for group in board.workloads)
    starts = range(0, max(1, count), MOST_CELLS)
    return [
        (
            f"{start + 1}–{min(start + MOST_CELLS, count)}",
            INDEX if number == 0 else f"trends-{number + 1}.html",
        )
        for number, start in enumerate(starts)
    ]


def _trends(board: BoardHistory) -> list[list[tuple[str, list[Any]]]]:
    """For each page, the cells by workload: for each headline its drawings."""
    by_cell: dict[str, dict[str, list[Series]]] = {}
    for series in board.history.series:
        if series.metric in metrics.HEADLINES:
            by_cell.setdefault(series.fingerprint, {}).setdefault(series.metric, []).append(series)
    pages: list[list[tuple[str, list[Any]]]] = [[] for _ in _page_names(board)]
    place = 0
    for group in board.workloads:
        for cell, label in zip(group.cells, group.labels, strict=True):
            page = pages[place // MOST_CELLS]
            if not page or page[-1][0] != group.heading:
                page.append((group.heading, []))
            found = by_cell.get(cell.key, {})
            page[-1][1].append(
                (
                    label,
                    [
                        (
                            metrics.BY_NAME[name].label,
                            [_entry(board, series) for series in found.get(name, ())],
                        )
                        for name in metrics.HEADLINES
                    ],
                )
            )
            place += 1
    return pages


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
