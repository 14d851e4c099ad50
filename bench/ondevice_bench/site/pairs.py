"""The data of the pages on which a reader compares any two runs of a board.

Without a server, a page cannot load data. So each page has the values of two blocks of runs, and
there is a page for each pair of blocks. A block ends before its values are too long. If there are
many cells, they are divided into parts, each with its own blocks. A site would grow with the square
of the number of blocks, so only the latest blocks have pages. Each page lists all runs that can be
chosen, so the first block begins where the list of the latest runs is long enough.

The page's script shows numbers and compares exact metrics by equality. It judges no noisy metric:
it shows the changes that the history proves between the two runs.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

from ondevice_bench import metrics, strict_json
from ondevice_bench.analyse.changed_settings import settings_of
from ondevice_bench.analyse.compare import kernels_of
from ondevice_bench.analyse.series import HistoryChange, Series
from ondevice_bench.record.model import Run
from ondevice_bench.report.history_text import short_commit
from ondevice_bench.report.page_data import safe_in_script
from ondevice_bench.report.quantities import exact_text
from ondevice_bench.site.board_history import BoardHistory
from ondevice_bench.site.changes import kind_text, size_text
from ondevice_bench.units import minute, quantity

MAX_BLOCK = 600_000  # bytes of the values of a block
MAX_PART = 400_000  # bytes of the rows of a part, each with one value
MAX_LIST = 250_000  # bytes of the list of runs
MOST_BLOCKS = 12  # of each part have pages
BYTES_OF_VALUE = 24  # without its text
BYTES_OF_ROW = 48  # without its texts
BYTES_OF_CHANGE = 40  # without its text
DIGITS = 6

_Value = tuple[float, str]  # a number for the ratio, and its text


@dataclass(frozen=True)
class Row:
    """A metric of a cell: its values by the place of the run, and its changes if it is noisy."""

    workload: str
    label: str
    metric: str
    machine: str
    values: Mapping[int, _Value]
    changes: tuple[HistoryChange, ...]


def rows_of(board: BoardHistory) -> list[Row]:
    """A row for each series. Exact metrics of several machines share one."""
    names = {
        cell.key: (group.heading, label)
        for group in board.workloads
        for cell, label in zip(group.cells, group.labels, strict=True)
    }
    order = {key: place for place, key in enumerate(names)}
    rank = {metric.name: place for place, metric in enumerate(metrics.ALL)}
    joined: dict[tuple[str, str, str], list[Series]] = {}
    for series in board.history.series:
        is_exact = metrics.BY_NAME[series.metric].kind == "exact"
        machine = "" if is_exact or not board.several_machines else series.machine
        joined.setdefault((series.fingerprint, series.metric, machine), []).append(series)
    return [
        Row(
            *names[fingerprint],
            name,
            machine,
            {
                point.place: _value(name, point.estimate.estimate)
                for series in several
                for point in series.points
            },
            ()
            if metrics.BY_NAME[name].kind == "exact"
            else tuple(change for series in several for change in series.changes),
        )
        for (fingerprint, name, machine), several in sorted(
            joined.items(), key=lambda item: (order[item[0][0]], rank[item[0][1]], item[0][2])
        )
    ]


def parts_of(rows: Sequence[Row], runs: Sequence[Run]) -> list[Sequence[Row]]:
    """The rows, part by part. All rows of a cell are in one part."""
    parts: list[list[Row]] = [[]]
    size = 0
    for texts, group in groupby(rows, key=lambda row: (row.workload, row.label)):
        of_cell = list(group)
        its = len("".join(texts).encode()) + sum(_bytes_of_row(row, runs) for row in of_cell)
        if parts[-1] and size + its > MAX_PART:
            parts.append([])
            size = 0
        parts[-1] += of_cell
        size += its
    return list(parts)


def _bytes_of_row(row: Row, runs: Sequence[Run]) -> int:
    value = max((len(text.encode()) for _, text in row.values.values()), default=0)
    changes = sum(
        BYTES_OF_CHANGE + len(_change(row.metric, each, runs)[-1]) for each in row.changes
    )
    return BYTES_OF_ROW + len(row.machine.encode()) + BYTES_OF_VALUE + value + changes


def first_listed(runs: Sequence[Run]) -> int:
    """The place from which on all runs can be chosen: the longest list that is short enough."""
    size, known = 0, set[str]()
    for place in reversed(range(len(runs))):
        entry, tables = _entry(runs[place], [0, 0, 0, 0]), map(_key, _tables(runs[place]))
        new = {f"{number} {text}" for number, text in enumerate(tables)} - known
        known |= new
        size += sum(len(text.encode()) for text in (json.dumps(entry, ensure_ascii=False), *new))
        if size > MAX_LIST:
            return min(place + 1, len(runs) - 1)
    return 0


def blocks_of(rows: Sequence[Row], runs: int, first: int = 0) -> list[range]:
    """The places of the runs from the first one on, block by block, the oldest block first."""
    sizes = [0] * runs
    for row in rows:
        before: _Value | None = None
        for place in sorted(place for place in row.values if place >= first):
            if row.values[place] != before:
                sizes[place] += BYTES_OF_VALUE + len(row.values[place][1].encode())
            before = row.values[place]
    bounds, size = [first], 0
    for place, each in enumerate(sizes[first:], start=first):
        if size + each > MAX_BLOCK and place > bounds[-1]:
            bounds.append(place)
            size = 0
        size += each
    return [range(a, b) for a, b in zip(bounds, [*bounds[1:], runs], strict=True)]


def pair_pages(blocks: Sequence[range]) -> Iterator[tuple[int, int]]:
    """The pairs of blocks that have a page."""
    first = first_block(blocks)
    for later in range(first, len(blocks)):
        yield from ((earlier, later) for earlier in range(first, later + 1))


def first_block(blocks: Sequence[range]) -> int:
    """The number of the first block that has pages."""
    return max(0, len(blocks) - MOST_BLOCKS)


def page_name(earlier: int, later: int, part: int = 0) -> str:
    """The name of the page of two blocks of a part of the cells."""
    return f"compare-{earlier + 1}-{later + 1}{_suffix(part)}.html"


def part_names(parts: Sequence[Sequence[Row]], blocks: Sequence[Sequence[range]]) -> list[Any]:
    """The text for each part, and its page with the latest runs."""
    counts = [len({(row.workload, row.label) for row in part}) for part in parts]
    starts = [sum(counts[:number]) for number in range(len(parts))]
    return [
        (f"{start + 1}–{start + count}", page_name(len(its) - 1, len(its) - 1, number))
        for number, (start, count, its) in enumerate(zip(starts, counts, blocks, strict=True))
    ]


def _suffix(part: int) -> str:
    return f"-part-{part + 1}" if part else ""


def page_json(
    runs: Sequence[Run],
    rows: Sequence[Row],
    blocks: Sequence[range],
    pair: tuple[int, int],
    part: int = 0,
) -> str:
    """The data of the page for a pair of blocks. `rows` are the rows of the part.

    Changes of exact metrics are left out: the values show them.
    """
    places = [place for number in dict.fromkeys(pair) for place in blocks[number]]
    first = blocks[first_block(blocks)].start
    software, machines, kernels, settings = (_Numbered() for _ in range(4))
    tables = (software, machines, kernels, settings)
    listed = [
        _entry(run, [t.number(value) for t, value in zip(tables, _tables(run), strict=True)])
        for run in runs[first:]
    ]
    texts = _Numbered()
    names = list(dict.fromkeys(row.metric for row in rows))
    data = {
        "runs": listed,
        "blocks": [[block.start, block.stop] for block in blocks],
        "pair": pair,
        "first": first,
        "suffix": _suffix(part),
        "software": software.values,
        "machines": machines.values,
        "settings": settings.values,
        "metrics": [_metric(name) for name in names],
        "texts": texts.values,
        "rows": [
            [
                texts.number(row.workload),
                texts.number(row.label),
                names.index(row.metric),
                texts.number(row.machine),
                *_packed([row.values.get(place) for place in places]),
                [_change(row.metric, change, runs) for change in row.changes],
            ]
            for row in rows
            if not row.values.keys().isdisjoint(places)
        ],
    }
    return safe_in_script(strict_json.text_of(data, separators=(",", ":"), ensure_ascii=False))


def _entry(run: Run, numbers: Sequence[int]) -> list[Any]:
    """A run as the list has it, with the numbers of its values in the tables."""
    return [run.id, short_commit(run.commit), minute(run.created), *numbers]


def _tables(run: Run) -> tuple[Any, Any, Any, Any]:
    """Its software, machine, kernels and settings."""
    return run.software, run.machine, kernels_of(run), settings_of(run)


def _metric(name: str) -> list[Any]:
    metric = metrics.BY_NAME[name]
    return [
        metric.label,
        metric.title,
        int(metric.kind == "exact"),
        int(metric.lower_is_better),
        int(metric.of_kernels),
    ]


@lru_cache(maxsize=1 << 14)  # exact metrics seldom change
def _value(name: str, value: float) -> _Value:
    metric = metrics.BY_NAME[name]
    if metric.kind == "exact":
        return int(value) if value.is_integer() else value, exact_text(name, value)
    return float(f"{metric.for_ratio(value):.{DIGITS}g}"), quantity(value, metric.unit)


def _packed(values: Iterable[_Value | None]) -> tuple[list[_Value], list[int]]:
    """The distinct values, and run lengths: count, number of the value, count, number, and so on.

    The number of a run without a value is -1.
    """
    distinct: dict[_Value, int] = {}
    numbers = [-1 if v is None else distinct.setdefault(v, len(distinct)) for v in values]
    lengths = [(len(list(group)), number) for number, group in groupby(numbers)]
    return list(distinct), [part for pair in lengths for part in pair]


def _change(name: str, change: HistoryChange, runs: Sequence[Run]) -> list[Any]:
    tone = "better" if change.is_better else "worse"
    between = [short_commit(runs[p.place].commit) for p in (change.before, change.after)]
    return [
        change.before.place,
        change.after.place,
        "" if change.kind == "pending" else tone,
        f"{kind_text(change)}, between {between[0]} and {between[1]}: {size_text(name, change)}",
    ]


class _Numbered:
    """Distinct values, each with a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.values: list[Any] = []

    def number(self, value: Any) -> int:
        key = _key(value)
        if key not in self._numbers:
            self._numbers[key] = len(self.values)
            self.values.append(value)
        return self._numbers[key]


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
