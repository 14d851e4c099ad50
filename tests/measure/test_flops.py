"""FLOPs of single operators against sums on paper, and the separate counts."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from ondevice_bench.measure import operators
from ondevice_bench.measure.decomposition_marker import decomposition
from ondevice_bench.measure.flops import FlopCounter, count_step, step_flops
from tests.measure.test_activations import SumStep


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


def test_what_computes_nothing_is_not_counted():
    found = counted(lambda x: x.t().contiguous().view(-1)[3:].clone().zero_(), (5, 8))
    assert not found.calls


def test_an_operator_without_a_formula_is_listed():
    found = counted(torch.linalg.eigvals, (4, 4))
    assert found.flops == found.factorisation_flops == 0
    assert dict(found.unknown) == {"linalg_eig": 1}
    assert found.to_dict()["no_formula"] == {"linalg_eig": 1}


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
