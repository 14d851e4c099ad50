"""How each operator of torch is counted: by a formula, as an estimate, by elements, or not at all.

The arguments of a formula are the operator's arguments by the names of its schema, and its result.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from ondevice_bench.measure import factorisation_flops
from ondevice_bench.measure.fused_operators import FUSED, Arguments

Formula = Callable[[Arguments, Any], int]
Kind = Literal["exact", "estimated", "elements", "moved", "free", "unknown"]


@cache
def kind_of(func: Any) -> Kind:
    """How an operator is counted.

    A `moved` operator only writes tensors: a copy, a fill or random numbers. A `free` one does not
    even that: a view or an allocation.
    """
    name = func.overloadpacket.__name__
    if func.namespace in {"prim", "profiler"}:
        return "free"
    if func.namespace != "aten":
        return "unknown"
    if name in EXACT:
        return "exact"
    if name in ESTIMATED:
        return "estimated"
    plain = name.rstrip("_")
    if plain in _FREE or _is_view(func):
        return "free"
    if plain in _MOVES:
        return "moved"
    names = {plain, plain.removesuffix("_backward")}
    if names & _ELEMENTS or plain.startswith(_MANY_TENSORS):
        return "elements"
    # torch marks few functions that work in place, and few gradients
    marked = torch.Tag.pointwise in func.tags or any(map(_is_pointwise, names))
    return "elements" if marked else "unknown"


def _is_pointwise(name: str) -> bool:
    """Whether torch marks an operator of this name as pointwise."""
    packet = getattr(torch.ops.aten, name, None)
    names = [] if packet is None else packet.overloads()
    return any(torch.Tag.pointwise in getattr(packet, each).tags for each in names)


def _is_view(func: Any) -> bool:
    returns = func._schema.returns
    return bool(returns) and all(
        value.alias_info is not None and not value.alias_info.is_write for value in returns
    )


def arguments_by_name(func: Any, args: tuple[Any, ...], kwargs: Arguments) -> dict[str, Any]:
    """The operator's arguments by the names of its schema."""
    names = (argument.name for argument in func._schema.arguments)
    return {**dict(zip(names, args, strict=False)), **kwargs}


def elements(args: tuple[Any, ...], result: Any) -> int:
    """What an operator processes: the largest tensor, or all of them if it takes many at once."""
    if args and isinstance(args[0], (tuple, list)):
        return sum(largest(each) for each in args[0])
    return largest((*args, result))


def largest(values: Any) -> int:
    """Elements of the largest tensor among them."""
    if isinstance(values, Tensor):
        return values.numel()
    if isinstance(values, (tuple, list)):
        return max(map(largest, values), default=0)
    return 0


# --- products, convolutions, attention


def _product(left: str, right: str) -> Formula:
    """`left (…, n, m) @ right (…, m, k)`."""

    def flops(arguments: Arguments, _: Any) -> int:
        columns = arguments[right].shape[-1] if arguments[right].ndim > 1 else 1
        return 2 * int(arguments[left].numel()) * int(columns)

    return flops


def _linear(arguments: Arguments, result: Any) -> int:
    return 2 * int(result.numel()) * int(arguments["weight"].shape[-1])


def _taps(arguments: Arguments) -> int:
    """Multiply-adds for each position of the kernel."""
    weight: Tensor = arguments["weight"]
    return math.prod(weight.shape[1:])


def _convolution(arguments: Arguments, result: Any) -> int:
    """Every position of the kernel counts, also those over the padding."""
    positions = arguments["input"] if arguments["transposed"] else result
    return 2 * int(positions.numel()) * _taps(arguments)


def _convolution_backward(arguments: Arguments, _: Any) -> int:
    positions = arguments["input"] if arguments["transposed"] else arguments["grad_output"]
    wants_input, wants_weight, _bias = arguments["output_mask"]
    return 2 * int(positions.numel()) * _taps(arguments) * (int(wants_input) + int(wants_weight))


