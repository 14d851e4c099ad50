"""Accounted figures as text and as plain values, with what they leave out."""

from collections.abc import Mapping
from typing import Any

from bench.units import MIB, flops, mib

SCOPE = (
    "accounted: float32 elements that treated layers store of their input, and their weights; "
    "no biases, gradients, optimizer, temporaries, other layers; q, k and v count one input thrice"
)
_LABELS = {
    "forward": "forward",
    "decomposition": "compressing",
    "input_gradient": "input gradients",
    "weight_gradient": "weight gradients",
    "update": "update of factors",
}


def account_json(what: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """An account as plain values."""
    return {
        "account": what,
        "scope": SCOPE,
        **{f"{name}_mib": found[f"{name}_bytes"] / MIB for name in _TOTALS},
        "flops": found["flops"],
        "treated": found["layers"],
        "left_alone": found["left_alone"],
    }


_TOTALS = ("activation", "weight", "training", "inference")


def account_lines(what: str, found: Mapping[str, Any]) -> list[str]:
    """An account for a reader."""
    bytes_of = {name: mib(found[f"{name}_bytes"]) for name in _TOTALS}
    treated, alone = found["layers"], found["left_alone"]
    lines = [
        f"{what}: {len(treated)} layers",
        f"  activations  {bytes_of['activation']:>14}",
        f"  weights      {bytes_of['weight']:>14}",
        f"  training     {bytes_of['training']:>14}",
        f"  inference    {bytes_of['inference']:>14}",
        *_work(found["flops"]),
        SCOPE,
    ]
    if alone:
        (first, reason), *others = alone.items()
        more = f" and {len(others)} more" if others else ""
        lines.append(f"left alone: {first}{more}: {reason}")
    return lines


def _work(work: dict[str, int] | None) -> list[str]:
    if work is None:
        return ["  FLOPs: not declared by the method (see docs/adding-a-method.md)"]
    parts = [f"{label} {flops(work[name])}" for name, label in _LABELS.items() if work[name]]
    lines = [
        f"  a training step of these layers: {flops(work['training'])} ({', '.join(parts)})",
        f"  an inference: {flops(work['inference'])}",
    ]
    if work["factorisation"]:
        lines.append(f"  factorisations beside it: {flops(work['factorisation'])}, estimated")
    return lines
