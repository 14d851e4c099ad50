"""The accounts that a claim needs, and the claim's number from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.papers.dialects import EXACT
from ondevice_bench.papers.evidence import times
from ondevice_bench.papers.published import SIZES, Claim, Query
from ondevice_bench.specs import composition, registry
from ondevice_bench.specs.builtin_methods import BY_CONTENT
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.layers import freezes

NUMBERS = ("rank", "fraction", "weight_rank")  # rules that do not depend on weights or data
_OF_LAYERS = ("input_gradient", "weight_gradient", "backward")
_SUMS = {"backward": (*_OF_LAYERS, "head"), "layer_backward": _OF_LAYERS}  # of lines of a dialect
# bytes of a number of this type, as a multiple of the bytes that accounts have
_WIDTHS = {"float32": 1.0, "float64": 2.0, "bfloat16": 0.5}
_OF_ANY_BATCH = ("activation", "weight", "inference")  # without ranks, their ratio
_OWN = "its own conditions"
NEAREST = 2  # accounts of cells that do not meet a claim's conditions


@dataclass(frozen=True)
class AccountQuery:
    """An account to ask for. `ranks` are those of a run, by layer."""

    cell: str
    query: Query
    ranks: Mapping[str, Any] | None = None
    differs: tuple[str, ...] = ()

    @property
    def is_of_run(self) -> bool:
        """Whether it is of a cell that was measured, perhaps by an earlier version of bench."""
        return self.cell != _OWN


@dataclass(frozen=True)
class Account:
    """A claim's number by the papers' formulas, and by the exact count of the same layers."""

    cell: str
    published: float | None  # None if the claim's dialect has no formula
    exact: float | None
    differs: tuple[str, ...] = ()  # the claim's conditions that are not met
    why_not: str = ""  # the cell of a run has no account


def can_be_accounted(claim: Claim) -> bool:
    """Whether there are formulas for the claim: for a method that replaces layers, or for vanilla.

    A ratio needs plain training on its other side.
    """
    method = claim.query.method
    is_formula = claim.computed == "accounted" and claim.ratio_of in (None, "vanilla")
    return is_formula and method is not None and "+" not in method and _is_of_layers(method)


def _is_of_layers(method: str) -> bool:
    """Whether the numbers of the method are sums over layers, as far as it is known here."""
    if registry.is_own(method):
        return True
    spec = registry.method(method)
    return bool(spec.treats) or spec.is_plain


def account_queries(claim: Claim, summaries: Sequence[RunSummary]) -> tuple[AccountQuery, ...]:
    """The accounts for a claim: of its own conditions, or with the ranks of runs."""
    query = claim.query
    if claim.untestable or query.method is None or not can_be_accounted(claim):
        return ()
    if _is_complete(claim):
        return (AccountQuery(_OWN, query),)
    queries = sorted(_of_runs(claim, summaries), key=lambda each: len(each.differs))
    meeting = [each for each in queries if not each.differs]
    return tuple(meeting or queries[:NEAREST])


def _has_ranks(method: str) -> bool:
    return registry.is_own(method) or registry.method(method).calibrates


def _is_complete(claim: Claim) -> bool:
    """Whether the conditions of the claim decide its account."""
    query = claim.query
    assert query.method is not None
    has_ranks, given = _has_ranks(query.method), {name for name, _ in query.method_options}
    if has_ranks:
        states_options = bool(given & set(NUMBERS)) and not given & set(BY_CONTENT)
    else:
        states_options = bool(given) or not composition.options(query.method)
    any_batch = not has_ranks and claim.ratio_of is not None and claim.quantity in _OF_ANY_BATCH
    states_batch = any_batch or query.batch is not None
    return query.names_one_model and query.layers is not None and states_options and states_batch


def _of_runs(claim: Claim, summaries: Sequence[RunSummary]) -> Iterator[AccountQuery]:
    """The accounts of cells that were measured, with the ranks that they had."""
    for summary in summaries:
        for each in summary.cells:
            cell = each.planned.cell
            is_own = registry.is_own(cell.method) or registry.is_own_model(cell.model)
            if is_own or not each.estimates or not claim.query.is_near(cell):
                continue
            ranks = _ranks(each) if _has_ranks(cell.method) else None
            if ranks != {}:
                query = _query(cell, claim.query.layers)
                yield AccountQuery(each.id, query, ranks, claim.query.differs(cell))


def _ranks(cell: CellSummary) -> dict[str, Any]:
    return {
        name: {"activation": list(layer.activation_ranks or ()), "weight": layer.weight_rank}
        for name, layer in cell.details_of("trace").treated.items()
    }


def _query(cell: Cell, layers: str | None) -> Query:
    """The cell's account. A cell of vanilla is for all `layers` that freeze none."""
    is_any = cell.method == "vanilla" and not freezes(cell.layers) and not freezes(layers or "")
    return Query(
        cell.model,
        cell.method,
        (is_any and layers) or cell.layers,
        cell.batch,
        model_options=cell.model_options,
        method_options=cell.method_options,
    )


