"""One number of a layer as a paper counts it, and its difference from the exact count."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["FLOP", "MAC"]
Quantity = Literal[
    "forward",
    "decomposition",
    "input_gradient",
    "weight_gradient",
    "backward",
    "head",
    "update",
    "inference",
]

RIGHT = (
    "right, except for one addition for each output: the exact count has two for each multiply-add"
)


@dataclass(frozen=True)
class FormulaCount:
    """A quantity by a paper's formula; `difference` says how it differs from the exact count."""

    quantity: Quantity
    count: int
    difference: str = RIGHT
    unit: Unit = "FLOP"
    corrected: int | None = None  # by the same formula without its error, if it has one


class NoFormula(Exception):  # no error: papers count some layers only
    """The dialect has no formula for the layer. The message says which formulas it has."""