def _attention_product(arguments: Arguments) -> int:
    """`Q Kᵀ`, or the weights times V, for every pair of positions, also masked ones."""
    query: Tensor = arguments["query"]
    key: Tensor = arguments["key"]
    return 2 * query.numel() * key.shape[-2]


def _attention(arguments: Arguments, _: Any) -> int:
    return 2 * _attention_product(arguments)


def _attention_backward(arguments: Arguments, _: Any) -> int:
    """Q Kᵀ again, then the gradients of the weights, of V, of Q and of K."""
    return 5 * _attention_product(arguments)


EXACT: dict[str, Formula] = {
    "mm": _product("self", "mat2"),
    "bmm": _product("self", "mat2"),
    "addmm": _product("mat1", "mat2"),
    "addmm_": _product("mat1", "mat2"),
    "baddbmm": _product("batch1", "batch2"),
    "baddbmm_": _product("batch1", "batch2"),
    "addbmm": _product("batch1", "batch2"),
    "addbmm_": _product("batch1", "batch2"),
    "mv": _product("self", "vec"),
    "addmv": _product("mat", "vec"),
    "addmv_": _product("mat", "vec"),
    "dot": lambda arguments, _: 2 * int(arguments["self"].numel()),
    "vdot": lambda arguments, _: 2 * int(arguments["self"].numel()),
    "linear": _linear,
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
    **FUSED,
}


# --- factorisations: estimates


def _count(matrix: Tensor) -> int:
    """The number of matrices."""
    return math.prod(matrix.shape[:-2])


def _qr(arguments: Arguments, _: Any) -> int:
    matrix: Tensor = arguments["A"]
    forms_q = arguments.get("mode") != "r"
    return _count(matrix) * factorisation_flops.qr(*matrix.shape[-2:], forms_q=forms_q)


def _eigh(arguments: Arguments, _: Any) -> int:
    matrix: Tensor = arguments["A"]
    vectors = arguments.get("compute_v", True)
    return _count(matrix) * factorisation_flops.eigh(matrix.shape[-1], vectors=vectors)


def _svd(arguments: Arguments, _: Any) -> int:
    matrix: Tensor = arguments["A"]
    vectors = arguments.get("compute_uv", True)
    return _count(matrix) * factorisation_flops.svd(*matrix.shape[-2:], vectors=vectors)


def _cubes(numerator: int, denominator: int, name: str = "A") -> Formula:
    def flops(arguments: Arguments, _: Any) -> int:
        matrix: Tensor = arguments[name]
        return _count(matrix) * factorisation_flops.cubes(matrix.shape[-1], numerator, denominator)

    return flops


