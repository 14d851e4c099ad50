"""Why a cell is not measured: its parts do not fit together, or the board has too little memory."""

from collections.abc import Iterator

from ondevice_bench.specs import composition, registry, trained
from ondevice_bench.specs.inputs import OwnBatch
from ondevice_bench.specs.method import MethodSpec
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Cell, without_hash
from ondevice_bench.suite.layers import layers_refusal
from ondevice_bench.suite.matrix import all_options, inputs_of
from ondevice_bench.suite.patterns import matches_any
from ondevice_bench.suite.suite import Suite


def refusal(suite: Suite, cell: Cell) -> str | None:
    """Why the cell's method, layers, data, weights or batch cannot be used with its model."""
    model = registry.model(cell.model)
    pretrained = tuple(spec.name for spec in registry.models().values() if spec.pretrained)
    reasons = (
        *(
            part.spec.refuses(model, part.own(cell.method_options))
            for part in composition.parts(cell.method)
        ),
        *_no_such_layers(cell, model),
        *_no_such_modules(cell, model),
        suite.data.refuses(inputs_of(model, cell.model_options)),
        suite.weight_sources[cell.weights].refuses(model.name, model.pretrained, pretrained),
        _no_trained_ranks(cell),
        _nothing_to_learn(suite, cell, model),
        _batch_too_small(cell, model),
        _no_such_update(cell),
        _not_in_backward(cell),
    )
    return next((reason for reason in reasons if reason), None)


def _no_such_layers(cell: Cell, model: ModelSpec) -> Iterator[str | None]:
    """Why the model lacks the layers of the cell, or those of an entry of its mix."""
    options = all_options(model, cell.model_options)
    of_mix = [part.layers for part in composition.parts(cell.method) if part.layers]
    return (layers_refusal(layers, model, options) for layers in (cell.layers, *of_mix))


def _no_such_modules(cell: Cell, model: ModelSpec) -> Iterator[str]:
    """Why a user's network lacks the modules that a method of the cell needs as a whole."""
    missing = model.missing_modules(all_options(model, cell.model_options))
    for part in composition.parts(cell.method):
        needed = part.spec.needed_part(part.own(cell.method_options))
        if needed in missing:
            yield f"{part.spec.name} needs {needed}; {without_hash(model.name)} declares none"


def board_refusal(suite: Suite, cell: Cell, board: Board) -> str | None:
    """Why the cell does not run on this board: its allocator is missing, or `when` says so."""
    if cell.allocator in board.missing_allocators:
        return board.missing_allocators[cell.allocator]
    needed = [item.memory_gib for item in suite.when if matches_any(cell.id, item.cells)]
    if not needed or board.memory_gib is None or board.memory_gib >= max(needed):
        return None
    return (
        f"the suite runs it only on boards with {max(needed):g} GiB; "
        f"{board.name} has {board.memory_gib:g}"
    )


def _no_trained_ranks(cell: Cell) -> str | None:
    rules = {name.rpartition(".")[2] for name, _ in cell.method_options}
    return trained.refuses(cell.model) if trained.RULE in rules else None


def _nothing_to_learn(suite: Suite, cell: Cell, model: ModelSpec) -> str | None:
    """Why the cell cannot be trained and tested on examples, if the suite asks for that."""
    if cell.learning is None:
        return None
    if isinstance(inputs_of(model, cell.model_options), OwnBatch):
        return (
            "the pass learning needs examples of `data`: the batch function of the model's file "
            "has none to test on"
        )
    if not suite.data.has_labels:
        return f"the pass learning needs labels: data: {suite.data.name} has none"
    return None


def _no_such_update(cell: Cell) -> str | None:
    """Why the optimizer cannot train what the cell's method trains by an update of its own."""
    own = updating_themselves(cell)
    if cell.train.optimizer == "sgd" or not own:
        return None
    train = f"`train: {{optimizer: {cell.train.optimizer}}}`"
    if own[0].own_update == "always":
        return f"the update of {own[0].name} is a step of sgd, so it cannot train with {train}"
    return (
        f"the subspace update of {own[0].name} is a step of sgd: with {train} it needs "
        "`update: factors`"
    )


def _not_in_backward(cell: Cell) -> str | None:
    """Why the cell cannot be updated in backward, if its method does this."""
    names = [spec.name for spec in composition.specs(cell.method) if spec.updates_in_backward]
    if not names:
        return None
    if cell.train.clip is not None:
        return (
            f"{names[0]} frees each gradient before the global norm is known: set "
            "`train: {clip: null}` for the suite"
        )
    own = updating_themselves(cell)
    return f"the subspace update of {own[0].name} needs all gradients of a step" if own else None


def updating_themselves(cell: Cell) -> list[MethodSpec]:
    """The parts of the cell's method that have an update of their own."""
    found = []
    for part in composition.parts(cell.method):
        spec = part.spec
        if spec.own_update == "always":
            found.append(spec)
        elif spec.own_update is not None:
            name, value = spec.own_update
            default = next(each.default for each in spec.options if each.name == name)
            if part.own(cell.method_options).get(name, default) == value:
                found.append(spec)
    return found


def _batch_too_small(cell: Cell, model: ModelSpec) -> str | None:
    if cell.train.freeze_bn or cell.batch >= model.least_batch:
        return None
    return (
        f"{model.name} pools an image to one place. If batch-norm trains (freeze_bn: false), "
        f"a batch needs at least {model.least_batch} images, got {cell.batch}"
    )
