"""Which cells a claim is accounted for, and the claim's figure from their accounts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.papers.dialects import EXACT
from ondevice_bench.papers.evidence import times
from ondevice_bench.papers.published import Claim, Query
from ondevice_bench.specs import registry
from ondevice_bench.suite.cell import Cell
from ondevice_bench.units import MIB

NUMBERS = ("rank", "fraction", "weight_rank")  # rules that ask nothing of weights or data
NEAREST = 2  # accounts of cells that do not meet a claim's conditions


@dataclass(frozen=True)
class Wanted:
    """An account to be asked for; `ranks` by layer are those that a run had."""

    cell: str
    query: Query
    ranks: Mapping[str, Any] | None = None
    differs: tuple[str, ...] = ()

    @property
    def plain(self) -> "Wanted":
        """The same layers in ordinary training."""
        same = replace(self.query, method="vanilla", method_options=())
        return Wanted("vanilla", same)


@dataclass(frozen=True)
class Account:
    """A claim's figure by the papers' formulas, and by the exact count of the same layers."""

    cell: str
    published: float | None  # None where the claim's dialect has no formula
    exact: float | None
    differs: tuple[str, ...] = ()  # what of the claim's conditions is not met


def wanted(claim: Claim, summaries: Sequence[RunSummary]) -> tuple[Wanted, ...]:
    """The accounts that tell of a claim: of its own words, or at the ranks that runs had."""
    if claim.computed != "accounted" or claim.untestable or claim.ratio_of not in (None, "vanilla"):
        return ()
    query = claim.query
    if query.method is None or "+" in query.method:  # accounts are of methods that replace layers
        return ()
    rules = [name for name, _ in query.method_options]
    if query.method == "vanilla" or any(name in NUMBERS for name in rules):
        complete = None not in (query.model, query.layers, query.batch)
        return (Wanted("its own conditions", query),) if complete else ()
    found = sorted(_at_ranks(claim, summaries), key=lambda each: len(each.differs))
    meeting = [each for each in found if not each.differs]
    return tuple(meeting or found[:NEAREST])


def _at_ranks(claim: Claim, summaries: Sequence[RunSummary]) -> Iterator[Wanted]:
    for summary in summaries:
        for each in summary.cells:
            cell, ranks = each.planned.cell, _ranks(each)
            own = registry.is_own(cell.method) or registry.is_own_model(cell.model)
            if ranks and not own and claim.query.is_near(cell):
                yield Wanted(each.id, _query(cell), ranks, claim.query.differs(cell))


def _ranks(cell: CellSummary) -> dict[str, Any]:
    return {
        name: {"activation": list(layer.activation_ranks or ()), "weight": layer.weight_rank}
        for name, layer in cell.details_of("trace").treated.items()
    }


def _query(cell: Cell) -> Query:
    return Query(
        cell.model,
        cell.method,
        cell.layers,
        cell.batch,
        model_options=cell.model_options,
        method_options=cell.method_options,
    )


def account(
    claim: Claim, wanted: Wanted, mine: Mapping[str, Any], base: Mapping[str, Any] | None
) -> Account:
    """The claim's figure; `base` is the account of ordinary training, where it is a ratio."""
    published, exact = (
        _figure(claim, of(claim, mine), None if base is None else of(claim, base))
        for of in (_published, _exact)
    )
    return Account(wanted.cell, published, exact, wanted.differs)


def _figure(claim: Claim, mine: float | None, base: float | None) -> float | None:
    if mine is None:
        return None
    if claim.ratio_of is None:
        return mine / MIB if claim.unit == "MiB" else mine
    return None if base is None else times(claim, mine, base)


def _published(claim: Claim, found: Mapping[str, Any]) -> float | None:
    """As the claim's dialect counts."""
    quantity, _, of_flops = str(claim.quantity).partition("_")
    if not of_flops:
        return float(found[f"{quantity}_bytes"])
    if claim.dialect == EXACT:
        return _exact(claim, found)
    lines = found["dialects"].get(claim.dialect, {}).get("lines", [])
    return next((line["published"] for line in lines if line["quantity"] == quantity), None)


def _exact(claim: Claim, found: Mapping[str, Any]) -> float | None:
    """What the same layers really store and execute."""
    quantity, _, of_flops = str(claim.quantity).partition("_")
    if of_flops:
        return None if found["flops"] is None else float(found["flops"][quantity])
    stored, weights = float(found["stored_bytes"]), float(found["weight_bytes"])
    return {"activation": stored, "training": stored + weights}.get(quantity, weights)
