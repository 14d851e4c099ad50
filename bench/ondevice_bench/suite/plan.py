"""A suite and a hardware profile to cells: what will run here, what is skipped or pending, why."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from ondevice_bench.errors import BadInput, NothingRan, suggestion
from ondevice_bench.specs import registry, trained
from ondevice_bench.specs.inputs import Inputs, OwnBatch
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import Option, resolved
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Cell, Options, Value
from ondevice_bench.suite.layers import freezes
from ondevice_bench.suite.layers import refuses as layers_refused
from ondevice_bench.suite.patterns import matches, matches_any
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.suite import Axis, MethodChoice, ModelChoice, Suite

MAX_CELLS = 100_000
OWN_DATA = "the batch function of the model's file"


def plan(
    suite: Suite,
    here: Board,
    others: Mapping[str, Board] | None = None,
    filters: Sequence[str] = (),
) -> tuple[PlannedCell, ...]:
    """Every cell of the suite, for this machine and for the boards that it is meant for.

    A name that this machine's profile extends means this machine.
    """
    boards = _boards(suite, here, others or {})
    size = sum(_size(suite.on(board.names)) for board in boards)
    if size > MAX_CELLS:
        raise BadInput(
            f"{suite.path}: the matrix has {size:,} cells, more than {MAX_CELLS:,}: split the suite"
        )
    planned: list[PlannedCell] = []
    for board in boards:
        mine = suite.on(board.names)
        cells = _selected(mine, tuple({cell.id: cell for cell in _expand(mine)}.values()))
        planned += [_judge(mine, cell, board, here) for cell in cells]
    if not filters:
        return tuple(planned)
    kept = tuple(item for item in planned if matches_any(item.cell.id, filters))
    if not kept:
        ids = [item.cell.id for item in planned]
        raise NothingRan(_nothing_matches("--filter", " ".join(filters), ids))
    return kept


def _boards(suite: Suite, here: Board, others: Mapping[str, Board]) -> tuple[Board, ...]:
    """This machine in the place of its most specific name among them; the other boards."""
    names = suite.hardware or (here.name,)
    meant = next((name for name in here.names if name in names), here.name)
    return tuple(here if name == meant else others.get(name, Board(name)) for name in names)


def _judge(suite: Suite, cell: Cell, board: Board, here: Board) -> PlannedCell:
    reason = _refusal(suite, cell) or _too_big(suite, cell, board)
    if reason is not None:
        return PlannedCell(cell, board.name, "skipped", reason)
    if board.name != here.name:
        return PlannedCell(cell, board.name, "pending", f"pending on {board.name}")
    return PlannedCell(cell, board.name)


def _too_big(suite: Suite, cell: Cell, board: Board) -> str | None:
    """Why the suite's own conditions keep the cell from the board."""
    needed = [item.memory_gib for item in suite.when if matches_any(cell.id, item.cells)]
    if not needed or board.memory_gib is None or board.memory_gib >= max(needed):
        return None
    return (
        f"the suite takes it only where there are {max(needed):g} GiB; "
        f"{board.name} has {board.memory_gib:g}"
    )


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
    rest = len(suite.layers) * len(suite.dtypes) * len(suite.seeds)
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
    ids = [cell.id for cell in cells]
    said = [(f"include[{place}]", pattern) for place, pattern in enumerate(suite.include)]
    said += [(f"exclude[{place}]", pattern) for place, pattern in enumerate(suite.exclude)]
    said += [
        (f"when[{place}]", pattern)
        for place, condition in enumerate(suite.when)
        for pattern in condition.cells
    ]
    for where, pattern in said:
        if not any(matches(cell_id, pattern) for cell_id in ids):
            raise BadInput(_nothing_matches(f"{suite.path}: {where}", pattern, ids))
    kept = tuple(
        cell
        for cell in cells
        if (not suite.include or matches_any(cell.id, suite.include))
        and not matches_any(cell.id, suite.exclude)
    )
    if not kept:
        raise NothingRan(f"{suite.path}: include and exclude leave no cell")
    return kept


def _nothing_matches(where: str, pattern: str, ids: Sequence[str]) -> str:
    near = suggestion(pattern, ids) or f" (one is {ids[0]!r})"
    return f"{where}: {pattern!r} matches no cell{near}"
