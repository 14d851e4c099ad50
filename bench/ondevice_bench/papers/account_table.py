"""Accounted figures as text and as plain values, with what they leave out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ondevice_bench.papers.dialects import DIALECTS, EXACT
from ondevice_bench.terminal import table
from ondevice_bench.units import MIB, flops, macs, mib, ratio

if TYPE_CHECKING:
    from rich.table import Table

SCOPE = (
    "accounted: float32 elements that treated layers store of their input, and their weights; "
    "no biases, gradients, optimizer, temporaries, other layers; q, k and v count one input thrice"
)
LABELS = {
    "forward": "forward",
    "decomposition": "compressing",
    "input_gradient": "input gradients",
    "weight_gradient": "weight gradients",
    "backward": "backward",
    "update": "update of factors",
    "inference": "an inference",
    "training": "a training step",
}
_PARTS = ("forward", "decomposition", "input_gradient", "weight_gradient", "update")
_TOTALS = ("activation", "weight", "training", "inference")


def account_json(what: str, found: Mapping[str, Any], dialect: str = EXACT) -> dict[str, Any]:
    """An account as plain values."""
    own = {"dialect": {"name": dialect, "title": DIALECTS[dialect].title}}
    if dialect != EXACT:
        own["dialect"] |= found["dialects"][dialect]
    return {
        "account": what,
        "scope": SCOPE,
        **{f"{name}_mib": found[f"{name}_bytes"] / MIB for name in _TOTALS},
        "stored_activation_mib": found["stored_bytes"] / MIB,
        "flops": found["flops"],
        **own,
        "treated": found["layers"],
        "left_alone": found["left_alone"],
    }


def account_lines(what: str, found: Mapping[str, Any], *, with_flops: bool = True) -> list[str]:
    """An account for a reader."""
    bytes_of = {name: mib(found[f"{name}_bytes"]) for name in _TOTALS}
    treated, alone = found["layers"], found["left_alone"]
    lines = [
        f"{what}: {len(treated)} layers",
        f"  activations  {bytes_of['activation']:>14}{_stored(found)}",
        f"  weights      {bytes_of['weight']:>14}",
        f"  training     {bytes_of['training']:>14}",
        f"  inference    {bytes_of['inference']:>14}",
        *(_work(found["flops"]) if with_flops else []),
        SCOPE,
    ]
    if alone:
        (first, reason), *others = alone.items()
        more = f" and {len(others)} more" if others else ""
        lines.append(f"left alone: {first}{more}: {reason}")
    return lines


def dialect_table(dialect: str, found: Mapping[str, Any]) -> "Table":
    """The FLOPs of a published account beside the exact ones, and why they differ."""
    made = table("", dialect, "exact", "ratio", "against the exact count")
    for line in found["dialects"][dialect]["lines"]:
        published, share = line["published"], line["ratio"]
        shown = macs if line["unit"] == "MAC" else flops
        made.add_row(
            LABELS[line["quantity"]],
            "–" if published is None else shown(published),
            flops(line["exact"]),
            "–" if share is None else ratio(share),
            "; ".join(line["departs"]) + _mended(line["mended"]),
        )
    return made


def dialect_notes(dialect: str, found: Mapping[str, Any]) -> list[str]:
    """What the dialect is, and what it does not count."""
    lines = [f"{dialect}: {DIALECTS[dialect].title}"]
    missing = found["dialects"][dialect]["not_counted"]
    if missing:
        (first, reason), *others = missing.items()
        more = f" and {len(others)} more" if others else ""
        lines.append(f"on neither side: {first}{more}: it {reason}")
    return lines


def _mended(count: int | None) -> str:
    return "" if count is None else f"; with that mended: {flops(count)}"


def _stored(found: Mapping[str, Any]) -> str:
    """What the same layers really store, where that is something else."""
    if found["stored_bytes"] == found["activation_bytes"]:
        return ""
    return f"  (really stored: {mib(found['stored_bytes'])})"


def _work(work: dict[str, int] | None) -> list[str]:
    if work is None:
        return ["  FLOPs: not declared by the method (see docs/adding-a-method.md)"]
    parts = [f"{LABELS[name]} {flops(work[name])}" for name in _PARTS if work[name]]
    lines = [
        f"  a training step of these layers: {flops(work['training'])} ({', '.join(parts)})",
        f"  an inference: {flops(work['inference'])}",
    ]
    if work["factorisation"]:
        lines.append(f"  factorisations beside it: {flops(work['factorisation'])}, estimated")
    return lines
