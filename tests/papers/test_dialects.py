"""The papers' formulas: sums by hand, what they leave out, and how far they are from the truth."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ondevice_bench.errors import BadInput
from ondevice_bench.measure.flops import FlopCounter
from ondevice_bench.methods.layer_flops import LayerFlops, Sizes
from ondevice_bench.methods.make_method import make_method
from ondevice_bench.methods.ranks import Ranks
from ondevice_bench.papers.counting import filtering, linear, maps, published
from ondevice_bench.papers.counting.accounting import account, vanilla_account
from ondevice_bench.papers.counting.comparison import compare
from ondevice_bench.papers.counting.linear import LinearSizes
from ondevice_bench.papers.counting.maps import ConvolutionSizes
from ondevice_bench.papers.counting.published import NoFormula
from ondevice_bench.papers.dialects import DIALECTS, check_dialect

THREE = LinearSizes(batch=2, tokens=(3,), inputs=4, outputs=5)
FOUR = LinearSizes(batch=2, tokens=(2, 3), inputs=4, outputs=5)
# 3x3, stride 2, padding 1: (2, 4, 4, 4) to (2, 6, 2, 2)
CONV = ConvolutionSizes(batch=2, channels=4, height=4, width=4, outputs=6, output_places=4, taps=9)

sides = st.integers(1, 9)
linears = st.builds(
    LinearSizes, sides, st.one_of(st.tuples(sides), st.tuples(sides, sides)), sides, sides
)


def exact(layer, method="vanilla", ranks=None, shape=None, **options):
    """The suite's own count of a layer."""
    if method == "vanilla":
        return vanilla_account(layer, shape).work
    made, _ = make_method(method, options)
    return account(method, made, layer, shape, ranks or Ranks()).work


def counted(*steps):
    """FLOPs of contractions on tensors without content: two for each multiply-add."""
    counter = FlopCounter()
    with counter.phase("forward"):
        for equation, *shapes in steps:
            torch.einsum(equation, *(torch.empty(shape, device="meta") for shape in shapes))
    return counter.of("forward").flops


def of_linear(layer):
    with torch.device("meta"):
        made = nn.Linear(layer.inputs, layer.outputs)
    return made, (layer.batch, *layer.tokens, layer.inputs)


@pytest.mark.parametrize(
    ("found", "by_hand"),
    [
        (linear.dense(6, 4, 5), 210),
        (linear.frozen_forward(THREE), 200),
        (linear.frozen_forward(FOUR), 480),
        (linear.weight_gradient(THREE), 220),
        (linear.vanilla_input_gradient(THREE), 216),
        (linear.vanilla_input_gradient(FOUR), 400),
        (linear.iterations(THREE, (1, 2, 3)), 86 + 204 + 309),
        (linear.iterations(FOUR, (1, 2, 3, 2)), 170 + 384 + 522 + 370),
        (linear.tucker_gradient(THREE, (1, 2, 3)), 30 + 18 + 36 + 60),
        (linear.tucker_gradient(FOUR, (1, 2, 3, 2)), 60 + 24 + 90 + 48 + 120),
        (linear.factored(THREE, 2), 84 + 90),
        (linear.factored_input_gradient(THREE, 2), 84 + 90),
        (linear.factored_input_gradient(FOUR, 2), 432),
        (linear.subspace(5, 4, 2), 70 + 72 + 40),
        (linear.svd(5, 4), 320 + 512),
        (linear.svd_each_step(THREE, 2), (832 + 216, 174 + 220)),
        (linear.lora_forward(THREE, 2), 210 + 84 + 90 + 60),
        (linear.lora_backward(THREE, 2), 110 + 108 + 88 + 72),
        (maps.forward(CONV), 6912),
        (maps.backward(CONV), 1728),
        (maps.iterations(CONV, (1, 2, 3, 2)), 2048 + 44),
        (maps.decompositions(CONV.shape), 8192 + 3 * 4096),
        (maps.decompositions(CONV.shape, exchanged=False), 256 + 3 * 512),
        (maps.tucker_gradient(CONV, (1, 2, 3, 2)), 48 + 48 + 64 + 432 + 432),
        (maps.filter_forward(CONV, 2), 6912 + 96),
        (maps.filter_backward(CONV, 2), 24 + 192 + 6912),
        (maps.decompositions((2, 3, 4), exchanged=False), 48 + 72 + 96),
    ],
)
def test_formulas_by_hand(found, by_hand):
    assert found == by_hand