def _triangular(arguments: Arguments, result: Any) -> int:
    size = arguments["self"].shape[-1]
    return factorisation_flops.triangular(size, int(result.numel()) // size)


def _solve(arguments: Arguments, _: Any) -> int:
    """`(2/3)n³`, and `2n²` for each right-hand side."""
    matrix: Tensor = arguments["A"]
    size = matrix.shape[-1]
    sides = int(arguments["B"].numel()) // size
    factored = _count(matrix) * factorisation_flops.cubes(size, 2, 3)
    return factored + 2 * factorisation_flops.triangular(size, sides)


ESTIMATED: dict[str, Formula] = {
    "linalg_qr": _qr,
    "_linalg_eigh": _eigh,
    "_linalg_svd": _svd,
    "linalg_cholesky_ex": _cubes(1, 3, "self"),
    "linalg_lu_factor_ex": _cubes(2, 3),
    "linalg_inv_ex": _cubes(2, 1),
    "linalg_solve_triangular": _triangular,
    "_linalg_solve_ex": _solve,
}


_ELEMENTS = frozenset(  # element-wise work without torch's tag `pointwise`
    """
    _adaptive_avg_pool2d _adaptive_avg_pool2d_backward _adaptive_avg_pool3d _aminmax
    _batch_norm_no_update _batch_norm_with_update _ctc_loss _embedding_bag
    _embedding_bag_dense_backward _embedding_bag_forward_only _fused_rms_norm
    _fused_rms_norm_backward _index_put_impl _log_softmax _log_softmax_backward_data _logcumsumexp
    _masked_softmax _native_batch_norm_legit _native_batch_norm_legit_no_training _prelu_kernel
    _safe_softmax _softmax _softmax_backward_data _unique2 _upsample_bicubic2d_aa
    _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d _weight_norm_interface adaptive_max_pool2d
    adaptive_max_pool2d_backward adaptive_max_pool3d all amax amin aminmax any argmax argmin
    avg_pool2d avg_pool2d_backward avg_pool3d batch_norm_backward binary_cross_entropy
    binary_cross_entropy_with_logits bincount bucketize complex count_nonzero cross cummax cummin
    cumprod cumsum cumulative_trapz dist embedding_dense_backward floor_divide glu grid_sampler_2d
    grid_sampler_3d hardswish hardtanh hardtanh_backward histc huber_loss index_add index_put
    index_reduce isin kthvalue leaky_relu_backward linalg_cross linalg_vector_norm
    log_sigmoid_backward log_sigmoid_forward logcumsumexp logsumexp max max_pool2d_with_indices
    max_pool2d_with_indices_backward max_pool3d_with_indices mean median min mse_loss
    multi_margin_loss multilabel_margin_loss_backward multilabel_margin_loss_forward nanmedian
    nansum native_batch_norm native_batch_norm_backward native_dropout native_dropout_backward
    native_group_norm native_group_norm_backward native_layer_norm native_layer_norm_backward
    nll_loss2d_backward nll_loss2d_forward nll_loss_backward nll_loss_forward norm polar prod
    reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward renorm
    replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward
    rrelu_with_noise rsub scatter_add scatter_reduce searchsorted smooth_l1_loss soft_margin_loss
    sort std std_mean sum threshold_backward topk trace unique_consecutive unique_dim
    upsample_bicubic2d upsample_bicubic2d_backward upsample_bilinear2d upsample_bilinear2d_backward
    upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest2d_backward
    upsample_nearest3d upsample_trilinear3d value_selecting_reduction_backward var var_mean
    """.split()  # noqa: SIM905  # a list of words reads best as words
)
_MANY_TENSORS = ("_foreach_", "_fused_adagrad", "_fused_adam", "_fused_sgd")  # optimizers
_MOVES = frozenset(  # computes nothing
    """
    _index_put _nested_tensor_from_mask _nested_tensor_from_mask_left_aligned _pack_padded_sequence
    _pack_padded_sequence_backward _pin_memory _to_copy _unsafe_index arange as_strided_scatter
    bernoulli binomial cat cauchy channel_shuffle clone col2im constant_pad_nd copy diag_embed
    diagonal_backward diagonal_scatter embedding equal exponential eye fill flip full full_like
    gather geometric im2col index index_copy index_fill index_select isnan lift_fresh_copy linspace
    log_normal masked_fill masked_scatter masked_scatter_backward masked_select max_unpool2d
    max_unpool3d multinomial native_channel_shuffle new_full new_ones new_zeros nonzero
    nonzero_static normal one_hot ones ones_like pad pixel_shuffle pixel_unshuffle poisson put rand
    rand_like randint randint_like randn randn_like random randperm reflection_pad1d
    reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d roll rot90 scalar_tensor scatter select_backward select_scatter slice_backward
    slice_scatter split_with_sizes_copy stack take to_padded_tensor tril tril_indices triu
    triu_indices unfold_backward uniform zero zeros zeros_like
    """.split()  # noqa: SIM905  # a list of words reads best as words
)
_FREE = frozenset(  # moves nothing, or the number of one element
    """
    _assert_async _efficientzerotensor _linalg_check_errors _local_scalar_dense _reshape_alias
    _unsafe_view as_strided detach empty empty_like empty_permuted empty_strided is_pinned
    is_same_size item lift_fresh new_empty new_empty_strided record_stream resize resize_as set
    squeeze sym_numel sym_size sym_stride t transpose unfold unsafe_split unsafe_split_with_sizes
    unsqueeze
    """.split()  # noqa: SIM905  # a list of words reads best as words
)
