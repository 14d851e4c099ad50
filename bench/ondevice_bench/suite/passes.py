"""The passes over a cell."""

from collections.abc import Sequence

from ondevice_bench.passes import CALIBRATE
from ondevice_bench.specs import composition


def passes_of(method: str, measure: Sequence[str]) -> tuple[str, ...]:
    """The passes over a cell with this method. The ranks come first: all others use them."""
    calibrates = any(spec.calibrates for spec in composition.specs(method))
    return (CALIBRATE, *measure) if calibrates else tuple(measure)
