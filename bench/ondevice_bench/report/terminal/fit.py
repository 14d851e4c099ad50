"""What fits a board, as a table and in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ondevice_bench.terminal import table
from ondevice_bench.units import flops, mib, seconds, size

if TYPE_CHECKING:
    from rich.table import Table

    from ondevice_bench.suite.fit import Fit


def fit_table(fits: "Sequence[Fit]") -> "Table":
    """A line for each method: what fits first, the rest with its reason."""
    confirmed = any(fit.confirmed for fit in fits)
    titles = ["method", "largest batch", "peak there", "one more", "FLOPs", "time of an example"]
    made = table(*titles, *(["under the cap"] if confirmed else []))
    for fit in fits:
        if fit.batch is None:
            made.add_row(fit.method, "–", fit.reason)
            continue
        known = "unknown" if fit.example_seconds is None else seconds(fit.example_seconds)
        row = [
            fit.method,
            str(fit.batch),
            _bytes(fit.peak_bytes),
            _bytes(fit.next_bytes),
            flops(fit.example_flops or 0),
            known,
        ]
        if confirmed:
            row.append("\n".join(f"{k}: {v}" for k, v in (fit.confirmed or {}).items()))
        made.add_row(*row)
    return made


def fit_notes(board: str, memory: int, reserve: int) -> list[str]:
    """What the figures are of."""
    left = f"{size(reserve)} are left to the system and to torch itself (--reserve)"
    return [
        f"{board}: {size(memory)}, of which {left}",
        "peaks are of tensors; what kernels, libc and torch itself take comes on top:",
        "--confirm runs the edge under that cap on this machine, or looks for it below",
        "FLOPs and times are of one example; times are those measured on such a board, if any",
    ]


def _bytes(value: int | None) -> str:
    return "–" if value is None else mib(value)
