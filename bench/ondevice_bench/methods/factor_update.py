"""The update of two factors from the gradient of their product, in the turns of `every`."""

from torch import Tensor

from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.methods.subspace import WeightGradient
from ondevice_bench.methods.tensors import truncated


def updated(
    layer: LowRankLayer, gradient: WeightGradient, shrink: float, rate: float
) -> tuple[Tensor, Tensor]:
    """`(L', R')` of one step of `W' = shrink L R - rate G`.

    Between two iterations, only R follows the gradient.
    """
    if not layer.schedule.is_due:
        return layer.left, gradient.moved_right(layer.left, layer.right, shrink, rate)
    if layer.update == "subspace":
        return gradient.scaled_update(layer.left, layer.right, shrink, rate)
    (dense,) = gradient.tensors()  # every gradient of such a layer is dense
    return truncated(shrink * layer.dense() - rate * dense, layer.left.shape[1])
