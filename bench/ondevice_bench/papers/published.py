"""Published figures as declarations: what a paper says, of what, and how it can be looked at."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.suite.cell import Cell, Options
from ondevice_bench.suite.layers import freezes

Computed = Literal["accounted", "measured", "secondary"]
Reach = Literal["exactly", "about", "up to", "over"]
Unit = Literal["MiB", "x", "%"]
AccountedQuantity = Literal[
    "activation", "weight", "training", "inference", "training_flops", "inference_flops"
]
ACCOUNTED: tuple[str, ...] = get_args(AccountedQuantity)
_HEAD = "classes"


@dataclass(frozen=True)
class Query:
    """The cells that a claim speaks of; what is None was not said, so any will do."""

    model: str | None = None
    method: str | None = None
    layers: str | None = None
    batch: int | None = None
    weights: str | None = None
    data: str | None = None
    model_options: Options = ()
    method_options: Options = ()

    def is_near(self, cell: Cell) -> bool:
        """Whether the cell is of that model and method."""
        return self.model in (None, cell.model) and self.method in (None, cell.method)

    def differs(self, cell: Cell) -> tuple[str, ...]:
        """What of the claim's conditions the cell does not meet."""
        asked: dict[str, tuple[object, object]] = {
            name: (getattr(self, name), getattr(cell, name))
            for name in ("model", "method", "batch", "layers")
        }
        # vanilla treats no layers: its cells are the same under all choices that freeze nothing
        if cell.method == "vanilla" and not freezes(cell.layers) and not freezes(self.layers or ""):
            del asked["layers"]
        # sources carry a hash or a number behind their kind
        for name in ("weights", "data"):
            said, there = getattr(self, name), getattr(cell, name)
            kind = re.split(r"[:@(]", there)[0] if said and ":" not in said else there
            asked[name] = (said, kind)
        differing = [
            f"{name} {there} instead of {said}"
            for name, (said, there) in asked.items()
            if said not in (None, there)
        ]
        if self.model is not None:  # of a network, its own size is meant; any head will do
            differing += _apart(self.model_options, cell.model_options, but=_HEAD)
        if self.method_options:
            differing += _apart(self.method_options, cell.method_options)
        return tuple(differing)


@dataclass(frozen=True)
class Claim:
    """One published statement; `published` is its text, so that its digits are known."""

    id: str
    paper: str
    says: str
    source: str
    scope: str
    computed: Computed
    published: str | None
    unit: Unit
    reach: Reach
    quantity: str | None
    dialect: str
    ratio_of: str | None
    measured: tuple[str, ...]
    boards: tuple[str, ...]
    query: Query
    needs: str
    untestable: str
    remark: str

    @property
    def value(self) -> float | None:
        """The figure; None where the statement has none."""
        return None if self.published is None else float(self.published)

    @property
    def half_digit(self) -> float:
        """Half a unit of the last digit that was printed."""
        decimals = len((self.published or "").partition(".")[2])
        return 0.5 * 10.0**-decimals


@dataclass(frozen=True)
class Paper:
    """Where claims come from."""

    name: str
    title: str
    reference: str


@dataclass(frozen=True)
class Published:
    """Papers, and what they claim."""

    papers: tuple[Paper, ...]
    claims: tuple[Claim, ...]

    def paper(self, name: str) -> Paper:
        """The paper of that name."""
        return next(paper for paper in self.papers if paper.name == name)

    def of(self, name: str | None) -> "Published":
        """The claims of one paper, or all."""
        if name is None:
            return self
        known = {paper.name: paper for paper in self.papers}
        if name not in known:
            raise BadInput(f"--paper: {unknown('paper', name, known)}")
        mine = tuple(claim for claim in self.claims if claim.paper == name)
        return Published((known[name],), mine)


def _apart(said: Options, there: Options, but: str = "") -> list[str]:
    """The options that are not alike on both sides."""
    asked, found = dict(said), dict(there)
    return [
        f"{name} {found.get(name, 'unset')} instead of {asked.get(name, 'unset')}"
        for name in dict.fromkeys((*asked, *found))
        if asked.get(name) != found.get(name) and not (name == but and name not in asked)
    ]
