"""Both gradients in Walsh functions: against sums over patches written from the definition."""

import copy
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.lbp_wht import functions, grid_of_input
from ondevice_bench.methods.treatment import treat
from ondevice_bench.specs import registry
from tests.methods.conftest import difference, gradients, randn

PATCHES = (2, 4, 8)


def sign(i, place, n):
    """`w_i(place)`: the product of Rademacher functions that has i changes of sign."""
    gray = i ^ (i >> 1)
    bits = int(math.log2(n))
    return (-1) ** sum((gray >> b & 1) * (place >> (bits - 1 - b) & 1) for b in range(bits))


def by_definition(x, dy, weight, n, order):
    """`dW` and `dX` of a linear layer whose tokens are `(B, rows, columns)`, in loops."""
    (b, height, width, _), outputs = x.shape, dy.shape[-1]
    tops, lefts = (-height % n) // 2, (-width % n) // 2
    rows, columns = (-(-side // n) for side in (height, width))

    def mirrored(place, size):
        place = abs(place)
        return 2 * (size - 1) - place if place >= size else place

    dw, dx = torch.zeros_like(weight), torch.zeros_like(x)
    for p in range(rows):
        for q in range(columns):
            places = [(p * n + r - tops, q * n + c - lefts) for r in range(n) for c in range(n)]
            for i in range(n):
                for j in range(n):
                    if i + j >= order:
                        continue
                    m = [sign(i, r, n) * sign(j, c, n) for r in range(n) for c in range(n)]
                    sums = sum(
                        s * x[:, mirrored(r, height), mirrored(c, width)]
                        for s, (r, c) in zip(m, places, strict=True)
                    )
                    means = torch.zeros(b, outputs, dtype=x.dtype)
                    inside = [
                        (s, r, c)
                        for s, (r, c) in zip(m, places, strict=True)
                        if 0 <= r < height and 0 <= c < width
                    ]
                    for s, r, c in inside:
                        means += s * dy[:, r, c] / n**2
                    dw += means.T @ sums
                    for s, r, c in inside:
                        dx[:, r, c] += s * (means @ weight)
    return dw, dx


def treated(layer, n, order):
    model = nn.Sequential(copy.deepcopy(layer))
    return treat(model, "lbp_wht", patch=n, order=order).module[0]


def has_room(side, n):
    return (-side % n + 1) // 2 < side


@given(
    n=st.sampled_from(PATCHES[:2]),
    order=st.integers(1, 8),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    batch=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_both_gradients_follow_the_definition(n, order, height, width, batch):
    assume(has_room(height, n) and has_room(width, n))
    layer, x = nn.Linear(3, 2).double(), randn(batch, height, width, 3)
    found = gradients(treated(layer, n, order), x)
    exact = gradients(layer, x)
    dy = randn(*found.y.shape, seed=1)
    dw, dx = by_definition(x, dy, layer.weight.detach(), n, order)
    assert (found.dw - dw).abs().max() <= 1e-11 * max(1, dw.abs().max())
    assert (found.dx - dx).abs().max() <= 1e-11 * max(1, dx.abs().max())
    assert torch.equal(found.y, exact.y)
    assert difference(found.db, exact.db) <= 1e-12


SHAPES = [
    (nn.Linear(5, 4), (2, 6, 7, 5)),
    (nn.Linear(5, 4), (2, 36, 5)),
    (nn.Linear(5, 4), (3, 50, 5)),  # a class token before 7 x 7
    (nn.Conv2d(5, 4, 1), (2, 5, 7, 6)),
    (nn.Conv2d(5, 4, 1, stride=2, bias=False), (2, 5, 13, 12)),
]


@pytest.mark.parametrize("n", PATCHES)
@pytest.mark.parametrize(("layer", "shape"), SHAPES)
def test_with_all_functions_it_is_plain_training(n, layer, shape):
    layer, x = copy.deepcopy(layer).double(), randn(*shape)
    found, exact = gradients(treated(layer, n, 2 * n - 1), x), gradients(layer, x)
    for name in ("y", "dx", "dw"):
        assert difference(getattr(found, name), getattr(exact, name)) <= 1e-12, name


@pytest.mark.parametrize("n", PATCHES)
def test_with_one_function_and_no_padding_it_is_the_gradient_filter(n):
    layer, x = nn.Conv2d(5, 4, 1).double(), randn(2, 5, 2 * n, 3 * n)
    model = nn.Sequential(copy.deepcopy(layer))
    filtered = gradients(treat(model, "gradient_filter", radius=n).module[0], x)
    found = gradients(treated(layer, n, 1), x)
    for name in ("y", "dx", "dw", "db"):
        assert difference(getattr(found, name), getattr(filtered, name)) <= 1e-12, name


def test_a_class_token_is_exact_beside_the_grid():
    layer = nn.Linear(5, 4).double()
    x = torch.cat([randn(3, 1, 5), torch.zeros(3, 49, 5, dtype=torch.float64)], 1)
    found, exact = gradients(treated(layer, 4, 1), x), gradients(layer, x)
    assert difference(found.dw, exact.dw) <= 1e-12
    assert difference(found.dx[:, 0], exact.dx[:, 0]) <= 1e-12


@pytest.mark.parametrize("n", PATCHES)
def test_functions_are_orthogonal_and_ordered_by_their_changes_of_sign(n):
    rows = torch.tensor(functions(n, 2 * n - 1))
    assert torch.equal(rows @ rows.T, n * n * torch.eye(n * n))
    for order in range(1, 2 * n):
        kept = [torch.tensor(row).view(n, n) for row in functions(n, order)]
        changes = [
            int((each[0, 1:] != each[0, :-1]).sum() + (each[1:, 0] != each[:-1, 0]).sum())
            for each in kept
        ]
        assert max(changes) == order - 1
        assert len(kept) == sum(i + j < order for i in range(n) for j in range(n))


@pytest.mark.parametrize(
    ("layer", "shape", "elements"),
    [
        (nn.Linear(5, 4), (2, 50, 5), 2 * 4 * 3 * 5 + 2 * 5),
        (nn.Conv2d(5, 4, 1), (2, 5, 7, 9), 2 * 6 * 3 * 5),
    ],
)
def test_a_step_keeps_three_sums_of_each_patch_and_the_class_token(layer, shape, elements):
    treatment = treat(nn.Sequential(copy.deepcopy(layer)), "lbp_wht", patch=4, order=2)
    saved = gradients(treatment.module[0], randn(*shape, dtype=torch.float32)).saved
    assert sum(each.numel() for each in saved[1:]) == elements
    assert treatment.report()[0].elements == elements


@pytest.mark.parametrize(
    ("layer", "shape", "says"),
    [
        (nn.Linear(5, 4), (6, 2, 9, 5), r"^0: the input has 2 x 9 places, too few to fill"),
        (nn.Conv2d(5, 4, 1), (6, 5, 1, 3), r"use a smaller `patch`, or other layers"),
        (nn.Conv2d(5, 4, 1), (6, 5, 1, 1), r"no layer of this network saw places on a grid"),
    ],
)
def test_a_grid_that_reflection_cannot_fill_is_refused(layer, shape, says):
    model = treat(nn.Sequential(copy.deepcopy(layer)), "lbp_wht", patch=8).module
    with pytest.raises(Refusal, match=says):
        model(torch.randn(shape))
    model.eval()(torch.randn(shape))


class Tokens(nn.Module):
    """A linear layer on tokens, and a head on their mean."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.body(x).tanh().mean(1))


def test_a_linear_layer_without_a_grid_trains_plainly_beside_others():
    plain = Tokens().double()
    treatment = treat(copy.deepcopy(plain), "lbp_wht", patch=2, order=1)
    x = randn(4, 17, 5)
    for network in (plain, treatment.module):
        network(x).square().sum().backward()
    assert torch.equal(treatment.module.head.weight.grad, plain.head.weight.grad)
    assert difference(treatment.module.body.weight.grad, plain.body.weight.grad) > 0.01
    assert treatment.not_called == ("head",)
    (note,) = treatment.notes()
    assert "or because their inputs have no places on a grid: head" in note


@pytest.mark.parametrize("shape", [(6, 5), (6, 7, 5), (6, 2, 2, 2, 5)])
def test_a_network_without_any_grid_is_refused_in_the_first_forward(shape):
    layer = nn.Linear(5, 4)
    treatment = treat(nn.Sequential(layer), "lbp_wht")
    with pytest.raises(Refusal, match=r"^lbp_wht: no layer of this network saw places on a grid"):
        treatment.module(torch.randn(shape))
    assert torch.equal(treatment.module.eval()(x := torch.randn(shape)), layer(x))


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1, padding=1), nn.Conv2d(4, 4, 1, groups=2)]
)
def test_other_convolutions_are_left_alone_with_the_reason(layer):
    with pytest.raises(Refusal, match="0 is not a pointwise convolution"):
        treat(nn.Sequential(layer), "lbp_wht")


def test_a_model_that_reads_text_is_refused_in_the_plan():
    spec = registry.method("lbp_wht")
    reason = spec.refuses(registry.model("minilm"))
    assert reason == "lbp_wht needs places on a grid; minilm reads text"
    assert spec.refuses(registry.model("vit_b_32")) is None


@pytest.mark.parametrize(("name", "value"), [("stride", (1, 1)), ("padding", (1, 1))])
def test_a_convolution_whose_places_change_later_is_refused(name, value):
    layer = treated(nn.Conv2d(5, 4, 1, stride=2).double(), 2, 2)
    setattr(layer, name, value)
    with pytest.raises(Refusal, match=r"^0: since treat.* its stride or its padding"):
        layer(randn(2, 5, 8, 8))
    layer.eval()(randn(2, 5, 8, 8))


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")  # torch._dynamo hides warnings of its own by a filter
def test_tokens_of_any_number_are_found_in_a_compiled_network():
    def has_grid(x):
        return x * (grid_of_input(tuple(x.shape), None) is not None)

    compiled = torch.compile(has_grid, backend="eager", dynamic=True)
    found = [bool(compiled(torch.ones(2, tokens, 3)).any()) for tokens in (16, 7, 17, 5, 11)]
    assert found == [True, False, True, True, False]