def account(
    claim: Claim, query: AccountQuery, own: Mapping[str, Any], base: Mapping[str, Any] | None
) -> Account:
    """The claim's number. A ratio also needs `base`, the account of the same layers in vanilla."""
    if base is not None and _not_counted(claim, own) != _not_counted(claim, base):
        # the sums of the dialect are of different layers
        exact = account(replace(claim, dialect=EXACT), query, own, base).exact
        return Account(query.cell, None, exact, query.differs)
    published, exact = (
        _number(claim, of(claim, own), None if base is None else of(claim, base))
        for of in (_published, _exact)
    )
    return Account(query.cell, published, exact, query.differs)


def _not_counted(claim: Claim, values: Mapping[str, Any]) -> set[str]:
    """The layers for whose FLOPs the dialect has no formula. It counts the bytes of all layers."""
    if claim.dialect == EXACT or not _quantity(claim)[1]:
        return set()
    return set(values["dialects"].get(claim.dialect, {}).get("not_counted", ()))


def _number(claim: Claim, own: float | None, base: float | None) -> float | None:
    if own is None:
        return None
    if claim.ratio_of is None:
        width = 1.0 if _quantity(claim)[1] else _WIDTHS[claim.query.dtype]
        return width * own / SIZES.get(claim.unit, 1.0)
    return None if base is None else times(claim, own, base)


def _published(claim: Claim, values: Mapping[str, Any]) -> float | None:
    """The number by the claim's dialect."""
    quantity, is_flops = _quantity(claim)
    if not is_flops:
        return float(values[f"{quantity}_bytes"])
    if claim.dialect == EXACT:
        return _exact(claim, values)
    return _sum_of_lines(claim, values, "published")


def _exact(claim: Claim, values: Mapping[str, Any]) -> float | None:
    """The bytes that the same layers really store, or the FLOPs that they really execute."""
    quantity, is_flops = _quantity(claim)
    if is_flops and claim.dialect != EXACT:
        of_the_dialect = _sum_of_lines(claim, values, "exact")  # it may not count all layers
        if of_the_dialect is not None or quantity in _SUMS:
            return of_the_dialect
    if is_flops and values["flops"] is None:
        return None
    if is_flops:
        parts = _OF_LAYERS[:2] if quantity in _SUMS else (quantity,)
        return float(sum(values["flops"][part] for part in parts))
    stored, weights = float(values["stored_bytes"]), float(values["weight_bytes"])
    return {"activation": stored, "training": stored + weights}.get(quantity, weights)


def _quantity(claim: Claim) -> tuple[str, bool]:
    """The quantity without its unit, and whether it is FLOPs."""
    quantity = str(claim.quantity)
    return quantity.removesuffix("_flops"), quantity.endswith("_flops")


def _sum_of_lines(claim: Claim, values: Mapping[str, Any], column: str) -> float | None:
    """The sum of a column of the dialect over the quantities of the claim."""
    quantity, _ = _quantity(claim)
    lines = values["dialects"].get(claim.dialect, {}).get("lines", [])
    wanted = _SUMS.get(quantity, (quantity,))
    found = [
        line[column]
        for line in lines
        if line["quantity"] in wanted and line["published"] is not None
    ]
    return sum(found) if found else None