@given(linears)
def test_what_is_right_counts_one_addition_an_output_less(layer):
    made, shape = of_linear(layer)
    work = exact(made, shape=shape)
    outputs = layer.rows * layer.outputs
    assert linear.dense(layer.rows, layer.inputs, layer.outputs) == work.forward - outputs
    assert linear.weight_gradient(layer) == work.weight_gradient - layer.inputs * layer.outputs
    right = linear.dense(layer.rows, layer.outputs, layer.inputs)
    assert right == work.input_gradient - layer.rows * layer.inputs


@given(linears, sides)
def test_two_factors_are_right_but_for_one_addition_an_output(layer, rank):
    made, shape = of_linear(layer)
    work = exact(made, "wsi", Ranks((), rank), shape, rank=rank)
    assert linear.factored(layer, rank) == work.forward - layer.rows * (rank + layer.outputs)
    backward = linear.factored_input_gradient(layer, rank)
    if len(layer.tokens) == 2:
        assert backward == work.input_gradient
    else:
        right = layer.rows * (rank + layer.inputs)
        apart = layer.rows * (layer.outputs - layer.inputs)
        assert backward == work.input_gradient - right - apart


def test_low_rank_gradients_are_half_of_what_their_own_order_executes():
    b, n, i, o, (p, q, r) = 6, 7, 8, 9, (2, 3, 4)
    executed = counted(
        ("bno,bp->pno", (b, n, o), (b, p)),
        ("pqr,nq->pnr", (p, q, r), (n, q)),
        ("pnr,ir->pni", (p, n, r), (i, r)),
        ("pno,pni->oi", (p, n, o), (p, n, i)),
    )
    assert 2 * linear.tucker_gradient(LinearSizes(b, (n,), i, o), (p, q, r)) == executed
    h, w, (p, q, r, s) = 5, 7, (2, 3, 4, 5)
    executed = counted(
        ("bhwo,bp->phwo", (b, h, w, o), (b, p)),
        ("pqrs,hq->phrs", (p, q, r, s), (h, q)),
        ("phwo,wr->phro", (p, h, w, o), (w, r)),
        ("phrs,is->phri", (p, h, r, s), (i, s)),
        ("phro,phri->oi", (p, h, r, o), (p, h, r, i)),
    )
    assert 2 * linear.tucker_gradient(LinearSizes(b, (h, w), i, o), (p, q, r, s)) == executed


def test_gradients_of_convolutions_are_multiply_adds_too():
    # 1x1, so that the product with a kernel's positions is a plain one
    b, c, h, w, o, (p, q, r, s) = 6, 7, 4, 5, 9, (2, 3, 2, 4)
    conv = ConvolutionSizes(b, c, h, w, o, output_places=h * w, taps=1)
    executed = counted(
        ("bohw,bp->pohw", (b, o, h, w), (b, p)),
        ("pqrs,hr->pqhs", (p, q, r, s), (h, r)),
        ("pqhs,ws->pqhw", (p, q, h, s), (w, s)),
        ("pohw,pqhw->oq", (p, o, h, w), (p, q, h, w)),
        ("oq,cq->oc", (o, q), (c, q)),
    )
    assert 2 * maps.tucker_gradient(conv, (p, q, r, s)) == executed


def test_ranks_of_asi_meet_the_wrong_modes():
    right = [
        linear.subspace(THREE.batch, 12, 1),
        linear.subspace(3, 8, 2),  # tokens
        linear.subspace(4, 6, 3),  # features
    ]
    assert linear.iterations(THREE, (1, 2, 3)) != sum(right)
    assert linear.iterations(THREE, (1, 3, 2)) == sum(right)


VIT = LinearSizes(batch=128, tokens=(50,), inputs=768, outputs=3072)
SWIN_FIRST = LinearSizes(batch=128, tokens=(56, 56), inputs=96, outputs=384)
SWIN_LAST = LinearSizes(batch=128, tokens=(7, 7), inputs=768, outputs=3072)


def right_input_gradient(layer):
    return linear.dense(layer.rows, layer.outputs, layer.inputs)


@pytest.mark.parametrize(
    ("published", "right", "ratio", "to"),
    [
        (
            linear.frozen_forward(VIT),
            linear.dense(VIT.rows, VIT.inputs, VIT.outputs),
            1 - 0.009,
            5e-4,
        ),
        (
            linear.vanilla_input_gradient(SWIN_FIRST),
            right_input_gradient(SWIN_FIRST),
            1 - 0.008,
            5e-4,
        ),
        (linear.vanilla_input_gradient(SWIN_LAST), right_input_gradient(SWIN_LAST), 1 - 0.07, 5e-3),
    ],
)
def test_a_wrong_index_is_that_far_off(published, right, ratio, to):
    assert published / right == pytest.approx(ratio, abs=to)


