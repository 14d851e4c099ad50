"""One cell in the terminal."""

from ondevice_bench import metrics
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.missing_metrics import was_not_run
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.passes import IN_SUITES
from ondevice_bench.record.details import TreatedLayer
from ondevice_bench.report.quantities import quantity_of, rank_basis, ratio_to_baseline
from ondevice_bench.terminal import Table


def cell_table(member: CellWithBaseline) -> Table:
    """All numbers of a cell, the most important first, without parts that are zero throughout."""
    base = _other(member)
    ratio = [] if base is None else ["ratio"]
    rows = Table("metric", "estimate", "interval", *ratio, "scope", "basis")
    numbers = _bases(member)
    for name in _shown(member):
        metric, quantity = metrics.described(name), quantity_of(member.cell, name)
        ratio = [] if base is None else [ratio_to_baseline(member, name).estimate]
        basis = member.cell.estimates[name].basis
        values = (quantity.estimate, quantity.interval, *ratio)
        scope = metric.scope.removeprefix("whole ")
        rows.add_row(_label(metric), *values, scope, numbers.get(basis, basis))
    return rows


def basis_lines(member: CellWithBaseline) -> list[str]:
    """What `(1)` in the table means, and of what the ratios are."""
    base = _other(member)
    ratio = [] if base is None else [f"ratio: to the same number of {base.planned.cell.method}"]
    return [*ratio, *(f"{number} {basis}" for basis, number in _bases(member).items())]


def _bases(member: CellWithBaseline) -> dict[str, str]:
    """A number for each text that is too long for the table."""
    texts = dict.fromkeys(member.cell.estimates[name].basis for name in _shown(member))
    return {text: f"({n})" for n, text in enumerate((t for t in texts if t != "exact"), 1)}


def _shown(member: CellWithBaseline) -> list[str]:
    """The metrics by importance, without minor ones that are zero here and in the baseline.

    A zero of a metric with a role says something: a board may throttle from the beginning.
    """
    cell, base = member.cell, _other(member)
    shown = [
        name
        for name in cell.estimates
        if metrics.described(name).roles or not (_is_zero(cell, name) and _is_zero(base, name))
    ]
    return sorted(shown, key=_importance)


def _other(member: CellWithBaseline) -> CellSummary | None:
    """The baseline, if it is not this cell."""
    return None if member.is_baseline else member.base


def _importance(name: str) -> tuple[int, int]:
    """Headlines first, then other columns of tables, then parts of a whole, then the rest."""
    metric = metrics.described(name)
    place = metrics.ALL.index(metric) if metric in metrics.ALL else len(metrics.ALL)
    for rank, role in enumerate(("headline", "table", "learning")):
        if role in metric.roles:
            return rank, place
    return (3 if metric.part_of else 4), place


def _label(metric: metrics.Metric) -> str:
    """The label of a metric. One that says nothing alone says of what it is a part."""
    if metric.label.startswith("of ") and metric.part_of:
        return f"{metric.part_of} {metric.label}"
    several = sum(other.label == metric.label for other in metrics.ALL) > 1
    return f"{metric.label} ({metric.part_of})" if several and metric.part_of else metric.label


def _is_zero(cell: CellSummary | None, name: str) -> bool:
    """Whether the metric has no value but zero."""
    estimate = cell.estimates.get(name) if cell else None
    return estimate is None or not (estimate.estimate or estimate.lower or estimate.upper)


def cell_lines(cell: CellSummary) -> list[str]:
    """The cell, its problems, its notes, and the ranks of its layers."""
    basis = rank_basis(cell.planned.cell)
    trace, allocator = cell.details_of("trace"), cell.planned.cell.allocator
    return [
        f"cell: {cell.id}",
        f"fingerprint: {cell.planned.cell.fingerprint}",
        *([f"allocator: {allocator}"] if allocator else []),
        f"status: {cell.status}",
        *([basis] if basis else []),
        *(f"problem: {text}" for text in cell.problems),
        *(f"caveat: {text}" for text in cell.notes),
        *_unavailable(cell),
        *(
            f"changed: {name}: {_input(layer)}, ranks {list(layer.activation_ranks or ())}"
            + (f", weight rank {layer.weight_rank}" if layer.weight_rank else "")
            for name, layer in trace.treated.items()
        ),
        *(f"not changed: {name}: {why}" for name, why in trace.left_alone.items()),
    ]


def _unavailable(cell: CellSummary) -> list[str]:
    """A line for each reason why metrics are missing. Reasons that are problems are left out.

    Passes that were not run share a line: `bench list metrics` says what they measure.
    """
    by_reason: dict[str, list[str]] = {}
    not_run: dict[str, None] = {}
    for name, reason in cell.unavailable.items():
        metric = metrics.described(name)
        if reason != was_not_run(metric.pass_name):
            by_reason.setdefault(reason, []).append(metric.noun)
        elif metric.pass_name in IN_SUITES:  # only these can be added
            not_run[metric.pass_name] = None
    lines = [
        f"not measured: {'; '.join(labels)}: {reason}"
        for reason, labels in by_reason.items()
        if reason not in cell.problems
    ]
    if not_run:
        lines.append(f"not run: {', '.join(not_run)}; to add a pass: `measure: +NAME`")
    return lines


def _input(layer: TreatedLayer) -> str:
    return "no input in training" if layer.shape is None else f"input {list(layer.shape)}"
