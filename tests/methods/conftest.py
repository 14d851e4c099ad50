"""What the tests of methods share: layers of every geometry, and the oracle in float64."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from ondevice_bench.methods.treatment import treat


def difference(a: Tensor, b: Tensor) -> float:
    """max|a - b| / max|b|."""
    return ((a - b).abs().max() / b.abs().max().clamp_min(1e-300)).item()


@dataclass(frozen=True)
class Gradients:
    y: Tensor
    dx: Tensor
    dw: Tensor | None
    db: Tensor | None
    saved: tuple[Tensor, ...]


def gradients(layer: nn.Module, x: Tensor, dy_seed: int = 1) -> Gradients:
    """Output and gradients of one layer for a seeded dY."""
    x = x.detach().clone().requires_grad_()
    y = layer(x)
    saved = tuple(getattr(y.grad_fn, "saved_tensors", ()))
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(dy_seed), dtype=y.dtype)
    for parameter in layer.parameters():
        parameter.grad = None
    y.backward(dy)
    bias = getattr(layer, "bias", None)
    weight = getattr(layer, "weight", None)
    return Gradients(
        y.detach(),
        x.grad,
        None if weight is None else weight.grad,
        None if bias is None else bias.grad,
        saved,
    )


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def treated(layer: nn.Module, method: str, **options) -> nn.Module:
    """A copy of the layer, treated."""
    import copy

    twin = copy.deepcopy(layer)
    return treat(nn.Sequential(twin), method, **options).module[0]


@st.composite
def linear_cases(draw):
    """A linear layer and an input of two to four dimensions."""
    dimensions = draw(st.integers(2, 4))
    shape = tuple(draw(st.integers(1, 7)) for _ in range(dimensions))
    outputs = draw(st.integers(1, 7))
    seed = draw(st.integers(0, 1000))
    torch.manual_seed(seed)
    layer = nn.Linear(shape[-1], outputs, bias=draw(st.booleans()), dtype=torch.float64)
    return layer, randn(*shape, seed=seed)


@st.composite
def conv_cases(draw, groups: bool = True):
    """A convolution of any geometry, and an input that fits it."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    if draw(st.booleans()) and stride == (1, 1):
        padding = "same"
    else:
        padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    count = draw(st.sampled_from([1, 2, 3])) if groups else 1
    inputs, outputs = count * draw(st.integers(1, 3)), count * draw(st.integers(1, 3))
    batch = draw(st.integers(1, 4))
    height = dilation[0] * (kernel[0] - 1) + draw(st.integers(1, 5))
    width = dilation[1] * (kernel[1] - 1) + draw(st.integers(1, 5))
    seed = draw(st.integers(0, 1000))
    torch.manual_seed(seed)
    layer = nn.Conv2d(
        inputs,
        outputs,
        kernel,
        stride,
        padding,
        dilation,
        groups=count,
        bias=draw(st.booleans()),
        dtype=torch.float64,
    )
    return layer, randn(batch, inputs, height, width, seed=seed)
