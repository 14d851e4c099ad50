"""The weight of a layer that has no such parameter, for code that reads it.

Each reading computes the weight. So a write into it would be lost, and it never has a gradient.
Code that writes, or that wants the gradient or a hook on it, is refused.
"""

from typing import Any

import torch
from torch import Tensor

from ondevice_bench.errors import Refusal

_WRITING = {
    *("__setitem__", "__set__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__idiv__"),
    *("__ifloordiv__", "__imod__", "__ipow__", "__iand__", "__ior__", "__ixor__"),
    *("register_hook", "register_post_accumulate_grad_hook", "retain_grad"),
}
_COPYING = {"__deepcopy__", "__reduce_ex__"}
_DATA, _GRADIENT = Tensor.data.__get__, Tensor.grad.__get__  # type: ignore[attr-defined, union-attr]  # torch's stubs have tensors here


class ReadOnlyWeight(Tensor):
    """What is computed from it is an ordinary tensor."""

    of: str = ""
    """The layer, for messages."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the function. A Refusal if it writes."""
        options = kwargs or {}
        first = args[0] if args and isinstance(args[0], (list, tuple)) else args[:1]
        weight = next((each for each in first if isinstance(each, cls)), None)
        written = [weight, options.get("tensor")] if _writes(func) else []
        for each in (*written, options.get("out")):
            if isinstance(each, cls):
                raise each._refusal()
        if weight is not None and func == _GRADIENT:
            raise weight._refusal()
        if weight is not None and getattr(func, "__name__", "") in _COPYING:
            args = (weight.as_subclass(Tensor), *args[1:])
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **options)
        return read_only(result, weight.of) if weight is not None and func == _DATA else result

    def _refusal(self) -> Refusal:
        return Refusal(
            f"{self.of}: the method trains other parameters in the place of `weight`, and computes "
            "it for code that reads it. So `weight` cannot be written, and has no gradient and no "
            "hook: change it before treat() or after merge(), or use a method that keeps the weight"
        )


def read_only(weight: Tensor, name: str) -> Tensor:
    """The same tensor, which nobody can change. `name` is that of the layer."""
    if type(weight) is not Tensor or torch.compiler.is_compiling():
        return weight  # other kinds of tensors are not for training loops
    shown = weight.as_subclass(ReadOnlyWeight)
    shown.of = name
    return shown


def _writes(func: Any) -> bool:
    name = getattr(func, "__name__", "")
    return name in _WRITING or (name.endswith("_") and not name.endswith("__"))
