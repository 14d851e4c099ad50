"""The passes over a cell."""

from collections.abc import Sequence

from ondevice_bench.passes import CALIBRATE, LEARNING, LEARNING_RATE
from ondevice_bench.specs import composition
from ondevice_bench.suite.cell import Cell


def passes_of(cell: Cell, measure: Sequence[str]) -> tuple[str, ...]:
    """The passes over a cell. Each pass that prepares another one comes before it."""
    calibrates = any(spec.calibrates for spec in composition.specs(cell.method))
    names = [CALIBRATE] if calibrates else []
    for name in measure:
        if name == LEARNING and cell.learning is not None and cell.learning.learning_rates:
            names.append(LEARNING_RATE)
        names.append(name)
    return tuple(names)
