"""What each method is declared to compute, written on a plain network from its definition.

Nothing here imports the methods. Where a method starts from factors, the factors are read from the
state of the treated network, because they depend on random numbers or on the choice of a basis.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm

Definition = Callable[[nn.Module, Mapping[str, Mapping[str, Tensor]]], None]
"""Changes a plain network; it gets the state of each treated layer, by name."""


def _groups(size: int, radius: int) -> Tensor:
    """A row for each patch of the output; ones where the patch covers."""
    rows = torch.arange(size) // radius
    return (rows[None] == torch.arange(-(-size // radius))[:, None]).double()


def _under(size: int, output: int, radius: int, stride: int, offset: int) -> Tensor:
    """A row for each patch; ones at the positions of the input that lie under it."""
    patches = torch.arange(-(-output // radius))[:, None]
    first = stride * patches * radius + offset
    last = stride * ((patches + 1) * radius).clamp(max=output) + offset
    positions = torch.arange(size)[None]
    return ((positions >= first) & (positions < last)).double()


class _Filtered(torch.autograd.Function):
    """Gradient filtering by matrices that sum over patches."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.layer = layer
        return layer._conv_forward(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        layer, radius = ctx.layer, ctx.layer.filter_radius
        means, sums = [], []
        for axis in range(2):
            k, d, s = layer.kernel_size[axis], layer.dilation[axis], layer.stride[axis]
            pads = {"same": (d * (k - 1) // 2,) * 2, "valid": (0, 0)}
            pad = (pads[layer.padding] if isinstance(layer.padding, str) else layer.padding)[axis]
            patches = _groups(dy.shape[2 + axis], radius)
            means.append((patches / patches.sum(1, keepdim=True)).to(dy.dtype))
            under = _under(x.shape[2 + axis], dy.shape[2 + axis], radius, s, d * (k - 1) // 2 - pad)
            sums.append(under.to(dy.dtype))
        scale = layer.stride[0] * layer.stride[1]
        split = (layer.groups, -1)
        g = torch.einsum("boij,pi,qj->bopq", dy, *means).unflatten(1, split)
        inputs = torch.einsum("bcij,pi,qj->bcpq", x, *sums).unflatten(1, split)
        dw = torch.einsum("bgopq,bgcpq->goc", g, inputs).flatten(0, 1) / scale
        taps = weight.unflatten(0, split)
        patches = torch.zeros_like(inputs)
        for a in range(weight.shape[2]):
            for b in range(weight.shape[3]):
                moved = torch.einsum("bgopq,goc->bgcpq", g, taps[..., a, b]) / scale
                for axis, tap in enumerate((a, b)):
                    reach, size = layer.dilation[axis] // radius, layer.kernel_size[axis]
                    moved = _shifted(moved, reach * tap - reach * (size - 1) // 2, 3 + axis)
                patches += moved
        dx = torch.einsum("bcpq,pi,qj->bcij", patches.flatten(1, 2), *sums)
        db = dy.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return dx, dw[:, :, None, None].expand(weight.shape), db, None


def _shifted(x: Tensor, by: int, axis: int) -> Tensor:
    """What leaves the grid is lost; what enters is zero."""
    if by == 0:
        return x
    moved = torch.zeros_like(x)
    length = max(0, x.shape[axis] - abs(by))
    moved.narrow(axis, max(0, by), length).copy_(x.narrow(axis, max(0, -by), length))
    return moved


class _FilteredConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(x)
        weight, bias = self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):  # which reaches no function of one's own
            kind = torch.get_autocast_dtype("cpu")
            x, weight, bias = (
                each if each is None else each.to(kind) for each in (x, weight, bias)
            )
        if x.ndim == 3:  # an image without a batch is a batch of one
            return _Filtered.apply(x[None], weight, bias, self)[0]
        return _Filtered.apply(x, weight, bias, self)


def gradient_filter(radius: int) -> Definition:
    """Both gradients of each treated convolution, from averages over patches."""

    def change(network: nn.Module, layers: Mapping[str, Mapping[str, Tensor]]) -> None:
        for name in layers:
            layer: Any = network.get_submodule(name)
            layer.__class__ = _FilteredConv2d
            layer.filter_radius = radius

    return change


def _may_change(layer: nn.Module) -> bool:
    """Whether other parameters may take the place of the weight.

    A weight that its author froze, made from other parameters, or gave a hook stays as it is.
    """
    weight = dict(layer.named_parameters(recurse=False)).get("weight")
    return weight is not None and weight.requires_grad and not weight._backward_hooks


class _Adapted(nn.Module):
    """`W + s · up down`."""

    def __init__(self, state: Mapping[str, Tensor], scaling: float, trains_down: bool) -> None:
        super().__init__()
        self.down, self.up = (nn.Parameter(state[name].clone()) for name in ("down", "up"))
        self.down.requires_grad_(trains_down)
        self.scaling = scaling

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scaling * (self.up @ self.down.flatten(1)).view_as(weight)


def lora(alpha: float, *, trains_down: bool = True) -> Definition:
    """A frozen weight and a product beside it, of which one or both matrices train."""

    def change(network: nn.Module, layers: Mapping[str, Mapping[str, Tensor]]) -> None:
        for name, state in layers.items():
            layer = network.get_submodule(name)
            if not _may_change(layer):
                continue
            adapted = _Adapted(state, alpha / len(state["down"]), trains_down)
            adapted = adapted.to(layer.weight.dtype)
            parametrize.register_parametrization(layer, "weight", adapted)
            layer.parametrizations.weight.original.requires_grad_(False)

    return change


def bias_only(network: nn.Module, layers: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Biases, shifts and the last linear layer train. Batch-norm is in evaluation."""
    *_, head = (each for each in network.modules() if isinstance(each, nn.Linear))
    trained = {id(each) for each in head.parameters()}
    for name, parameter in network.named_parameters():
        is_bias = re.search(r"(^|[._])bias([._]|$)", name) and parameter.ndim == 1
        if not is_bias and id(parameter) not in trained:
            parameter.requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.__class__ = _always_in_evaluation(type(module))
            module.eval()


def _always_in_evaluation(kind: type[nn.Module]) -> type[nn.Module]:
    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        return kind.train(self, False)

    return type(kind.__name__, (kind,), {"train": train})


def lance(network: nn.Module, layers: Mapping[str, Mapping[str, Tensor]]) -> None:
    """The gradient of a weight comes from the input as fixed bases hold it."""
    for name, state in layers.items():
        layer: Any = network.get_submodule(name)
        layer.__class__ = _HeldConv2d if isinstance(layer, nn.Conv2d) else _HeldLinear
        layer.bases = [state[key] for key in sorted(state) if "basis_" in key]


def _held(x: Tensor, bases: Sequence[Tensor]) -> Tensor:
    """The input, projected on the basis of each mode but that of the batch."""
    held = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    for mode, basis in enumerate(bases, start=1):
        projector = (basis @ basis.T).to(held.dtype)
        held = (held.movedim(mode, -1) @ projector).movedim(-1, mode)
    return held.to(x.dtype)


class _FromHeld(torch.autograd.Function):
    """The output is plain. The gradient of the weight is that of a layer with the held input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.layer = layer
        return layer.compute(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), layer = ctx.saved_tensors, ctx.layer
        held = _held(x, layer.bases)
        with torch.enable_grad():
            x, w = x.detach().requires_grad_(), weight.detach().requires_grad_()
            (dx,) = torch.autograd.grad(layer.compute(x, weight.detach(), None), x, dy)
            (dw,) = torch.autograd.grad(layer.compute(held, w, None), w, dy)
        others = [axis for axis in range(dy.ndim) if axis != layer.features % dy.ndim]
        return dx, dw, dy.sum(others) if ctx.needs_input_grad[2] else None, None


def _from_held(layer: Any, x: Tensor) -> Tensor:
    given = x, layer.weight, layer.bias
    if torch.is_autocast_enabled("cpu"):  # which reaches no function of one's own
        kind = torch.get_autocast_dtype("cpu")
        given = tuple(each if each is None else each.to(kind) for each in given)
    return _FromHeld.apply(*given, layer).clone()  # loops write into it


class _HeldLinear(nn.Linear):
    features = -1
    compute = staticmethod(F.linear)

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(input)
        return _from_held(self, input)


class _HeldConv2d(nn.Conv2d):
    features = 1

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self._conv_forward(x, weight, bias)

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(input)
        return _from_held(self, input) if input.ndim == 4 else _from_held(self, input[None])[0]


class _Product(nn.Module):
    """`left right`, whatever the original is."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.left, self.right = (nn.Parameter(state[name].clone()) for name in ("left", "right"))

    def forward(self, weight: Tensor) -> Tensor:
        return (self.left @ self.right).view_as(weight)


def factors(network: nn.Module, layers: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Each weight is a product of two matrices, and both are ordinary parameters."""
    for name, state in layers.items():
        layer = network.get_submodule(name)
        if not _may_change(layer):
            continue
        product = _Product(state).to(layer.weight.dtype)
        parametrize.register_parametrization(layer, "weight", product)
        layer.parametrizations.weight.original.requires_grad_(False)


def microbatch(slices: int) -> Definition:
    """Each slice has its own statistics and draws its own dropout; all else is as for the batch.

    A layer with a spectral norm iterates once for each slice.
    """

    def change(network: nn.Module, layers: Mapping[str, Mapping[str, Tensor]]) -> None:
        for module in network.modules():
            hooks = module._forward_pre_hooks.values()
            if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.Dropout)) or any(
                isinstance(each, SpectralNorm) for each in hooks
            ):
                module.__class__ = _in_slices(type(module), slices)

    return change


def _in_slices(kind: type[nn.Module], slices: int) -> type[nn.Module]:
    def call(self: nn.Module, x: Tensor) -> Tensor:
        return torch.cat([kind.__call__(self, part) for part in x.tensor_split(slices)])

    return type(kind.__name__, (kind,), {"__call__": call})