def test_without_the_core_the_overhead_of_asi_is_some_0_85_of_what_is_executed():
    made, shape = of_linear(VIT)
    ranks = (4, 4, 4)  # equal ones: nothing depends on the modes that they are paired with
    work = exact(made, "asi", Ranks(ranks), shape, rank=4)
    assert linear.iterations(VIT, ranks) / work.decomposition == pytest.approx(0.85, abs=0.01)


def test_lora_without_the_frozen_path_is_some_40_times_low():
    made, shape = of_linear(VIT)
    work = exact(made, "lora", shape=shape, rank=8)
    low = (work.input_gradient + work.weight_gradient) / linear.lora_backward(VIT, 8)
    assert low == pytest.approx(40, rel=0.05)
    missing = right_input_gradient(VIT)
    whole = linear.lora_backward(VIT, 8) + missing
    assert whole == pytest.approx(work.input_gradient + work.weight_gradient, rel=2e-3)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 4])
def test_convolutions_are_counted_at_the_inputs_resolution_and_without_groups(stride, groups):
    with torch.device("meta"):
        conv = nn.Conv2d(4, 8, 3, stride, 1, groups=groups)
    shape = (3, 4, 8, 8)
    work, sizes = exact(conv, shape=shape), Sizes.from_layer(conv, shape)
    multiply_adds = work.forward / 2
    assert maps.forward(ConvolutionSizes.from_sizes(sizes)) == multiply_adds * stride**2 * groups
    assert 2 * maps.backward(ConvolutionSizes.from_sizes(sizes)) == work.weight_gradient * groups


def test_hosvd_with_its_sides_exchanged_is_over_1000_times_high_on_some_layers():
    shape = (64, 64, 56, 56)  # ResNet-18's first stage at batch 64
    high = maps.decompositions(shape) / maps.decompositions(shape, exchanged=False)
    assert high > 1000
    for size in shape:
        rest = math.prod(shape) // size
        one = maps.decompositions((size, rest)) / maps.decompositions((size, rest), exchanged=False)
        assert one == pytest.approx(max(size, rest) / min(size, rest))


@pytest.mark.parametrize("radius", [2, 4])
def test_gradient_filters_product_is_high_by_half_a_patch_times_the_kernel(radius):
    with torch.device("meta"):
        conv = nn.Conv2d(16, 32, 3, 1, 1)
    shape = (2, 16, 56, 56)
    work = exact(conv, "gradient_filter", shape=shape, radius=radius)
    once = (work.input_gradient + work.weight_gradient) / 2
    product = maps.forward(ConvolutionSizes.from_sizes(Sizes.from_layer(conv, shape)))
    # both gradients on the grid are one multiply-add a position each
    assert product / once == pytest.approx(9 * radius**2 / 2)


# ResNet-18's last convolution on one image, and its two neighbours in the published rows
LAST = nn.Conv2d(512, 512, 3, 1, 1, device="meta")
MAP = (1, 512, 7, 7)


def of_filter(method, layers, head=(512, 10)):
    """Backward of these layers and of the head; the first one passes no gradient on."""
    total = filtering.head(1, *head).count
    for place, (layer, shape) in enumerate(layers):
        rows = published("gradient_filter", method, Sizes.from_layer(layer, shape), Ranks(), 2)
        total += sum(row.count for row in rows if place or row.quantity != "input_gradient")
    return total


def test_gradient_filtering_counts_what_its_paper_prints():
    assert of_filter("vanilla", [(LAST, MAP)]) == 128_253_952  # printed: 128.25 M
    assert of_filter("gradient_filter", [(LAST, MAP)]) == 8_175_104  # printed: 8.18 M
    both = of_filter("vanilla", [(LAST, MAP)] * 2, head=(512, 1000))
    assert both == 489_199_104  # printed: 489.20 M
    # ResNet-34's last four, printed without the head: 1.21 G and 64.07 M
    head = 3 * 512 * 1000
    four = [(LAST, MAP)] * 4
    assert of_filter("vanilla", four, (512, 1000)) - head == 1_206_512_128
    assert of_filter("gradient_filter", four, (512, 1000)) - head == 64_071_680


def test_gradient_filtering_counts_groups_and_every_image():
    depthwise = nn.Conv2d(576, 576, 3, 1, 1, groups=576, device="meta")
    rows = {
        batch: published(
            "gradient_filter",
            "vanilla",
            Sizes.from_layer(depthwise, (batch, 576, 7, 7)),
            Ranks(),
            0,
        )
        for batch in (1, 3)
    }
    gradients, inputs = 576 * (9 * 49 + 49 - 1) + 576 * (49 + 49), 576 * 49 * (2 * 9 - 1)
    assert [row.count for row in rows[1]] == [inputs, gradients]
    assert [row.count for row in rows[3]] == [3 * inputs, 3 * gradients]


