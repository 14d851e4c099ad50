"""One layer as a network: its gradients, bytes and FLOPs, against autograd and sums on paper."""

import pytest
import torch
from torch import nn

from ondevice_bench.data.batch import make
from ondevice_bench.models import single_layer
from ondevice_bench.specs import registry
from ondevice_bench.specs.data import DataSource
from ondevice_bench.suite.cell import Train
from ondevice_bench.worker.passes import trace
from ondevice_bench.worker.workload import build

CONV = "conv2d(4, 6, 3, stride=2, padding=1, groups=2) at 7x8"
LINEAR = "linear(5, 3) at 4"
METHODS = {
    "gradient_filter": (),
    "svd": (("rank", 2),),
    "hosvd": (("rank", 2),),
    "asi": (("rank", 2),),
    "lora": (("rank", 2),),
    "lora_fa": (("rank", 2),),
    "microbatch": (("slices", 2),),
    "saved_bf16": (),
    "update_in_backward": (),
}


def network(name):
    spec = registry.model(name)
    return single_layer.construct(**spec.fixed), spec.inputs({})


@pytest.mark.parametrize("name", [CONV, LINEAR])
def test_shapes_are_those_of_torch(name):
    model, tensors = network(name)
    output = model.layer(torch.zeros(2, *tensors.input))
    assert tuple(output.shape) == (2, *tensors.output)


@pytest.mark.parametrize("name", [CONV, LINEAR])
def test_the_gradients_are_those_of_the_layer_alone(name):
    model, tensors = network(name)
    model.double()
    x = torch.randn(3, *tensors.input, dtype=torch.float64)
    factors = torch.randn(3, *tensors.output, dtype=torch.float64)
    y = model.layer(x)
    expected = torch.autograd.grad(y, list(model.parameters()), factors / 3)
    loss = single_layer.loss(model, (x, factors))
    assert loss.item() == pytest.approx((y * factors).sum().item() / 3)
    loss.backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert x.grad is None


def test_the_batch_is_dense_noise_of_both_shapes():
    _, tensors = network(CONV)
    arrays = make(DataSource(), tensors, 2, "a seed")
    assert arrays["inputs"].shape == (2, 4, 7, 8)
    assert arrays["targets"].shape == (2, 6, 4, 4)
    assert len(set(arrays["targets"].flat)) == arrays["targets"].size
    smooth = make(DataSource(decay=1.0), tensors, 2, "a seed")
    assert smooth["targets"].shape == arrays["targets"].shape
    assert DataSource("photos").refuses(tensors) == (
        "data: photos has no inputs of a single layer; use synthetic"
    )


@pytest.mark.parametrize("name", [CONV, LINEAR])
def test_the_input_is_an_activation_and_its_gradient_is_computed(make_job, name):
    found = trace.measure(make_job("trace", name, model_options={}, batch=3)).metrics
    model, tensors = network(name)
    x, y = (3 * torch.Size(shape).numel() for shape in (tensors.input, tensors.output))
    assert found["activation_bytes"] == found["activation_allocated_bytes"] == 4 * x
    products = 2 * y * model.layer.weight[0].numel()  # of one of forward, dX and dW
    assert found["forward_flops"] == products + 2 * y  # the loss is a product, too
    assert found["backward_flops"] == 2 * products
    assert found["batch_bytes"] == 4 * (x + y)


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_method_trains_it(make_job, method):
    job = make_job(
        "time",
        "conv2d(4, 6, 3, padding=1) at 8x8",
        model_options={},
        batch=4,
        method=method,
        method_options=METHODS[method],
        train=Train(clip=None),
    )
    workload = build(job)
    before = [parameter.detach().clone() for parameter in workload.trained]
    workload.step()
    after = workload.trained
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_evaluation_is_the_layer_alone():
    model, tensors = network(LINEAR)
    x = torch.randn(2, *tensors.input)
    with torch.no_grad():
        assert torch.equal(model.eval()(x), model.layer(x))
    assert isinstance(model.layer, nn.Linear)
