"""A suite and a hardware profile to cells: what will run here, what is skipped or pending, why."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from bench.errors import BadInput, NothingRan, suggestion
from bench.specs import registry
from bench.specs.option import Option
from bench.suite.cell import Cell, Options, Value
from bench.suite.layers import freezes
from bench.suite.layers import refuses as layers_refused
from bench.suite.patterns import matches, matches_any
from bench.suite.suite import Axis, MethodChoice, ModelChoice, Suite

MAX_CELLS = 100_000

State = Literal["planned", "skipped", "pending"]


@dataclass(frozen=True)
class PlannedCell:
    """A cell on a hardware profile, and whether it will be measured."""

    cell: Cell
    profile: str
    state: State = "planned"
    reason: str = ""


def plan(suite: Suite, profile: str, filters: Sequence[str] = ()) -> tuple[PlannedCell, ...]:
    """Every cell of the suite, for this machine's profile and for those it is meant for."""
    size = _size(suite)
    if size > MAX_CELLS:
        raise BadInput(
            f"{suite.path}: the matrix has {size:,} cells, more than {MAX_CELLS:,}: split the suite"
        )
    cells = _selected(suite, tuple({cell.id: cell for cell in _expand(suite)}.values()))
    profiles = dict.fromkeys(suite.hardware or (profile,))
    planned = [_judge(cell, name, profile) for name in profiles for cell in cells]
    if not filters:
        return tuple(planned)
    kept = tuple(item for item in planned if matches_any(item.cell.id, filters))
    if not kept:
        raise NothingRan(_nothing_matches("--filter", " ".join(filters), cells))
    return kept


def _judge(cell: Cell, name: str, here: str) -> PlannedCell:
    reason = _refusal(cell)
    if reason is not None:
        return PlannedCell(cell, name, "skipped", reason)
    if name != here:
        return PlannedCell(cell, name, "pending", f"pending on {name}")
    return PlannedCell(cell, name)


def _refusal(cell: Cell) -> str | None:
    """Why the cell's method or choice of layers means nothing on its model."""
    model = registry.model(cell.model)
    reasons = (spec.refuses(model) for spec in registry.parts(cell.method))
    return next((why for why in reasons if why is not None), layers_refused(cell.layers, model))


def _size(suite: Suite) -> int:
    models = sum(len(m.batches) * _combinations(m.axes) for m in suite.models)
    methods = sum(_combinations(m.axes) for m in suite.methods)
    profiles = max(1, len(suite.hardware))
    rest = len(suite.layers) * len(suite.dtypes) * len(suite.seeds) * profiles
    return models * methods * rest


def _combinations(axes: tuple[Axis, ...]) -> int:
    return math.prod(len(axis.values) for axis in axes)


def _expand(suite: Suite) -> Iterator[Cell]:
    for model, method in product(suite.models, suite.methods):
        for model_options in _choices(model):
            for batch, dtype in product(model.batches, suite.dtypes):
                for method_options in _choices(method):
                    for layers, seed in product(suite.layers, suite.seeds):
                        yield _cell(
                            suite,
                            model=model.name,
                            model_options=model_options,
                            method=method.name,
                            method_options=method_options,
                            layers=_layers_that_matter(method.name, layers),
                            batch=batch,
                            dtype=dtype,
                            seed=seed,
                        )


def _layers_that_matter(method: str, layers: str) -> str:
    """A method that replaces no layer is one cell over all choices that freeze nothing."""
    replaces = any(spec.treats for spec in registry.parts(method))
    return layers if replaces or freezes(layers) else "all"


def _choices(choice: ModelChoice | MethodChoice) -> Iterator[Options]:
    """Every combination of the options, without those that equal their default."""
    options = (
        registry.model(choice.name).options
        if isinstance(choice, ModelChoice)
        else registry.method_options(choice.name)
    )
    defaults = {option.name: option.default for option in options}
    names = [axis.name for axis in choice.axes]
    for values in product(*(axis.values for axis in choice.axes)):
        pairs = zip(names, values, strict=True)
        yield tuple((name, value) for name, value in pairs if value != defaults.get(name))


def _cell(
    suite: Suite,
    *,
    model: str,
    model_options: Options,
    method: str,
    method_options: Options,
    layers: str,
    batch: int,
    dtype: str,
    seed: int,
) -> Cell:
    parts = [
        model + _label(model_options, registry.model(model).options),
        _method_label(method, method_options),
        layers,
        f"b{batch}",
        *([dtype] if dtype != "float32" else []),
        f"s{seed}",
    ]
    return Cell(
        id="/".join(parts),
        model=model,
        method=method,
        batch=batch,
        seed=seed,
        model_options=model_options,
        method_options=method_options,
        layers=layers,
        dtype=dtype,
        data=suite.data,
        weights=suite.weights,
        train=suite.train,
    )


def _method_label(method: str, options: Options) -> str:
    """`wasi(epsilon=0.8)+checkpoint`: each part with its own options."""
    specs = registry.parts(method)
    if len(specs) == 1:
        return method + _label(options, specs[0].options)
    own = {
        spec.name: tuple(
            (name.removeprefix(f"{spec.name}."), value)
            for name, value in options
            if name.startswith(f"{spec.name}.")
        )
        for spec in specs
    }
    return "+".join(spec.name + _label(own[spec.name], spec.options) for spec in specs)


def _label(options: Options, known: tuple[Option, ...]) -> str:
    labels = {option.name: option.label for option in known}
    said = ",".join(f"{labels.get(name, name)}={_text(value)}" for name, value in options)
    return f"({said})" if said else ""


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _selected(suite: Suite, cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """What `include` and `exclude` leave; a pattern that means no cell is an error."""
    for key, patterns in (("include", suite.include), ("exclude", suite.exclude)):
        for index, pattern in enumerate(patterns):
            if not any(matches(cell.id, pattern) for cell in cells):
                raise BadInput(_nothing_matches(f"{suite.path}: {key}[{index}]", pattern, cells))
    kept = tuple(
        cell
        for cell in cells
        if (not suite.include or matches_any(cell.id, suite.include))
        and not matches_any(cell.id, suite.exclude)
    )
    if not kept:
        raise NothingRan(f"{suite.path}: include and exclude leave no cell")
    return kept


def _nothing_matches(where: str, pattern: str, cells: tuple[Cell, ...]) -> str:
    near = suggestion(pattern, [cell.id for cell in cells]) or f" (one is {cells[0].id!r})"
    return f"{where}: {pattern!r} matches no cell{near}"
