"""A suite and a hardware profile to cells: what will run here, what is skipped or pending, why."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from bench.errors import BadInput, NothingRan, suggestion
from bench.specs import registry, trained
from bench.specs.inputs import Inputs, OwnBatch
from bench.specs.model import ModelSpec
from bench.specs.option import Option, resolved
from bench.specs.weights import WeightSource
from bench.suite.cell import Cell, Options, Value
from bench.suite.layers import freezes
from bench.suite.layers import refuses as layers_refused
from bench.suite.patterns import matches, matches_any
from bench.suite.suite import Axis, MethodChoice, ModelChoice, Suite

MAX_CELLS = 100_000
OWN_DATA = "the batch function of the model's file"

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
    planned = [_judge(suite, cell, name, profile) for name in profiles for cell in cells]
    if not filters:
        return tuple(planned)
    kept = tuple(item for item in planned if matches_any(item.cell.id, filters))
    if not kept:
        raise NothingRan(_nothing_matches("--filter", " ".join(filters), cells))
    return kept


def _judge(suite: Suite, cell: Cell, name: str, here: str) -> PlannedCell:
    reason = _refusal(suite, cell)
    if reason is not None:
        return PlannedCell(cell, name, "skipped", reason)
    if name != here:
        return PlannedCell(cell, name, "pending", f"pending on {name}")
    return PlannedCell(cell, name)


def _refusal(suite: Suite, cell: Cell) -> str | None:
    """Why the cell's method, layers, data, weights or batch mean nothing for its model."""
    model = registry.model(cell.model)
    pretrained = tuple(spec.name for spec in registry.models().values() if spec.pretrained)
    reasons = (
        *(spec.refuses(model) for spec in registry.parts(cell.method)),
        layers_refused(cell.layers, model),
        suite.data.refuses(_inputs(model, cell.model_options)),
        suite.weight_sources[cell.weights].refuses(model.name, model.pretrained, pretrained),
        _untrained(cell),
        _too_small(cell, model),
    )
    return next((why for why in reasons if why), None)


def _inputs(model: ModelSpec, options: Options) -> Inputs:
    return model.inputs({**resolved(model.options, dict(options)), **dict(options)})


def _untrained(cell: Cell) -> str | None:
    rules = {name.rpartition(".")[2] for name, _ in cell.method_options}
    return trained.refuses(cell.model) if trained.RULE in rules else None


def _too_small(cell: Cell, model: ModelSpec) -> str | None:
    if cell.train.freeze_bn or cell.batch >= model.least_batch:
        return None
    return (
        f"{model.name} pools an image to one place: where batch-norm trains (freeze_bn: false), "
        f"a batch needs at least {model.least_batch} images, got {cell.batch}"
    )


def _size(suite: Suite) -> int:
    models = sum(
        len(m.batches) * max(1, len(m.weights)) * _combinations(m.axes) for m in suite.models
    )
    methods = sum(_combinations(m.axes) for m in suite.methods)
    profiles = max(1, len(suite.hardware))
    rest = len(suite.layers) * len(suite.dtypes) * len(suite.seeds) * profiles
    return models * methods * rest


def _combinations(axes: tuple[Axis, ...]) -> int:
    return math.prod(len(axis.values) for axis in axes)


def _expand(suite: Suite) -> Iterator[Cell]:
    for model, method in product(suite.models, suite.methods):
        for model_options, weights in product(choices(model), model.weights or (None,)):
            for batch, dtype in product(model.batches, suite.dtypes):
                for method_options in choices(method):
                    for layers, seed in product(suite.layers, suite.seeds):
                        yield _cell(
                            suite,
                            model=model.name,
                            model_options=model_options,
                            weights=weights,
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


def choices(choice: ModelChoice | MethodChoice) -> Iterator[Options]:
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
    weights: WeightSource | None,
    method: str,
    method_options: Options,
    layers: str,
    batch: int,
    dtype: str,
    seed: int,
) -> Cell:
    spec = registry.model(model)
    has_own_batch = isinstance(_inputs(spec, model_options), OwnBatch)
    said = (("weights", weights.name),) if weights is not None else ()
    parts = [
        model + _label((*model_options, *said), spec.options),
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
        data=OWN_DATA if has_own_batch else suite.data.name,
        weights=(weights or suite.weights).name,
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
