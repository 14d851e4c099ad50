"""The norm of all gradients, as torch computes it for clipping.

With factored weights it must be of type 2: no other norm of a subspace gradient is known.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.optimizer_guard import subspace_layers


@functools.cache
def refuse_other_norms() -> None:
    """From now on, let torch compute no other norm of gradients that stand for factored weights.

    Code may have imported torch's functions by name already. So not they are replaced, but the
    function that each of them calls.
    """
    (cell,) = torch.nn.utils.get_total_norm.__closure__ or ()
    cell.cell_contents = _checked(cell.cell_contents)


def _checked(total_norm: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(total_norm)
    def checked(tensors: Any, norm_type: float = 2.0, *rest: Any, **options: Any) -> Tensor:
        given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        if float(norm_type) != 2:
            _require_plain(given, norm_type)
        return total_norm(given, norm_type, *rest, **options)

    return checked


def _require_plain(gradients: Sequence[Tensor], norm_type: float) -> None:
    """A Refusal if one of the gradients stands for that of a factored weight."""
    for layer in subspace_layers():
        if any(each is layer.pending.norm.grad for each in gradients):
            raise Refusal(
                f"{layer.pending.name}: a subspace update has no norm of type {norm_type} of its "
                f"gradient: clip with norm_type=2, or use {layer.pending.otherwise}"
            )
