"""What stands in `.grad` after backward has applied a gradient and freed it.

Without it, a loop that scales, clips, reads or adds up gradients would find none, and go on.
"""

from typing import Any, NoReturn

import torch
from torch import Tensor

from ondevice_bench.errors import Refusal

NAME = "update_in_backward"

_CLEARS = {torch.ops.aten.zero_.default, torch.ops.aten._foreach_zero_.default}


class AppliedGradient(Tensor):
    """It has the shape of the gradient and no numbers. Each operation on it is refused.

    After step() a loop may fill it with zeros. Then backward may add a gradient to it.
    """

    is_stepped: bool = False
    """Whether the loop has called step() since."""

    is_zero: bool = False
    """Whether it stands for zeros: the loop has cleared it, but not taken it away."""

    added: Tensor | None = None
    """The gradient that backward has added to the zeros."""

    @staticmethod
    def of(parameter: Tensor) -> "AppliedGradient":
        """The one of this parameter."""
        made: AppliedGradient = Tensor._make_wrapper_subclass(
            AppliedGradient,
            parameter.size(),
            strides=parameter.stride(),
            dtype=parameter.dtype,
            device=parameter.device,
            storage_size=0,
        )
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub has no classmethod
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Refuse: nothing can be computed from it, and backward can add to zeros only."""
        first = args[0] if args else None
        if func in _CLEARS:
            return _cleared(func, first)
        is_summed = func is torch.ops.aten.add_.Tensor and torch._C._current_graph_task_id() != -1
        if not is_summed or not isinstance(first, cls):
            raise Refusal(
                f"{NAME}: backward has applied the gradients already, so code cannot read or "
                "change them: train without it. To clear them, call optimizer.zero_grad()"
            )
        if not first.is_zero:
            raise uncleared_gradient() if first.is_stepped else second_gradient()
        first.added = args[1]
        return first

    def numpy(self, *_: Any, **options: Any) -> NoReturn:
        """Refuse, as all operations do."""
        self.sum()
        raise AssertionError

    tolist = numpy

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]  # torch's stub lacks types
        """For debuggers."""
        return f"a gradient that backward has applied, of shape {tuple(self.shape)}"


def _cleared(func: Any, given: Any) -> Any:
    """Fill these gradients with zeros: marks, and tensors beside them."""
    every = given if isinstance(given, (list, tuple)) else [given]
    marks = [each for each in every if isinstance(each, AppliedGradient)]
    if not all(each.is_stepped or each.is_zero for each in marks):
        raise early_clearing()
    for each in marks:
        each.is_zero = True
    others = [each for each in every if not isinstance(each, AppliedGradient)]
    if others:
        func(others)
    return given


def early_clearing() -> Refusal:
    """For a loop that clears gradients before the step() that has applied them."""
    return Refusal(
        f"{NAME}: backward has updated the weights already, so clearing the gradients does not "
        "undo it: call step() after each backward pass, then zero_grad()"
    )


def second_gradient() -> Refusal:
    """For a gradient that comes before the step() of the last one."""
    return Refusal(
        f"{NAME}: a second gradient arrived for weights that are updated already: call step() "
        "after each backward pass. To add up gradients, compose it with microbatch"
    )


def uncleared_gradient() -> Refusal:
    """For a gradient that plain training would add to that of the last step, or apply again."""
    return Refusal(
        f"{NAME}: the gradients of the last step() were not cleared, and they are freed, so they "
        "cannot be used again: call zero_grad() after each step()"
    )


def is_applied(gradient: Tensor) -> bool:
    """Whether it only stands for a gradient that backward has applied."""
    return isinstance(gradient, AppliedGradient)
