"""A suite's matrix: every combination of its lists that `include` and `exclude` leave."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, product

from ondevice_bench import passes
from ondevice_bench.errors import BadInput, NothingRan, suggestion
from ondevice_bench.specs import composition, registry, trained
from ondevice_bench.specs.builtin_methods import BY_CONTENT
from ondevice_bench.specs.data import TRAIN
from ondevice_bench.specs.inputs import Images, Inputs, OwnBatch
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import Value, resolved
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.cell import Cell, Options
from ondevice_bench.suite.cell_ids import id_without_seed, with_seed
from ondevice_bench.suite.labels import PLAIN
from ondevice_bench.suite.layers import freezes
from ondevice_bench.suite.patterns import matches, matches_any
from ondevice_bench.suite.suite import Axis, MethodChoice, ModelChoice, Suite

OWN_DATA = "the batch function of the model's file"


def size_of(suite: Suite) -> int:
    """How many cells the matrix has, before any is built."""
    models = sum(
        len(m.batches) * max(1, len(m.weights)) * _combinations(m.axes) for m in suite.models
    )
    methods = sum(_combinations(m.axes) for m in suite.methods)
    rest = (suite.layers, suite.dtypes, suite.allocators or ("",), suite.seeds)
    return models * methods * math.prod(map(len, rest))


def cells_of(suite: Suite, elsewhere: Sequence[Suite] = ()) -> tuple[Cell, ...]:
    """The cells that `include` and `exclude` leave. A pattern that matches no cell is an error.

    A pattern may match a cell of the suite on another board: `elsewhere` are the suite there.
    """
    cells = _by_id(suite)
    ids = [cell.id for cell in cells]
    for place, pattern in _patterns(suite):
        others = (cell.id for other in elsewhere for cell in _expand(other))
        if not any(matches(cell_id, pattern) for cell_id in chain(ids, others)):
            where = f"{suite.places.get(place, suite.path)}: {place}"
            raise BadInput(nothing_matches(where, pattern, ids))
    selected = tuple(
        cell
        for cell in cells
        if (not suite.include or matches_any(cell.id, suite.include))
        and not matches_any(cell.id, suite.exclude)
    )
    if not selected:
        raise NothingRan(f"{suite.path}: include and exclude leave no cell")
    return _each_once(selected)


def choices(choice: ModelChoice | MethodChoice) -> Iterator[Options]:
    """Every combination of the options, without those that equal their default."""
    options = (
        registry.model(choice.name).options
        if isinstance(choice, ModelChoice)
        else composition.options(choice.name)
    )
    defaults = {option.name: option.default for option in options}
    names = [axis.name for axis in choice.axes]
    for values in product(*(axis.values for axis in choice.axes)):
        pairs = zip(names, values, strict=True)
        yield tuple((name, value) for name, value in pairs if value != defaults.get(name))


def inputs_of(model: ModelSpec, options: Options) -> Inputs:
    """The inputs in a batch of the model, with these options."""
    return model.inputs(all_options(model, options))


def all_options(model: ModelSpec, options: Options) -> dict[str, Value]:
    """These options of the model, and the defaults of the others."""
    return {**resolved(model.options, dict(options)), **dict(options)}


def nothing_matches(where: str, pattern: str, ids: Sequence[str]) -> str:
    """The message for a pattern that matches none of these ids, with the nearest id."""
    near = suggestion(pattern, ids) or (f" (one is {ids[0]!r})" if ids else "")
    return f"{where}: {pattern!r} matches no cell{near}"


def _combinations(axes: tuple[Axis, ...]) -> int:
    return math.prod(len(axis.values) for axis in axes)


def _by_id(suite: Suite) -> tuple[Cell, ...]:
    """The cells, each id once. BadInput if two workloads have one id."""
    by_id: dict[str, Cell] = {}
    for cell in _expand(suite):
        if by_id.setdefault(cell.id, cell) != cell:
            raise BadInput(
                f"{suite.path}: two cells with other options have the id {cell.id!r}: their values "
                "have other types, or commas in them"
            )
    return tuple(by_id.values())


def _each_once(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells without those that have another id for a workload before them."""
    first: dict[Cell, Cell] = {}
    # cells with the options 1 and true are equal, but have other keys
    return tuple(
        cell
        for cell in cells
        if (known := first.setdefault(cell, cell)) is cell or known.key != cell.key
    )


