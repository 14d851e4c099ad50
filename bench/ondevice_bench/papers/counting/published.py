"""One figure of a layer as a paper counts it, and what it is against the exact count."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["FLOP", "MAC"]
Quantity = Literal[
    "forward",
    "decomposition",
    "input_gradient",
    "weight_gradient",
    "backward",
    "update",
    "inference",
]

RIGHT = "right, but for one addition an output: exact is two for each multiply-add"


@dataclass(frozen=True)
class FormulaCount:
    """A quantity by a paper's formula; `difference` says how it differs from the exact count."""

    quantity: Quantity
    count: int
    difference: str = RIGHT
    unit: Unit = "FLOP"
    corrected: int | None = None  # the same formula without its slip, where that is one


class NoFormula(Exception):  # no error: papers count some layers only
    """The dialect has no formula for such a layer; the text says which it has."""
