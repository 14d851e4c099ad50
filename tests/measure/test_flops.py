"""FLOPs of single operators against sums on paper, and the separate counts."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from ondevice_bench.measure import operators
from ondevice_bench.measure.decomposition_marker import decomposition
from ondevice_bench.measure.flops import FlopCounter, count_step, left_out, step_flops
from tests.measure.test_activations import SumStep

ROWS = torch.tensor([3, 1])


def counted(function, *shapes, **keywords):
    """What the counter says of one call on tensors of these shapes."""
    counter = FlopCounter()
    tensors = [torch.randn(shape) for shape in shapes]
    with counter.phase("it"):
        function(*tensors, **keywords)
    return counter.of("it")


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (torch.mm, [(3, 4), (4, 5)], 2 * 3 * 4 * 5),
        (torch.addmm, [(5,), (3, 4), (4, 5)], 2 * 3 * 4 * 5),
        (torch.matmul, [(2, 7, 3, 4), (2, 7, 4, 5)], 2 * 14 * 3 * 4 * 5),
        (torch.baddbmm, [(2, 3, 5), (2, 3, 4), (2, 4, 5)], 2 * 2 * 3 * 4 * 5),
        (torch.Tensor.addbmm_, [(3, 5), (2, 3, 4), (2, 4, 5)], 2 * 2 * 3 * 4 * 5),
        (torch.mv, [(3, 4), (4,)], 2 * 3 * 4),
        (torch.dot, [(9,), (9,)], 2 * 9),
        (F.linear, [(2, 6, 4), (5, 4), (5,)], 2 * 2 * 6 * 4 * 5),
        (lambda a, b: torch.einsum("bni,bno->oi", a, b), [(2, 6, 4), (2, 6, 5)], 2 * 12 * 4 * 5),
        (F.conv2d, [(2, 3, 9, 9), (8, 3, 3, 3)], 2 * (2 * 8 * 7 * 7) * 3 * 9),
        (F.conv_transpose2d, [(2, 3, 5, 5), (3, 8, 2, 2)], 2 * (2 * 3 * 5 * 5) * 8 * 4),
        (F.scaled_dot_product_attention, [(2, 4, 6, 8)] * 3, 2 * 2 * (2 * 4 * 6 * 6 * 8)),
    ],
)
def test_products_convolutions_and_attention(function, shapes, expected):
    found = counted(function, *shapes)
    assert found.flops == expected
    assert not found.unknown
    assert not found.estimated


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("stride", "dilation", "padding"), [(1, 1, 1), (2, 1, 0), (1, 2, 3)])
def test_each_gradient_of_a_grouped_convolution_costs_what_the_forward_costs(
    groups, stride, dilation, padding
):
    x = torch.randn(2, 4, 11, 11, requires_grad=True)
    weight = torch.randn(8, 4 // groups, 3, 3, requires_grad=True)
    counter = FlopCounter()
    with counter.phase("forward"):
        y = F.conv2d(x, weight, None, stride, padding, dilation, groups)
    forward = 2 * y.numel() * (4 // groups) * 9
    assert counter.of("forward").flops == forward
    with counter.phase("both"):
        torch.autograd.grad(y.sum(), (x, weight), retain_graph=True)
    assert counter.of("both").flops == 2 * forward
    with counter.phase("weight"):
        torch.autograd.grad(y.sum(), weight)
    assert counter.of("weight").flops == forward


def test_backward_of_fused_attention_computes_the_weights_once_more():
    q, k, v = (torch.randn(2, 4, 6, 8, requires_grad=True) for _ in range(3))
    out = F.scaled_dot_product_attention(q, k, v)
    counter = FlopCounter()
    with counter.phase("backward"):
        out.sum().backward()
    assert counter.of("backward").flops == 5 * 2 * (2 * 4 * 6 * 6 * 8)


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (nn.TransformerEncoderLayer(16, 2, 40, batch_first=True), 1),
        (nn.TransformerEncoderLayer(16, 4, 8, activation="gelu", norm_first=True, batch_first=True), 1),
        (nn.MultiheadAttention(16, 2, batch_first=True), 3),
    ],
)  # fmt: skip
def test_the_fast_path_of_inference_counts_what_the_slow_one_counts(network, inputs):
    x = torch.randn(3, 5, 16)
    network.eval()
    try:
        with torch.no_grad():
            fast = counted(lambda: network(*[x] * inputs))
            torch.backends.mha.set_fastpath_enabled(False)
            slow = counted(lambda: network(*[x] * inputs))
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    assert len(fast.exact) == 1 < len(slow.exact)
    assert fast.flops == slow.flops > 0
    assert not fast.unknown


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_sequences_of_different_lengths_are_padded_for_attention_only():
    lengths, width, inner = (5, 3), 16, 40
    layer = nn.TransformerEncoderLayer(width, 2, inner, batch_first=True).eval()
    x = torch.nested.nested_tensor([torch.randn(each, width) for each in lengths])
    with torch.no_grad():
        found = counted(lambda: layer(x))
        assert found.flops == products_inside(lambda: layer(x))
    linear = 2 * sum(lengths) * (4 * width**2 + 2 * width * inner)
    assert found.flops == linear + 4 * len(lengths) * max(lengths) ** 2 * width


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_padded_sequences_are_counted_without_a_note():
    network = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 40, batch_first=True), 2)
    padded = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    network.eval()
    with torch.no_grad():
        found = counted(lambda x: network(x, src_key_padding_mask=padded), (2, 5, 16))
    assert set(found.exact) == {"_transformer_encoder_layer_fwd"}
    assert not found.unknown


def plain_lstm(network, x, h, c):
    """An LSTM of one layer by its definition."""
    outputs = []
    for each in x:
        gates = F.linear(each, network.weight_ih_l0, network.bias_ih_l0)
        gates = gates + F.linear(h, network.weight_hh_l0, network.bias_hh_l0)
        enter, keep, new, leave = gates.chunk(4, -1)
        c = keep.sigmoid() * c + enter.sigmoid() * new.tanh()
        h = leave.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch takes single products")
def test_an_lstm_counts_what_its_definition_counts():
    network = nn.LSTM(6, 10)
    x, h, c = (torch.randn(shape, requires_grad=True) for shape in ((7, 3, 6), (3, 10), (3, 10)))
    counter = FlopCounter()
    with counter.phase("forward"):
        ours, _ = network(x, (h[None], c[None]))
    with counter.phase("backward"):
        ours.sum().backward()
    with counter.phase("forward of the definition"):
        plain = plain_lstm(network, x, h, c)
    with counter.phase("backward of the definition"):
        plain.sum().backward()
    torch.testing.assert_close(ours, plain)
    for name in ("forward", "backward"):
        found = counter.of(name)
        assert found.flops == counter.of(f"{name} of the definition").flops > 0
        assert not found.unknown
    assert set(counter.of("forward").exact) == {"mkldnn_rnn_layer"}


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch takes single products")
def test_an_lstm_counts_each_layer_and_direction():
    network = nn.LSTM(6, 10, num_layers=2, bidirectional=True, batch_first=True)
    counter = FlopCounter()
    with counter.phase("it"):
        network(torch.randn(3, 7, 6))
    assert counter.of("it").flops == 2 * (2 * 3 * 7) * 4 * 10 * ((6 + 10) + (2 * 10 + 10))


# by operator: the place of the left factor among its arguments
PRODUCTS = {"aten::mm": 0, "aten::bmm": 0, "aten::addmm": 1, "aten::_addmm_activation": 1}


def products_inside(run):
    """The FLOPs of the products that torch calls inside its operators, by its own profiler."""
    with torch.profiler.profile(record_shapes=True) as profile:
        run()
    flops = 0
    for event in profile.events():
        first = PRODUCTS.get(event.name)
        if first is not None:
            left, right = event.input_shapes[first : first + 2]
            flops += 2 * math.prod(left) * right[-1]
    return flops


def test_a_bilinear_layer_counts_its_products():
    n, left, right, out = 5, 3, 4, 7
    layer = nn.Bilinear(left, right, out)
    a, b = torch.randn(n, left, requires_grad=True), torch.randn(n, right, requires_grad=True)
    forward = counted(lambda: layer(a, b))
    assert forward.flops == 2 * n * out * right * (left + 1)
    assert forward.flops == products_inside(lambda: layer(a, b))
    loss = layer(a, b).sum()
    backward = counted(lambda: loss.backward(retain_graph=True))
    assert backward.flops == 3 * 2 * n * out * left * right
    assert backward.flops == products_inside(loss.backward)
    assert not forward.unknown
    assert not backward.unknown


@pytest.mark.parametrize(
    ("function", "shape", "expected"),
    [
        # QR of n x k: 2nk^2 - 2/3 k^3, twice where Q is formed
        (torch.linalg.qr, (30, 6), 2 * (2 * 30 * 36 - 2 * 216 // 3)),
        (torch.linalg.qr, (6, 30), 2 * (2 * 30 * 36 - 2 * 216 // 3)),
        (lambda m: torch.ops.aten._linalg_eigh(m, "L", False), (6, 6), 4 * 216 // 3),
        (lambda m: torch.linalg.eigh(m @ m.T), (6, 5), 9 * 216),
        (lambda m: torch.linalg.svd(m, full_matrices=False), (30, 6), 6 * 30 * 36 + 20 * 216),
        (lambda m: torch.linalg.cholesky(m @ m.T + 9 * torch.eye(6)), (6, 6), 216 // 3),
        (lambda m: torch.linalg.inv(m + 9 * torch.eye(6)), (6, 6), 2 * 216),
        (lambda m: torch.linalg.solve_triangular(m.triu(), m, upper=True), (6, 6), 36 * 6),
        (lambda m: torch.linalg.solve(m + 9 * torch.eye(6), m), (6, 6), 2 * 216 // 3 + 2 * 216),
        (torch.linalg.qr, (4, 30, 6), 4 * 2 * (2 * 30 * 36 - 2 * 216 // 3)),
    ],
)
def test_factorisations_are_estimated_and_stay_apart(function, shape, expected):
    found = counted(function, shape)
    assert found.factorisation_flops == expected
    assert not found.unknown


def test_element_wise_work_is_counted_by_its_elements():
    found = counted(lambda x: F.layer_norm(F.gelu(x * 2), (8,)).sum(), (5, 8))
    assert found.flops == 0
    assert dict(found.elements) == {"mul": 40, "gelu": 40, "native_layer_norm": 40, "sum": 40}


@pytest.mark.parametrize(
    "function",
    [
        F.hardswish,
        F.elu,
        F.mish,
        F.softplus,
        F.hardsigmoid,
        F.logsigmoid,
        F.glu,
        nn.PReLU(),
        lambda x: F.hardswish(x * 1, inplace=True),
        lambda x: (x * 1).abs_().unsqueeze_(0),
        lambda x: F.mse_loss(x, x.detach() + 1),
        lambda x: F.smooth_l1_loss(x, x.detach() + 1),
        lambda x: F.huber_loss(x, x.detach() + 1),
        lambda x: F.binary_cross_entropy_with_logits(x, torch.ones_like(x)),
        lambda x: F.avg_pool3d(x, 2),
        lambda x: F.max_pool3d(x, 2),
        lambda x: F.interpolate(x[0], scale_factor=2),
        lambda x: F.pad(x[0], (1, 1, 1, 1), mode="reflect"),
        lambda x: x.amax(1).cummax(0)[0].std(),
        lambda x: F.grid_sample(x, torch.zeros(2, 3, 3, 2), align_corners=False),
        lambda x: F.embedding_bag(torch.tensor([[0, 1]]), x[0, 0]),
    ],
)
def test_work_without_products_is_known_forward_and_backward(function):
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    found = counted(lambda: function(x).sum().backward())
    assert not found.unknown
    assert not found.exact


@pytest.mark.parametrize("how", ["foreach", "fused"])
def test_an_optimizer_that_takes_all_weights_at_once_processes_all_of_them(how):
    weights = [torch.randn(size, requires_grad=True) for size in (5, 70, 3)]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer = torch.optim.SGD(weights, lr=0.1, **{how: True})
    found = counted(optimizer.step)
    assert not found.unknown
    assert max(found.elements.values()) == 5 + 70 + 3


def test_what_computes_nothing_is_not_counted():
    found = counted(lambda x: x.t().contiguous().view(-1)[3:].clone().zero_(), (5, 8))
    assert not found.calls


def test_an_operator_without_a_formula_is_listed():
    found = counted(torch.linalg.eigvals, (4, 4))
    assert found.flops == found.factorisation_flops == 0
    assert dict(found.unknown) == {"linalg_eig": 1}
    assert found.to_dict()["no_formula"] == {"linalg_eig": 1}
    (note,) = left_out(found, "the FLOPs of it")
    assert note == "the FLOPs of it leave out operators without a formula: linalg_eig"


def test_a_custom_operator_is_listed_too():
    @torch.library.custom_op("bench_tests::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    assert counted(twice, (3,)).unknown["twice"] == 1


def test_what_is_not_in_a_phase_is_not_counted():
    counter = FlopCounter()
    torch.mm(torch.randn(3, 3), torch.randn(3, 3))
    assert not counter.phases


def test_phases_of_a_step():
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    step = SumStep(model, torch.randn(4, 10))
    counter = FlopCounter()
    count_step(step, counter)
    first, second = 2 * 4 * 10 * 20, 2 * 4 * 20 * 5
    found = step_flops(counter)
    assert found["forward_flops"] == first + second
    assert found["backward_flops"] == first + 2 * second  # no gradient of the batch
    assert found["update_flops"] == 0
    assert found["step_flops"] == 2 * first + 3 * second
    assert "inference_flops" not in found


def test_what_compresses_is_counted_as_part_of_the_step():
    counter = FlopCounter()
    with counter.phase("forward"):
        torch.mm(torch.randn(3, 3), torch.randn(3, 3))
        with decomposition():
            torch.mm(torch.randn(2, 3), torch.randn(3, 3))
    found = step_flops(counter)
    assert found["forward_flops"] == 2 * 27 + 2 * 18
    assert found["decomposition_flops"] == 2 * 18


def test_fake_tensors_are_counted_alike():
    def both(x, w):
        w.requires_grad_()
        torch.linalg.qr(F.conv2d(x, w, padding=1, groups=2).flatten(1))[0].sum().backward()

    shapes = [(4, 4, 5, 5), (6, 2, 3, 3)]
    real = counted(both, *shapes)
    with FakeTensorMode():
        fake = counted(both, *shapes)
    assert fake == real
    assert real.flops > 0


@pytest.mark.parametrize(
    ("function", "shapes", "numbers"),
    [
        (torch.mm, [(3, 4), (4, 5)], 12 + 20 + 15),
        (F.linear, [(6, 4), (5, 4)], 24 + 20 + 30),  # the transposed weight is a view
        (torch.add, [(7,), (7,)], 3 * 7),
        (lambda x: x.add_(1.0), [(7,)], 2 * 7),  # read and written in place
        (lambda x: torch.relu(x) + x, [(7,)], (7 + 7) + (7 + 7 + 7)),
        (lambda x: x.reshape(7, 1).T[0], [(7,)], 0),
        (lambda x: torch.empty_like(x).detach(), [(7,)], 0),
        (torch.clone, [(7,)], 2 * 7),
        (lambda x: x.double(), [(7,)], 7 + 2 * 7),
        (lambda x, y: torch.cat([x, y]), [(7,), (5,)], 2 * 12),
        (lambda x, y: torch.stack([x, y]), [(7,), (7,)], 2 * 14),
        (lambda x, y: x.copy_(y), [(7,), (7,)], 2 * 7),
        (lambda x: F.pad(x, (1, 2)), [(7,)], 7 + 10),
        (lambda x: x.zero_(), [(7,)], 7),
        (torch.zeros_like, [(7,)], 7),
        (lambda x: x.index_select(0, ROWS), [(100, 4)], 2 * 2 * 4 + 2 * 2),  # two rows, two int64
        (lambda x: F.embedding(ROWS, x), [(100, 4)], 2 * 2 * 4 + 2 * 2),
        (lambda x: x[ROWS], [(100, 4)], 2 * 2 * 4 + 2 * 2),
        (lambda x: x.gather(0, ROWS[:, None]), [(100, 4)], 2 * 2 + 2 * 2),
    ],
)
def test_traffic_is_each_tensor_of_each_operator_once(function, shapes, numbers):
    assert counted(function, *shapes).traffic == 4 * numbers


@pytest.mark.parametrize("name", ["hardtanh", "hardtanh_"])
def test_work_that_an_older_torch_does_not_mark_as_pointwise_is_counted(name):
    # torch 2.10, the newest for aarch64 without CUDA, has no such tag on it: ReLU6 of every MobileNet
    unmarked = SimpleNamespace(
        namespace="aten",
        overloadpacket=SimpleNamespace(__name__=name),
        tags=(),
        _schema=SimpleNamespace(returns=()),
    )
    assert operators.kind_of.__wrapped__(unmarked) == "elements"
