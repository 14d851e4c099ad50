"""Fake tensors in less time: torch computes some shapes by dozens of other operators.

For batch-norm and for the backward of some activations, torch runs a decomposition on fake tensors.
It takes milliseconds for each new shape, and only says what we know: the results are as large as
the inputs, or as the channels. We say so where all tensors are plain. All else goes to torch.

For a few operators, torch's shapes are not those of its processor kernels: `_CORRECTED`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

_Result: TypeAlias = Tensor | tuple[Tensor | None, ...] | None
_aten = torch.ops.aten


class QuickFakeMode(FakeTensorMode):
    """A mode for fake tensors that knows the results of a few operators."""

    def _cached_dispatch_impl(
        self, func: Any, types: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """The results, from torch's cache if they are there. It keeps no sizes of storages."""
        if func in _IN_LARGER:
            return self._dispatch_impl(func, types, args, kwargs)
        return super()._cached_dispatch_impl(func, types, args, kwargs)

    def _dispatch_impl(
        self, func: Any, types: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """The results of an operator whose shapes are new. torch keeps them for equal shapes."""
        result = self._found(func, types, args, kwargs)
        if func in _CORRECTED:
            return _CORRECTED[func](result, *args)
        return result

    def _found(self, func: Any, types: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The results by our table, or else by torch."""
        known = _KNOWN.get(func)
        if known is not None and not kwargs and _are_plain(args):
            with self:
                result = known(*args)
            if result is not None:
                return result
        return super()._dispatch_impl(func, types, args, kwargs)


def _are_plain(values: Sequence[Any]) -> bool:
    """Whether all tensors have one type, their values in the usual order, and no tensor around."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    return len({tensor.dtype for tensor in tensors}) == 1 and all(
        tensor.is_contiguous() and tensor.layout == torch.strided for tensor in tensors
    )


def _like(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)


def _batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    *_: float,
) -> _Result:
    """The output, and two numbers for each channel in training."""
    if not training and (mean is None or variance is None):
        return None
    channels = x.shape[1] if training else 0
    return (_like(x), *(x.new_empty(channels) for _ in range(2)))


def _batch_norm_backward(
    gradient: Tensor, x: Tensor, weight: Tensor | None, *others: Any
) -> _Result:
    """The gradients of the input, of the weight and of the shift: of the last two, if wanted."""
    if gradient.shape != x.shape:
        return None
    _, wants_weight, wants_bias = others[-1]
    of_weight = x.new_empty(x.shape[1]) if wants_weight else None
    of_bias = x.new_empty(x.shape[1]) if wants_bias else None
    return _like(x), of_weight, of_bias


def _activation_backward(gradient: Tensor, x: Tensor, *_: Any) -> _Result:
    return _like(gradient) if gradient.shape == x.shape else None


_KNOWN: dict[Any, Callable[..., _Result]] = {
    _aten.native_batch_norm.default: _batch_norm,
    _aten.native_batch_norm_backward.default: _batch_norm_backward,
    _aten.hardtanh_backward.default: _activation_backward,
}


def _only_wanted(results: tuple[Tensor | None, ...], *args: Any) -> _Result:
    """The gradients that are wanted: the last argument says which."""
    pairs = zip(results, args[-1], strict=True)
    return tuple(each if is_wanted else None for each, is_wanted in pairs)


def _in_larger(result: Tensor, x: Tensor, *_: Any) -> Tensor:
    """A result that its kernel leaves in a memory as large as the input."""
    if result.numel() >= x.numel():
        return result
    return result.new_empty(x.numel()).as_strided(result.shape, result.stride())


def _lstm_layer(results: tuple[Tensor, ...], x: Tensor, *others: Any) -> _Result:
    """The results of an LSTM, of which the last is the memory for backward."""
    *outputs, _ = results
    shapes = tuple(tuple(each.shape) for each in (x, *others[:6]))
    options = tuple(tuple(each) if isinstance(each, list) else each for each in others[6:])
    return (*outputs, x.new_empty(_lstm_memory(shapes, options, x.dtype), dtype=torch.uint8))


@cache
def _lstm_memory(
    shapes: tuple[tuple[int, ...], ...], options: tuple[Any, ...], dtype: torch.dtype
) -> int:
    """Its bytes: oneDNN alone knows them. It is asked for few examples, since they grow with them.

    `shapes` are those of the input (steps, examples, width), the weights and the two states.
    """
    (steps, examples, width), *weights, (*left, _, right), _ = shapes
    asked = min(examples, max(1, _LSTM_ROWS // max(1, steps)))
    sizes = ((steps, asked, width), *weights, *((*left, asked, right) for _ in range(2)))
    tensors = (torch.zeros(size, dtype=dtype) for size in sizes)
    *_, memory = torch.ops.aten.mkldnn_rnn_layer(*tensors, *options)
    return int(memory.numel()) * examples // max(1, asked)


_LSTM_ROWS = 4096
_IN_LARGER = frozenset({_aten.col2im.default, _aten.smooth_l1_loss.default})
_CORRECTED: dict[Any, Callable[..., Any]] = {
    _aten.native_batch_norm_backward.default: _only_wanted,
    _aten.mkldnn_rnn_layer.default: _lstm_layer,
    **dict.fromkeys(_IN_LARGER, _in_larger),
}
