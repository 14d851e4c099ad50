"""FLOPs of operators that do the work of a whole layer: attention, encoder layer, LSTM, bilinear.

torch calls the first two in evaluation mode without gradients, and the LSTM's on processors.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from torch import Tensor

Arguments = Mapping[str, Any]


def attention_layer(arguments: Arguments, _: Any) -> int:
    """Four projections, `Q Kᵀ`, and the weights times V, for every pair of positions."""
    query, key, value = (arguments[name] for name in ("query", "key", "value"))
    return _attention(query, key, value, arguments["embed_dim"])


def encoder_layer(arguments: Arguments, _: Any) -> int:
    """Attention of the source to itself, and two linear layers."""
    source, width = arguments["src"], arguments["embed_dim"]
    weights = arguments["ffn_weight_1"].numel() + arguments["ffn_weight_2"].numel()
    linear = 2 * _rows(source, width) * int(weights)
    return _attention(source, source, source, width) + linear


def _attention(query: Tensor, key: Tensor, value: Tensor, width: int) -> int:
    rows = [_rows(each, width) for each in (query, query, key, value)]  # the output has a query's
    pairs = int(query.size(0)) * _longest(query) * _longest(key)
    return 2 * sum(rows) * width**2 + 4 * pairs * width


def _rows(sequences: Tensor, width: int) -> int:
    return int(sequences.numel()) // width


def _longest(sequences: Tensor) -> int:
    """The length of the sequences. Nested ones are padded to the longest for attention."""
    if sequences.is_nested:
        return int(sequences._nested_tensor_size()[:, 0].max())
    return int(sequences.shape[1])


def lstm_layer(arguments: Arguments, _: Any) -> int:
    """The products of all gates with the input and with the state, for each step and sample."""
    return _gates(arguments["input"], arguments["weight0"], arguments["weight1"])


def lstm_layer_backward(arguments: Arguments, _: Any) -> int:
    """The gradients of input, state and weights. torch always computes all of them."""
    return 2 * _gates(arguments["input"], arguments["weight1"], arguments["weight2"])


def _gates(x: Tensor, of_input: Tensor, of_state: Tensor) -> int:
    steps = int(x.numel()) // int(x.shape[-1])
    return 2 * steps * int(of_input.numel() + of_state.numel())


def trilinear(arguments: Arguments, _: Any) -> int:
    """Two products in turn. A product that sums over nothing is element-wise, and does not count.

    torch repeats them for each index of one dimension. It adds the results if this one is summed.
    """
    names = (("i1", "expand1"), ("i2", "expand2"), ("i3", "expand3"))
    first, second, third = (_expanded(arguments[i].shape, arguments[e]) for i, e in names)
    repeated = arguments.get("unroll_dim", 1)
    times = max(first[repeated], second[repeated], third[repeated])
    summed = set(arguments["sumdim"]) - {repeated}
    early = summed & set(arguments["expand3"])
    product = [max(sizes) for sizes in zip(first, second, strict=True)]
    left = [1 if place in early else size for place, size in enumerate(product)]
    with_third = [max(sizes) for sizes in zip(left, third, strict=True)]
    flops = 0
    for sizes, sums in ((product, early), (with_third, summed - early)):
        sizes[repeated] = times
        flops += 2 * math.prod(sizes) if sums else 0
    return flops


def _expanded(shape: Sequence[int], new: Collection[int]) -> list[int]:
    """The shape with a size of 1 at the new places."""
    sizes = iter(shape)
    return [1 if place in new else int(next(sizes)) for place in range(len(shape) + len(new))]


FUSED: dict[str, Callable[[Arguments, Any], int]] = {
    "_native_multi_head_attention": attention_layer,
    "_transformer_encoder_layer_fwd": encoder_layer,
    "mkldnn_rnn_layer": lstm_layer,
    "mkldnn_rnn_layer_backward": lstm_layer_backward,
    "_trilinear": trilinear,
}
