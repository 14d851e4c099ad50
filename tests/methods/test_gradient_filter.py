"""Gradient filter, against loops written from the definition."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.methods.conftest import conv_cases, difference, gradients, randn, treated


def by_definition(layer, x, dy, radius):
    """dW and dX by loops over patches; the flipped kernel where dilation reaches the radius."""
    batch, channels, height, width = x.shape
    rows, columns = dy.shape[2:]
    weight, groups = layer.weight.detach(), layer.groups
    (sh, sw), (dh, dw_), (kh, kw) = layer.stride, layer.dilation, layer.kernel_size
    if layer.padding == "same":
        pads = [d * (k - 1) // 2 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    else:
        pads = layer.padding
    oh, ow = dh * (kh - 1) // 2 - pads[0], dw_ * (kw - 1) // 2 - pads[1]
    ph, pw = -(-rows // radius), -(-columns // radius)
    inside, outside = channels // groups, len(weight) // groups
    summed = torch.zeros(batch, channels, ph, pw, dtype=x.dtype)
    mean = torch.zeros(batch, len(weight), ph, pw, dtype=x.dtype)
    reach = {}
    for i in range(ph):
        for j in range(pw):
            bottom, right = min((i + 1) * radius, rows), min((j + 1) * radius, columns)
            mean[:, :, i, j] = dy[:, :, i * radius : bottom, j * radius : right].mean((2, 3))
            top, left = sh * i * radius + oh, sw * j * radius + ow
            spot = [
                (r, c)
                for r in range(top, sh * bottom + oh)
                for c in range(left, sw * right + ow)
                if 0 <= r < height and 0 <= c < width
            ]
            reach[i, j] = spot
            for r, c in spot:
                summed[:, :, i, j] += x[:, :, r, c]
    dw = torch.zeros_like(weight)
    patches = torch.zeros(batch, channels, ph, pw, dtype=x.dtype)
    for o in range(len(weight)):
        group = o // outside
        for c in range(inside):
            channel = group * inside + c
            dw[o, c] = (mean[:, o] * summed[:, channel]).sum() / (sh * sw)
            for a in range(kh):
                for b in range(kw):
                    # where a kernel position leads on the pooled grid
                    ea, eb = dh // radius, dw_ // radius
                    down = ea * a - ea * (kh - 1) // 2 if dh >= radius else 0
                    along = eb * b - eb * (kw - 1) // 2 if dw_ >= radius else 0
                    for i in range(ph):
                        for j in range(pw):
                            if 0 <= i + down < ph and 0 <= j + along < pw:
                                patches[:, channel, i + down, j + along] += (
                                    weight[o, c, a, b] * mean[:, o, i, j] / (sh * sw)
                                )
    dx = torch.zeros_like(x)
    for (i, j), spot in reach.items():
        for r, c in spot:
            dx[:, :, r, c] = patches[:, :, i, j]
    return dw, dx, summed


@given(case=conv_cases(), radius=st.integers(1, 4))
@settings(max_examples=60)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_gradients_and_what_is_stored_are_the_definitions(case, radius):
    layer, x = case
    found = gradients(treated(layer, "gradient_filter", radius=radius), x)
    exact = gradients(layer, x)
    dy = randn(*found.y.shape, seed=1)
    dw, dx, summed = by_definition(layer, x, dy, radius)
    assert torch.equal(found.y, exact.y)
    assert difference(found.saved[1], summed) <= 1e-12
    assert (found.dw - dw).abs().max() <= 1e-11
    assert (found.dx - dx).abs().max() <= 1e-11
    if layer.bias is not None:
        assert difference(found.db, exact.db) <= 1e-12


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("radius", [2, 4, 7])
@pytest.mark.parametrize("groups", [1, 2])
def test_constant_inputs_are_exact_away_from_padded_edges(stride, radius, groups):
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, stride, groups=groups).double()
    x = randn(2, 4, 1, 1).expand(2, 4, 23, 19).contiguous()
    found = gradients(treated(layer, "gradient_filter", radius=radius), x)
    assert difference(found.dw, gradients(layer, x).dw) <= 1e-12


def test_the_published_scale_is_stride_squared_too_large_and_has_its_own_name():
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, 2, 1).double()
    x = randn(2, 3, 12, 12)
    ours, published = (
        gradients(treated(layer, "gradient_filter", radius=2, scale=scale), x)
        for scale in ("exact", "published")
    )
    assert difference(published.dw, 4 * ours.dw) <= 1e-12
    assert difference(published.dx, 4 * ours.dx) <= 1e-12


def test_stored_elements_are_declared():
    from ondevice_bench.methods.treatment import treat

    layer = nn.Conv2d(3, 4, 3, 2, 1)
    treatment = treat(nn.Sequential(copy.deepcopy(layer)), "gradient_filter", radius=4)
    y = treatment.module(torch.randn(2, 3, 17, 30))
    (report,) = treatment.report()
    assert report.elements == 2 * 3 * 3 * 4 == y.grad_fn.saved_tensors[1].numel()