def _expand(suite: Suite) -> Iterator[Cell]:
    for model, method in product(suite.models, suite.methods):
        for model_options, weights in product(choices(model), model.weights or (None,)):
            for batch, dtype in product(model.batches, suite.dtypes):
                for method_options, allocator in product(
                    choices(method), suite.allocators or ("",)
                ):
                    for layers in suite.layers:
                        yield from _of_every_seed(
                            suite,
                            model=model.name,
                            model_options=model_options,
                            weights=weights,
                            method=method.name,
                            method_options=method_options,
                            layers=_layers_that_matter(suite, method.name, layers),
                            batch=batch,
                            dtype=dtype,
                            allocator=allocator,
                            label=method.label,
                        )


def _layers_that_matter(suite: Suite, method: str, layers: str) -> str:
    """`all` for a method that chooses no layer, unless the choice of layers freezes some.

    A pass may look at the chosen layers of plain training, too.
    """
    chooses = any(spec.chooses_layers for spec in composition.specs(method))
    is_looked_at = method == PLAIN and any(passes.BY_NAME[name].of_layers for name in suite.measure)
    return layers if chooses or is_looked_at or freezes(layers) else "all"


def _of_every_seed(
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
    allocator: str,
    label: str,
) -> Iterator[Cell]:
    """The cells that differ only in their seed. All else is computed once for them."""
    inputs = inputs_of(registry.model(model), model_options)
    has_own_batch = isinstance(inputs, OwnBatch)
    own_weights: Options = () if weights is None else (("weights", weights.name),)
    common = id_without_seed(
        model=model,
        model_options=(*model_options, *own_weights),
        method=method,
        method_options=method_options,
        layers=layers,
        batch=batch,
        dtype=dtype,
        allocator=allocator,
        label=label,
    )
    data = OWN_DATA if has_own_batch else suite.data.name
    source = (weights or suite.weights).name
    learning = suite.learning if passes.LEARNING in suite.measure else None
    is_by_suite = learning is None and not has_own_batch
    calibrated_on = _calibrated_on(suite, method, method_options) if is_by_suite else ""
    revision = _revision(suite, method, method_options, layers, model, model_options)
    of_images = inputs if isinstance(inputs, Images) and suite.data.kind != "synthetic" else None
    for seed in suite.seeds:
        yield Cell(
            id=with_seed(common, seed),
            model=model,
            method=method,
            batch=batch,
            seed=seed,
            model_options=model_options,
            method_options=method_options,
            layers=layers,
            dtype=dtype,
            data=data,
            weights=source,
            train=suite.train,
            learning=learning,
            calibrated_on=calibrated_on,
            scaling="" if of_images is None else of_images.scaling,
            revision=revision,
            code=registry.model(model).code,
            allocator=allocator,
            label=label,
        )


def _calibrated_on(suite: Suite, method: str, options: Options) -> str:
    """The split for calibration, if ranks or bases depend on the content of a batch.

    So no test example decides about them. Ranks by number or by shapes are the same on any batch.
    A cell that learns always calibrates on training examples.
    """
    depends = any(
        registry.is_own(part.spec.name)
        or part.spec.keeps_calibration
        or any(name in BY_CONTENT for name in part.own(options))
        for part in composition.parts(method)
    )
    return TRAIN if depends and suite.data.splits_examples else ""


def _revision(
    suite: Suite, method: str, options: Options, layers: str, model: str, given: Options
) -> int:
    """1 for cells that earlier versions measured with other frozen parameters, ranks or masks."""
    spec = registry.model(model)
    if passes.ACCURACY in suite.measure and spec.has_dropout(dict(given)):
        return 1  # the masks did not depend on the seed
    choices = (layers, *(part.layers for part in composition.parts(method)))
    counts = any(each.partition(":")[0] == "last" for each in choices)
    if counts and (spec.layout.auxiliary or spec.completes_layout):
        return 1  # a head was frozen or counted
    has_auxiliary = bool(dict(given).get("auxiliary")) and not spec.is_own
    if has_auxiliary and any(each.freezes for each in composition.specs(method)):
        return 1  # the auxiliary classifier was frozen
    has_table = any(name.rpartition(".")[2] == trained.RULE for name, _ in options)
    return int(has_table and model == "efficientnet_lite0")  # its images were scaled otherwise


def _patterns(suite: Suite) -> Iterator[tuple[str, str]]:
    """Every pattern that the suite's own file wrote, with its place in the file."""
    for name, patterns in (("include", suite.include), ("exclude", suite.exclude)):
        if name not in suite.inherited:
            yield from ((f"{name}[{place}]", pattern) for place, pattern in enumerate(patterns))
    if "when" not in suite.inherited:
        for place, condition in enumerate(suite.when):
            yield from ((f"when[{place}]", pattern) for pattern in condition.cells)
