"""Numbers computed by formula, as text and as plain values, with their scope."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench.papers.dialects import DIALECTS, EXACT
from ondevice_bench.terminal import Table
from ondevice_bench.units import MIB, flops, macs, mib, number_of, ratio

SCOPE = (
    "computed by formula: float32 elements that the changed layers store of their input, and their "
    "weights; without biases, gradients, optimizer, temporary tensors and other layers; q, k and v "
    "count the same input three times"
)
LABELS = {
    "forward": "forward",
    "decomposition": "compressing",
    "input_gradient": "input gradients",
    "weight_gradient": "weight gradients",
    "backward": "backward",
    "head": "backward of the head",
    "update": "update of factors",
    "inference": "an inference",
    "training": "a training step",
}
_PARTS = ("forward", "decomposition", "input_gradient", "weight_gradient", "update")
_TOTALS = ("activation", "weight", "training", "inference")


def account_json(cell: str, values: Mapping[str, Any], dialect: str = EXACT) -> dict[str, Any]:
    """The account of a cell as plain values."""
    own = {"dialect": {"name": dialect, "title": DIALECTS[dialect].title}}
    if dialect != EXACT:
        own["dialect"] |= values["dialects"][dialect]
    return {
        "account": cell,
        "scope": SCOPE,
        **{f"{name}_mib": values[f"{name}_bytes"] / MIB for name in _TOTALS},
        "stored_activation_mib": values["stored_bytes"] / MIB,
        "flops": values["flops"],
        **own,
        "treated": values["layers"],
        "left_alone": values["left_alone"],
    }


def account_lines(cell: str, values: Mapping[str, Any], *, with_flops: bool = True) -> list[str]:
    """The account of a cell as text, without its scope."""
    bytes_of = {name: mib(values[f"{name}_bytes"]) for name in _TOTALS}
    treated, unchanged = values["layers"], values["left_alone"]
    lines = [
        f"{cell}: {number_of(len(treated), 'layer')}",
        f"  activations  {bytes_of['activation']:>14}{_stored(values)}",
        f"  weights      {bytes_of['weight']:>14}",
        f"  training     {bytes_of['training']:>14}",
        f"  inference    {bytes_of['inference']:>14}",
        *(_work(values["flops"]) if with_flops else []),
    ]
    by_reason: dict[str, list[str]] = {}
    for name, reason in unchanged.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, (first, *others) in by_reason.items():
        more = f" and {len(others)} more" if others else ""
        lines.append(f"not changed: {first}{more}: {reason}")
    return lines


def dialect_table(dialect: str, values: Mapping[str, Any]) -> Table:
    """The FLOPs as a paper counts them, the exact FLOPs, and the reasons for the difference."""
    rows = Table("", dialect, "exact", "ratio", "difference from the exact count")
    for line in values["dialects"][dialect]["lines"]:
        published, share = line["published"], line["ratio"]
        as_text = macs if line["unit"] == "MAC" else flops
        rows.add_row(
            LABELS[line["quantity"]],
            "–" if published is None else as_text(published),
            flops(line["exact"]),
            "–" if share is None else ratio(share),
            "; ".join(line["departs"]) + _corrected(line["mended"]),
        )
    return rows


def dialect_notes(dialect: str, values: Mapping[str, Any]) -> list[str]:
    """The title of the dialect, and the layers that it does not count."""
    lines = [f"{dialect}: {DIALECTS[dialect].title}"]
    missing = values["dialects"][dialect]["not_counted"]
    if missing:
        (first, reason), *others = missing.items()
        more = f" and {len(others)} more" if others else ""
        lines.append(f"in neither count: {first}{more}: it {reason}")
    return lines


def _corrected(count: int | None) -> str:
    return "" if count is None else f"; corrected: {flops(count)}"


def _stored(values: Mapping[str, Any]) -> str:
    """The bytes that the same layers really store, if those are different."""
    if values["stored_bytes"] == values["activation_bytes"]:
        return ""
    return f"  (really stored: {mib(values['stored_bytes'])})"


def _work(work: dict[str, int] | None) -> list[str]:
    if work is None:
        return ["  FLOPs: not declared by the method (see docs/adding-a-method.md)"]
    parts = [f"{LABELS[name]} {flops(work[name])}" for name in _PARTS if work[name]]
    lines = [
        f"  a training step of these layers: {flops(work['training'])} ({', '.join(parts)})",
        f"  an inference: {flops(work['inference'])}",
    ]
    if work["factorisation"]:
        lines.append(f"  factorisations, not included: about {flops(work['factorisation'])}")
    return lines