@pytest.mark.parametrize(
    ("dialect", "method", "layer", "shape", "says"),
    [
        ("gradient_filter", "vanilla", nn.Linear(2, 2), (4, 2), "counts convolutions only"),
        ("wasi", "vanilla", nn.Conv2d(2, 2, 1), (2, 2, 4, 4), "counts linear layers only"),
        ("wasi", "vanilla", nn.Linear(2, 2), (4, 2), "three or four dimensions only"),
        ("asi", "vanilla", nn.Linear(2, 2), (4, 3, 2), "counts convolutions only"),
        ("asi", "hosvd", nn.Linear(2, 2), (4, 2), "inputs of three dimensions only"),
        ("hosvd", "svd", nn.Conv2d(2, 2, 1), (2, 2, 4, 4), "no FLOPs"),
    ],
)
def test_what_a_dialect_has_no_formula_for(dialect, method, layer, shape, says):
    with pytest.raises(NoFormula, match=says):
        published(dialect, method, Sizes.from_layer(layer, shape), Ranks(tuple(shape), 1), 0)


def test_every_row_of_a_dialect_can_be_counted():
    conv, wide = nn.Conv2d(4, 6, 3, 2, 1), nn.Linear(4, 5)
    seen = {"wasi": [(wide, (2, 3, 4)), (wide, (2, 2, 3, 4))]}
    for dialect, spec in DIALECTS.items():
        for method in set(spec.methods) - {"svd"}:
            for layer, shape in seen.get(dialect, [(conv, (2, 4, 4, 4))]):
                ranks = Ranks((1,) * len(shape), 2)
                rows = published(dialect, method, Sizes.from_layer(layer, shape), ranks, 2)
                assert rows
                assert all(row.count > 0 and row.difference for row in rows)
                assert len({row.quantity for row in rows}) == len(rows)


def test_a_dialect_that_nobody_knows_or_that_has_no_such_method():
    with pytest.raises(BadInput, match="did you mean 'wasi'"):
        check_dialect("wassi", "vanilla")
    with pytest.raises(BadInput, match="only for vanilla, gradient_filter; for wasi use wasi"):
        check_dialect("gradient_filter", "wasi")


def test_an_earlier_name_of_a_dialect_still_opens_it():
    assert check_dialect("gf", "gradient_filter") == "asi"
    assert check_dialect("gradient_filter", "vanilla") == "gradient_filter"


def test_a_comparison_is_of_the_layers_that_the_dialect_counts():
    made, shape = of_linear(THREE)
    work = exact(made, shape=shape)
    rows = published("wasi", "vanilla", Sizes.from_layer(made, shape), Ranks(), 0)
    lines = {
        line.quantity: line for line in compare([(rows, work), ((), LayerFlops(forward=10**9))])
    }
    assert (lines["forward"].published, lines["forward"].exact) == (210, 240)
    assert lines["training"].published == 210 + 216 + 220
    assert lines["training"].exact == 3 * 240
    assert compare([((), work)]) == []


def test_a_slip_of_a_formula_is_mended_beside_it():
    conv, shape, ranks = nn.Conv2d(4, 6, 3, 2, 1), (2, 4, 4, 4), Ranks((1, 2, 3, 2))
    work = exact(conv, "hosvd", ranks, shape, rank=1)
    rows = published("hosvd", "hosvd", Sizes.from_layer(conv, shape), ranks, 0)
    lines = {line.quantity: line for line in compare([(rows, work)])}
    assert (lines["decomposition"].published, lines["decomposition"].corrected) == (20480, 1792)
    assert (lines["training"].published, lines["training"].corrected) == (
        6912 + 20480 + 1024,
        6912 + 1792 + 1024,
    )
    assert lines["forward"].corrected is None


def test_a_sum_of_unlike_units_says_so():
    made, shape = of_linear(THREE)
    ranks = Ranks((1, 2, 3), 2)
    work = exact(made, "wasi", ranks, shape, rank=2)
    rows = published("wasi", "wasi", Sizes.from_layer(made, shape), ranks, 0)
    lines = {line.quantity: line for line in compare([(rows, work)])}
    assert lines["weight_gradient"].unit == "MAC"
    assert lines["training"].published == 174 + 599 + 174 + 144 + 182
    assert "adds multiply-adds to FLOPs" in lines["training"].differences[0]
