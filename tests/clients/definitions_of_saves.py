"""What the methods that change saved tensors are declared to compute, written on a plain network.

Nothing here imports the methods, only the numbers of `fewbit`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ondevice_bench.methods.few_bit_steps import STEPS, Steps
from tests.clients.definitions import Definition


def _surround(network: nn.Module, enter: Callable[[nn.Module, Any], Any]) -> None:
    """Enter a context before each call of the network, and leave it afterwards."""
    open_: list[Any] = []

    def before(network: nn.Module, inputs: Any) -> None:
        open_.append(enter(network, inputs))
        open_[-1].__enter__()

    network.register_forward_pre_hook(before)
    network.register_forward_hook(
        lambda *_: open_.pop().__exit__(None, None, None), always_call=True
    )


def _resident(tensors: Any) -> set[int]:
    return {each.untyped_storage().data_ptr() for each in tensors if isinstance(each, Tensor)}


def _saved_bf16(network: nn.Module, _: Any) -> Any:
    resident = _resident((*network.parameters(), *network.buffers()))

    def pack(tensor: Tensor) -> tuple[torch.dtype, Tensor]:
        wide = tensor.dtype in {torch.float32, torch.float64}
        if not wide or tensor.untyped_storage().data_ptr() in resident:
            return tensor.dtype, tensor
        return tensor.dtype, tensor.bfloat16()

    return torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed[1].to(packed[0]))


def saved_bf16(network: nn.Module, layers: Mapping[str, Mapping[str, Tensor]]) -> None:
    """What forward saves is rounded to bfloat16, other than parameters and buffers."""
    _surround(network, _saved_bf16)


def saved(bits: int) -> Definition:
    """Each storage is rounded at random in groups of 256, the n-th with the n-th random numbers."""

    def change(network: nn.Module, layers: Mapping[str, Mapping[str, Tensor]]) -> None:
        stream = torch.Generator().manual_seed(0)

        def enter(network: nn.Module, inputs: Any) -> Any:
            resident = _resident((*network.parameters(), *network.buffers(), *tree_leaves(inputs)))
            known: list[tuple[Tensor, int, Tensor]] = []  # the first view, its version, what stays

            def pack(tensor: Tensor) -> Tensor:
                address = tensor.untyped_storage().data_ptr()
                if not tensor.is_floating_point() or address in resident:
                    return tensor
                for first, version, rounded in known:
                    if (
                        first.untyped_storage().data_ptr() == address
                        and first.dtype == tensor.dtype
                        and version == tensor._version
                    ):
                        return rounded.as_strided(*_geometry(tensor))
                count = tensor.untyped_storage().nbytes() // tensor.element_size()
                whole = tensor.detach().as_strided((count,), (1,), 0)
                rounded = whole
                if count and whole.isfinite().all():
                    rounded = _rounded(whole, 2**bits - 1, stream)
                known.append((tensor, tensor._version, rounded))
                return rounded.as_strided(*_geometry(tensor))

            return torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)

        _surround(network, enter)

    return change


def _geometry(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.storage_offset()


def _rounded(whole: Tensor, steps: int, stream: torch.Generator) -> Tensor:
    kind = torch.float64 if whole.dtype == torch.float64 else torch.float32
    rows = -(-len(whole) // 256)
    groups = torch.full((rows * 256,), whole[-1].item(), dtype=kind)
    groups[: len(whole)] = whole
    groups = groups.view(rows, 256)
    draws = torch.rand(rows, 256, generator=stream, dtype=kind)
    low, high = groups.amin(1, True), groups.amax(1, True)
    step = (high - low) / steps
    number = torch.where(step > 0, (groups - low) / (high - low) * steps + draws, 0).floor()
    rounded = low + number.clamp(0, steps) * step
    return rounded.flatten()[: len(whole)].to(whole.dtype)


class _Stepped(torch.autograd.Function):
    """A function with a derivative in steps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Any, steps: Steps) -> Tensor:
        ctx.save_for_backward(x)
        ctx.steps = steps
        return function(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        number = sum((x > border).long() for border in ctx.steps.borders)
        return dy * torch.tensor(ctx.steps.levels, dtype=dy.dtype)[number], None, None


class _SteppedCalls(TorchFunctionMode):
    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        name = getattr(func, "__name__", "").rstrip("_")
        if name not in STEPS or not (torch.is_grad_enabled() and args[0].requires_grad):
            return func(*args, **options)
        if options.get("approximate") == "tanh":
            name = "gelu_tanh"
        options.pop("inplace", None)
        x = args[0]
        return _Stepped.apply(
            x, lambda x: func(x, *args[1:], **options), STEPS[name][self.bits - 1]
        )


def fewbit(bits: int) -> Definition:
    """Smooth activation functions have a derivative in steps: those that a test finds best."""

    def change(network: nn.Module, layers: Mapping[str, Mapping[str, Tensor]]) -> None:
        _surround(network, lambda *_: _SteppedCalls(bits))

    return change
