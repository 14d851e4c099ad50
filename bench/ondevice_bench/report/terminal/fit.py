"""The largest batches that fit a board, in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ondevice_bench.terminal import Table
from ondevice_bench.units import flops, mib, seconds, size

if TYPE_CHECKING:
    from ondevice_bench.suite.fit import Fit


def fit_table(fits: "Sequence[Fit]") -> Table:
    """A line for each method: first the ones that fit, then the others with the reason."""
    is_confirmed = any(fit.confirmed for fit in fits)
    titles = ["method", "largest batch", "peak", "peak at batch + 1", "FLOPs", "time of an example"]
    rows = Table(*titles, *(["under the limit"] if is_confirmed else []))
    for fit in fits:
        if fit.batch is None:
            rows.add_row(fit.method, "–", fit.reason)
            continue
        row = [
            fit.method,
            str(fit.batch),
            _bytes(fit.peak_bytes),
            _bytes(fit.next_bytes),
            flops(fit.example_flops or 0),
            "unknown" if fit.example_seconds is None else seconds(fit.example_seconds),
        ]
        if is_confirmed:
            row.append("\n".join(f"{k}: {v}" for k, v in (fit.confirmed or {}).items()))
        rows.add_row(*row)
    return rows


def fit_notes(board: str, memory: int, reserve: int) -> list[str]:
    """The meaning of the numbers."""
    return [
        f"{board} has {size(memory)}. The system and torch itself get {size(reserve)} (--reserve).",
        "These peaks count tensors only; real memory use is higher.",
        "--confirm runs the largest batch here under the same limit, and looks for one that works.",
        "FLOPs and time are of one example. The time is from earlier runs on such a board.",
    ]


def _bytes(value: int | None) -> str:
    return "–" if value is None else mib(value)
