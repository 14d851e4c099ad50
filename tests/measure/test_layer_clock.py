"""The clock of layers. Its time is a count of operators here, so that every sum is exact."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from ondevice_bench.measure import layer_clock
from ondevice_bench.measure.layer_clock import LayerClock, time_layers, time_layers_of_inference
from ondevice_bench.methods.treatment import treat
from ondevice_bench.suite.suite import Sampling
from tests.measure.test_activations import SumStep

FEW = Sampling(warmup=1, min_samples=2, max_samples=2, max_seconds=1)


class Operators(TorchDispatchMode):
    """A time that grows by one with every operator."""

    now = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.now += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def operators(monkeypatch):
    with Operators() as counted:
        fake = SimpleNamespace(perf_counter_ns=lambda: counted.now)
        monkeypatch.setattr(layer_clock, "time", fake)
        yield counted


class _Costs(torch.autograd.Function):
    """Many operators in forward, and more in backward."""

    @staticmethod
    def forward(ctx, x):
        return _many(x, 50)

    @staticmethod
    def backward(ctx, dy):
        return _many(dy, 90)


def _many(x, count):
    for _ in range(count):
        x = x + 1
    return x


class Costs(nn.Module):
    def forward(self, x):
        return _Costs.apply(x)


def alone(operators, layer, x):
    """The operators of a layer's forward and backward, without adding up gradients."""
    x = x.detach().requires_grad_()
    began = operators.now
    y = layer(x)
    turned = operators.now
    dy = torch.ones_like(y)
    start = operators.now
    trained = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    torch.autograd.grad(y, [x, *trained], dy)
    return turned - began, operators.now - start


def timed(step, layers):
    clock = LayerClock()
    with clock.on(layers):
        step.backward(step.forward())
        step.update()
    return clock


METHODS = {
    "vanilla": {},
    "gradient_filter": {},
    "hosvd": {"rank": 2},
    "asi": {"rank": 2},
    "lora": {"rank": 2},
}
# autograd adds the gradients of an input that two functions take; this belongs to neither of them
SUMS = {"lora": 1}


def convolution():
    torch.manual_seed(0)
    return nn.Conv2d(4, 4, 3, padding=1)


@pytest.mark.parametrize("method", METHODS)
def test_only_the_chosen_layers_count_each_with_its_own_functions(operators, method):
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    model = nn.Sequential(Costs(), convolution(), nn.ReLU(inplace=True), Costs(), convolution())
    treated = treat(model, method, **METHODS[method]).module
    found = timed(SumStep(treated, x), [treated[1], treated[4]])
    single = treat(nn.Sequential(convolution()), method, **METHODS[method]).module[0]
    forward, backward = alone(operators, single, x)
    assert forward > 0 < backward
    assert (found.calls, found.overlaps) == (2, False)
    assert (found.forward_ns, found.backward_ns) == (
        2 * forward,
        2 * (backward - SUMS.get(method, 0)),
    )


def test_a_linear_layer_of_several_functions_counts_all_of_them(operators):
    layer = nn.Linear(4, 4)
    x = torch.randn(2, 3, 4, requires_grad=True)
    found = timed(SumStep(nn.Sequential(Costs(), layer, Costs()), x), [layer])
    assert (found.forward_ns, found.backward_ns) == alone(operators, layer, x)


def test_a_layer_counts_each_time_that_it_is_called(operators):
    layer = convolution()
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    found = timed(SumStep(nn.Sequential(layer, nn.ReLU(), layer), x), [layer])
    forward, backward = alone(operators, layer, x)
    assert (found.forward_ns, found.backward_ns) == (2 * forward, 2 * backward)


def test_the_clock_asks_for_no_gradient_that_training_does_not_need():
    class Asked(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            return x @ weight

        @staticmethod
        def backward(ctx, dy):
            asked.append(ctx.needs_input_grad)
            return None, torch.zeros(4, 4)

    class Layer(nn.Linear):
        def forward(self, x):
            return Asked.apply(x, self.weight)

    asked, layer = [], Layer(4, 4)
    assert timed(SumStep(layer, torch.randn(2, 4)), [layer]).backward_ns > 0
    assert asked == [(False, True)]


def test_nothing_of_a_frozen_layer_before_others_counts_in_backward(operators):
    layer = convolution().requires_grad_(False)
    model = nn.Sequential(layer, convolution())
    found = timed(SumStep(model, torch.randn(2, 4, 6, 6)), [layer])
    assert found.forward_ns > 0
    assert found.backward_ns == 0


def test_a_forward_that_runs_again_inside_of_a_backward_is_noticed():
    class Checkpointed(nn.Module):
        def __init__(self, *layers):
            super().__init__()
            self.layers = nn.Sequential(*layers)

        def forward(self, x):
            return checkpoint(self.layers, x, use_reentrant=False)

    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    inside = convolution()
    found = timed(SumStep(Checkpointed(Costs(), inside), x), [inside])
    assert found.overlaps


def test_steps_are_never_shorter_than_their_layers_and_the_hooks_go_away(operators):
    layer = convolution()
    step = SumStep(nn.Sequential(Costs(), layer, nn.ReLU()), torch.randn(2, 4, 6, 6))
    step.parts = 3
    clock = LayerClock()
    found = time_layers(step, [layer], FEW, clock)
    assert len(found.samples) == 2
    assert clock.calls == 3 * len([*found.warmups, *found.samples, *found.disturbed])
    for each in found.samples:
        assert 0 < each.forward_seconds < each.seconds < each.step_seconds
        assert each.clock_seconds == 0  # it calls no operators
    assert not layer._forward_hooks
    assert not layer._forward_pre_hooks


def test_in_inference_the_forward_of_the_layers_counts_and_nothing_else(operators):
    network = nn.Sequential(Costs(), nn.Linear(3, 3), Costs(), nn.Tanh()).eval()
    x = torch.zeros(2, 3)

    class Step:
        def infer(self):
            with torch.no_grad():
                network(x)

    found = time_layers_of_inference(Step(), [network[0], network[2]], FEW, LayerClock())
    assert len(found.samples) == 2
    for each in found.samples:
        assert each.seconds == each.forward_seconds == pytest.approx(2 * 50e-9)
        assert each.backward_seconds == 0
