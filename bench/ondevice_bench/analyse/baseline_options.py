"""Which of several baselines belongs to a cell, if the baseline's method has several options."""

from collections.abc import Collection, Sequence
from typing import TypeAlias

from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.specs import composition, registry
from ondevice_bench.suite.cell import Cell, Value

NO_OPTIONS = "{baseline} was measured with several sets of options, and none of them belongs here"
_Values: TypeAlias = dict[str, set[Value | None]]  # by name, without the part that has the option


def of_equal_options(cell: Cell, bases: Sequence[CellSummary]) -> CellSummary | None:
    """The baseline of a cell: the first one, if all have the same options.

    Otherwise the only one that agrees with the cell in each option that tells the baselines apart.
    """
    first_of: dict[object, CellSummary] = {}
    for base in bases:
        first_of.setdefault(base.planned.cell.method_options, base)
    if len(first_of) < 2:
        return next(iter(first_of.values()), None)
    own = _values(cell)
    by_base = [(base, _values(base.planned.cell)) for base in first_of.values()]
    names = _that_differ([values for _, values in by_base])
    alike = [
        base
        for base, values in by_base
        if all(own[name] == values.get(name) for name in names if name in own)
    ]
    return alike[0] if len(alike) == 1 else None


def _that_differ(found: Collection[_Values]) -> set[str]:
    """The options that do not have one value in all of them."""
    names = {name for values in found for name in values}
    return {name for name in names if len({frozenset(each.get(name, ())) for each in found}) > 1}


def _values(cell: Cell) -> _Values:
    """The values of each option of the cell's method, also those that are defaults."""
    known = registry.methods()
    is_known = all(name in known for name in composition.names(cell.method))
    defaults = composition.options(cell.method) if is_known else ()
    values = {option.name: option.default for option in defaults} | dict(cell.method_options)
    by_name: _Values = {}
    for name, value in values.items():
        by_name.setdefault(name.rpartition(".")[2], set()).add(value)
    return by_name
