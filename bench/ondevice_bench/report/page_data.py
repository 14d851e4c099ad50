"""Data and markup of a page that its scripts put in place, each distinct part stored only once."""

import json
import re
from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeAlias

from ondevice_bench import metrics, strict_json
from ondevice_bench.report.quantities import Quantity

PIECE = re.compile(r"<[^>]*>\s*|[^<\s]+\s*")  # a tag or a word, with the blanks after it
_Structure: TypeAlias = tuple[str, ...]  # the names of the tags, and empty texts for words


class CellRow(Protocol):
    """A line of the table of every cell."""

    @property
    def cell(self) -> str:
        """The cell's id."""

    @property
    def label(self) -> str:
        """The cell in few words."""

    @property
    def workload(self) -> str:
        """What the cell has in common with those of other methods."""

    @property
    def basis(self) -> str:
        """What its ranks depend on; empty if nothing."""

    @property
    def script(self) -> str:
        """The lines that train with its method; empty if there are none."""

    @property
    def status(self) -> str:
        """The cell's status."""

    @property
    def quantities(self) -> Sequence[Quantity]:
        """Its numbers, one for each column."""


class Tooltips:
    """The texts that explain numbers, each only once. The page's script shows them."""

    def __init__(self) -> None:
        self._shared = _Shared()

    def index(self, text: str) -> int:
        """The index of the text on the page."""
        return self._shared.index(text)

    def to_json(self) -> str:
        """All texts that have an index so far."""
        return safe_in_script(json.dumps(self._shared.values))


class Shelf:
    """Markup that is not shown at first, as pieces. Parts of one structure share a pattern.

    A pattern has the pieces that are equal in all its parts, and a null for each other one. A part
    is `[pattern, piece, …]`, with the pieces that it has in place of the nulls.
    """

    def __init__(self) -> None:
        self._pieces = _Shared()
        self._parts: list[tuple[_Structure, tuple[int, ...]]] = []

    def put(self, markup: str) -> int:
        """Keep the markup; its index on the shelf."""
        pieces = [re.sub(r"\s+", " ", each) for each in PIECE.findall(str(markup).strip())]
        structure = tuple(piece.partition(" ")[0] if piece[0] == "<" else "" for piece in pieces)
        self._parts.append((structure, tuple(map(self._pieces.index, pieces))))
        return len(self._parts) - 1

    def to_json(self) -> str:
        """All that is on the shelf so far."""
        alike: dict[_Structure, list[tuple[int, ...]]] = {}
        for structure, pieces in self._parts:
            alike.setdefault(structure, []).append(pieces)
        patterns = {
            structure: [
                each[0] if len(set(each)) == 1 else None for each in zip(*parts, strict=True)
            ]
            for structure, parts in alike.items()
        }
        numbers = {structure: number for number, structure in enumerate(patterns)}
        parts = [
            [
                numbers[structure],
                *(
                    own
                    for own, shared in zip(pieces, patterns[structure], strict=True)
                    if shared is None
                ),
            ]
            for structure, pieces in self._parts
        ]
        return _compact(
            {"pieces": self._pieces.values, "patterns": list(patterns.values()), "parts": parts}
        )


def cells_json(
    columns: Sequence[metrics.Metric],
    headlines: Collection[str],
    rows: Sequence[CellRow],
    tooltips: Tooltips,
) -> str:
    """The table of every cell. Each distinct number with its explanation is there once."""
    texts, quantities = _Shared(), _Shared()
    packed = [
        [
            row.cell,
            texts.index(row.label),
            texts.index(row.workload),
            texts.index(row.basis),
            texts.index(row.script),
            texts.index(row.status),
            *(quantities.index(_packed(each, tooltips)) for each in row.quantities),
        ]
        for row in rows
    ]
    heads = [
        (
            metric.label,
            tooltips.index(f"{metric.title}; scope: {metric.scope}"),
            int(metric.name in headlines),
        )
        for metric in columns
    ]
    data = {
        "columns": heads,
        "quantities": quantities.values,
        "texts": texts.values,
        "rows": packed,
    }
    return _compact(data)


def safe_in_script(json_text: str) -> str:
    """JSON that cannot end the script element around it."""
    return json_text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class _Shared:
    """Values, each only once."""

    def __init__(self) -> None:
        self._indices: dict[Any, int] = {}

    def index(self, value: Any) -> int:
        return self._indices.setdefault(value, len(self._indices))

    @property
    def values(self) -> list[Any]:
        return list(self._indices)


def _packed(quantity: Quantity, tooltips: Tooltips) -> tuple[Any, ...]:
    """The number as the script reads it, without what is empty at the end."""
    value = None if quantity.value is None else _short(quantity.value)
    parts = (
        quantity.estimate,
        quantity.interval,
        tooltips.index(quantity.meaning),
        value,
        int(quantity.is_noisy),
        quantity.share,
    )
    count = next((n for n in range(len(parts), 4, -1) if parts[n - 1]), 4)
    return parts[:count]


def _short(value: float) -> float:
    """The value that a table sorts by, with the digits that tell neighbours apart."""
    rounded = float(f"{value:.5g}")
    return int(rounded) if rounded.is_integer() else rounded


def _compact(value: Any) -> str:
    return safe_in_script(strict_json.text_of(value, separators=(",", ":"), ensure_ascii=False))
