"""The parts of a batch that a step runs one after the other."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ondevice_bench.data import nested
from ondevice_bench.errors import Refusal
from ondevice_bench.methods.tensors import has_content

_LEFT_OUT = -100  # the default `ignore_index` of torch


def number_of_parts(batch: Any, slices: int) -> int:
    """The number of parts of this batch. None of them is empty, unless the batch is."""
    return max(1, min(slices, _examples(batch))) if slices > 1 else 1


def share_of_loss(
    module: nn.Module,
    batch: Any,
    loss: Callable[[nn.Module, Any], Tensor],
    part: int,
    parts: int,
) -> Tensor:
    """The mean loss of one part, weighed by its share of the batch."""
    if parts == 1:
        return loss(module, batch)
    cut = nested.mapped(batch, lambda whole: whole.tensor_split(parts)[part])
    return loss(module, cut) * (_examples(cut) / _examples(batch))


def require_mean_of_examples(batch: Any) -> None:
    """Before cross-entropy of slices: a Refusal if it would leave targets out of its mean."""
    targets = batch[1] if isinstance(batch, (tuple, list)) and len(batch) == 2 else None
    if not isinstance(targets, Tensor) or targets.is_floating_point() or not has_content():
        return
    if bool((targets == _LEFT_OUT).any()):
        raise Refusal(
            f"microbatch: some targets are {_LEFT_OUT}, which cross-entropy leaves out, so the "
            "mean of the batch is no mean of its slices: give `treatment.backward` a loss that is "
            "a mean over the examples, or train without microbatch"
        )


def _examples(batch: Any) -> int:
    """The number of examples of a batch that is cut: the first dimension of all its tensors."""
    counts = {each.shape[:1] if isinstance(each, Tensor) else None for each in nested.leaves(batch)}
    if len(counts) != 1 or not (count := counts.pop()):
        raise Refusal(
            "microbatch: a batch is cut along the first dimension, which must be the number of "
            "examples in each of its entries: leave all else out of the batch"
        )
    return count[0]
