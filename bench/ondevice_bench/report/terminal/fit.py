"""What fits a board, in the terminal."""

from collections.abc import Sequence

from ondevice_bench.analyse.verdict import first
from ondevice_bench.suite.fit import LARGEST, BoardFits, Fit
from ondevice_bench.suite.labels import PLAIN, with_reason
from ondevice_bench.terminal import Table
from ondevice_bench.units import flops, mib, seconds, size

LISTED = 3  # methods that the answer names


def fit_table(found: BoardFits, model: str) -> Table:
    """A line for each method that has a batch."""
    fits = [fit for fit in found.of(model) if fit.batch is not None]
    has_times = any(fit.example_seconds is not None for fit in fits)
    is_confirmed = any(fit.confirmed for fit in fits)
    rows = Table(
        "method",
        "largest batch" if found.asked is None else f"batch {found.asked}",
        "peak",
        "of the board",
        "FLOPs",
        *(["time of an example"] if has_times else []),
        *(["under the limit"] if is_confirmed else []),
    )
    for fit in fits:
        row = [
            fit.method,
            _answer(found, fit),
            mib(fit.peak_bytes or 0),
            f"{100 * (found.share(fit) or 0):.1f} %",
            flops(fit.example_flops or 0),
        ]
        if has_times:
            row.append("unknown" if fit.example_seconds is None else seconds(fit.example_seconds))
        if is_confirmed:
            row.append("\n".join(f"{k}: {v}" for k, v in (fit.confirmed or {}).items()))
        rows.add_row(*row)
    return rows


def _answer(found: BoardFits, fit: Fit) -> str:
    if found.asked is None:
        return f"{fit.batch} or more" if fit.batch == LARGEST else str(fit.batch)
    return "fits" if fit.fits else "does not fit"


def fit_reasons(found: BoardFits, model: str) -> list[str]:
    """A line for each method that has no batch, with the reason."""
    return [with_reason(fit.method, fit.reason) for fit in found.of(model) if fit.batch is None]


def fit_answer(found: BoardFits, model: str) -> str:
    """What fits by the estimate, in a sentence; empty if a real run has confirmed batches.

    Then the table has the answer.
    """
    fits = [fit for fit in found.of(model) if fit.batch is not None]
    if not fits or any(fit.confirmed for fit in fits):
        return ""
    first, *others = fits
    plain = first if first.method == PLAIN else None
    others = others if plain else fits
    said = _about_batch if found.asked is not None else _about_largest
    return f"answer for {model} on {found.board}, by its tensors: {said(found, plain, others)}"


def _about_batch(found: BoardFits, plain: Fit | None, others: Sequence[Fit]) -> str:
    """Whether the batch fits with plain training, and the methods with which it needs the least."""
    fitting = [f"{fit.method} ({mib(fit.peak_bytes or 0)})" for fit in others if fit.fits]
    if plain and plain.fits:
        return f"batch {found.asked} fits with {PLAIN}, so no other method is needed."
    without = f"does not fit with {PLAIN}" if plain else ""
    with_ = f"fits with {first(fitting, LISTED)}" if fitting else ""
    if not fitting:
        return f"batch {found.asked} fits with none of these methods."
    return f"batch {found.asked} {', but '.join(filter(None, (without, with_)))}."


def _about_largest(found: BoardFits, plain: Fit | None, others: Sequence[Fit]) -> str:
    """The largest batch of plain training, and the method with a larger one."""
    limit = plain.batch if plain and plain.batch else 0
    larger = [fit for fit in others if (fit.batch or 0) > limit]
    parts = [f"{_answer(found, each)} with {each.method}" for each in larger[:1]]
    if plain is not None and limit:
        parts.insert(0, f"{_answer(found, plain)} with {PLAIN}")
        parts += [] if larger else ["with no other method more"]
    if not parts:
        return "no batch fits with these methods."
    return f"the largest batch is {', and '.join(parts)}."


def fit_notes(found: BoardFits) -> list[str]:
    """The meaning of the numbers, and what tries them."""
    confirm = "--confirm runs this batch here under the same limit."
    if found.asked is None:
        confirm = (
            "--confirm runs the largest batch here under the same limit, and looks for one that "
            "works."
        )
    *limit, example = fit_meaning(found)
    return [*limit, confirm, example]


def fit_meaning(found: BoardFits) -> list[str]:
    """The memory that the shares are of, what a peak counts, and what an example takes."""
    total, reserve, usable = map(
        size, (found.limit.total_bytes, found.limit.reserve_bytes, found.limit.usable_bytes)
    )
    has_times = any(fit.example_seconds is not None for fit in found.fits)
    example = "FLOPs are of one example. There is no time: no run on such a board is here."
    if has_times:
        example = (
            "FLOPs and time are of one example. The time is from earlier runs on such a board."
        )
    return [
        f"{found.board} has {total}. The system and torch itself get {reserve} (--reserve).",
        f"100 % are the other {usable}.",
        "These peaks count tensors only; real memory use is higher.",
        "They are of float32 and of SGD without momentum; an optimizer with a state needs more.",
        example,
    ]
