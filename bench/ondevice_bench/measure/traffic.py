"""Bytes that an operator reads and writes, once for each tensor of a call."""

from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from ondevice_bench.measure.operators import Kind, arguments_by_name

# of their arguments, these need shape and type only
_FILL = frozenset(
    """
    full_like new_full new_ones new_zeros ones_like rand_like randint_like randn_like zeros_like
    """.split()  # noqa: SIM905  # a list of words reads best as words
)
_PICK = frozenset("_unsafe_index embedding gather index index_select".split())  # noqa: SIM905


def traffic(
    func: Any, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> int:
    """The bytes of this call. A view has none.

    An operator that moves tensors does not read what it writes into. If it picks rows of a table,
    it reads these rows only.
    """
    if kind == "free":
        return 0
    written = _bytes(result)
    if kind != "moved":
        return _bytes((args, kwargs)) + written
    name = func.overloadpacket.__name__
    if name in _FILL:
        return written
    into = {each.name for each in func._schema.arguments if _is_written(each)}
    read = [v for name, v in arguments_by_name(func, args, kwargs).items() if name not in into]
    return (written + _bytes(read[1:]) if name in _PICK else _bytes(read)) + written


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and bool(argument.alias_info.is_write)


def _bytes(values: Any) -> int:
    tensors = (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
