"""Why a cell is not measured: its parts do not fit together, or the board has too little memory."""

from ondevice_bench.specs import registry, trained
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.layers import layers_refusal
from ondevice_bench.suite.matrix import all_options, inputs_of
from ondevice_bench.suite.patterns import matches_any
from ondevice_bench.suite.suite import Suite


def refusal(suite: Suite, cell: Cell) -> str | None:
    """Why the cell's method, layers, data, weights or batch cannot be used with its model."""
    model = registry.model(cell.model)
    pretrained = tuple(spec.name for spec in registry.models().values() if spec.pretrained)
    reasons = (
        *(spec.refuses(model) for spec in registry.parts(cell.method)),
        layers_refusal(cell.layers, model, all_options(model, cell.model_options)),
        suite.data.refuses(inputs_of(model, cell.model_options)),
        suite.weight_sources[cell.weights].refuses(model.name, model.pretrained, pretrained),
        _no_trained_ranks(cell),
        _batch_too_small(cell, model),
    )
    return next((reason for reason in reasons if reason), None)


def board_refusal(suite: Suite, cell: Cell, board: Board) -> str | None:
    """Why the suite's `when` leaves the cell out on this board."""
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


def _batch_too_small(cell: Cell, model: ModelSpec) -> str | None:
    if cell.train.freeze_bn or cell.batch >= model.least_batch:
        return None
    return (
        f"{model.name} pools an image to one place. If batch-norm trains (freeze_bn: false), "
        f"a batch needs at least {model.least_batch} images, got {cell.batch}"
    )
