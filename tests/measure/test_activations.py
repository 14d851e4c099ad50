"""Activation bytes against sums on paper."""

import torch
from torch import nn

from ondevice_bench.measure.activation_kinds import ModuleBytes, by_class, by_module
from ondevice_bench.measure.activations import saved_bytes, saved_storages, storage_bytes, total


class SumStep:
    """A network with a sum as its loss (which saves nothing) and everything resident named."""

    def __init__(self, model, x):
        self.model, self.x = model, x

    parts = 1

    def forward(self, part=0):
        return self.model(self.x).sum()

    def backward(self, loss):
        loss.backward()

    def update(self):
        for parameter in self.model.parameters():
            parameter.grad = None

    def packed_tensors(self):
        return iter(())

    def resident(self):
        yield from self.model.parameters()
        yield from self.model.buffers()
        yield self.x


def test_a_linear_layer_saves_only_its_input_which_is_the_batch():
    assert saved_bytes(SumStep(nn.Linear(10, 20), torch.randn(4, 10))) == 0


def test_two_layers_and_a_relu():
    # ReLU saves its output (4 x 20), which is also the next layer's input: one storage
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    assert saved_bytes(SumStep(model, torch.randn(4, 10))) == 4 * 20 * 4


def test_a_gelu_saves_its_input_and_the_next_layer_its_output():
    model = nn.Sequential(nn.Linear(10, 20), nn.GELU(), nn.Linear(20, 5))
    assert saved_bytes(SumStep(model, torch.randn(4, 10))) == 2 * 4 * 20 * 4


def test_an_element_takes_eight_bytes_in_float64():
    model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5)).double()
    assert saved_bytes(SumStep(model, torch.randn(4, 10).double())) == 4 * 20 * 8


def test_a_convolution_with_batch_norm_and_max_pooling():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 4, 1),
    )
    # conv: the batch. bn: its input, mean and inverse deviation. relu: its output, which the
    # pooling saves as its input. pooling: int64 indices. second conv: the pooled map.
    expected = (2 * 8 * 6 * 6 + 8 + 8) * 4 + 2 * 8 * 6 * 6 * 4 + 2 * 8 * 3 * 3 * (8 + 4)
    assert saved_bytes(SumStep(model, torch.randn(2, 3, 6, 6))) == expected


def test_a_view_counts_its_whole_storage_once():
    class Views(nn.Module):
        def forward(self, x):
            wide = x * 2  # saves nothing
            return wide[:, :1].exp() + wide[:, 1:2] * wide[:, 2:3]

    x = torch.randn(4, 100, requires_grad=True)
    # exp saves its own output (4 x 1); the product saves two views of `wide`: its storage, once
    assert saved_bytes(SumStep(Views(), x)) == 4 * 1 * 4 + 4 * 100 * 4


def test_what_the_graph_has_let_go_by_the_turn_does_not_count():
    class Dropped(nn.Module):
        def forward(self, x):
            (x.exp() * 3).sum()  # a branch that nothing keeps
            return x.sin()

    x = torch.randn(1000, requires_grad=True)
    assert saved_bytes(SumStep(Dropped(), x)) == 0


def test_a_custom_function_is_seen_when_it_saves_through_its_context():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x.half())
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 2 * x.float() * grad

    class Layer(nn.Module):
        def forward(self, x):
            return Square.apply(x)

    assert saved_bytes(SumStep(Layer(), torch.randn(50, requires_grad=True))) == 50 * 2


def test_gradients_are_those_of_a_step_without_hooks():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 20), nn.GELU(), nn.Linear(20, 5))
    step = SumStep(model, torch.randn(4, 10))
    step.backward(step.forward())
    plain = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    saved_bytes(step)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), plain, strict=True))


def test_storage_bytes_counts_shared_storage_once():
    x = torch.zeros(10)
    assert storage_bytes([x, x[:5], x.view(2, 5)]) == 40
    assert storage_bytes([x, torch.zeros(3, dtype=torch.int64)]) == 64
    assert storage_bytes([]) == 0


def test_what_a_method_packs_out_of_sight_counts_and_the_largest_part_is_the_figure():
    packed = torch.zeros(100)

    class Parts(SumStep):
        parts = 3

        def forward(self, part=0):
            return (self.model(self.x[: part + 1]) ** 2).sum()

        def packed_tensors(self):
            yield packed

    model = nn.Sequential(nn.Linear(10, 20))
    # the square saves its input, (part + 1) x 20
    assert saved_bytes(Parts(model, torch.randn(4, 10))) == 3 * 20 * 4 + 100 * 4


def test_modules_add_up_to_the_network_and_to_the_classes():
    model = nn.Sequential(nn.Linear(10, 20), nn.GELU(), nn.Linear(20, 5))
    saved = saved_storages(SumStep(model, torch.randn(4, 10)), model)
    modules = by_module(saved, model, {"2"})
    assert modules == {
        "1": ModuleBytes(4 * 20 * 4, "activation_functions"),
        "2": ModuleBytes(4 * 20 * 4, "treated_layers"),
    }
    assert sum(each.bytes for each in modules.values()) == total(saved)
    for name, size in by_class(saved, model, {"2"}).items():
        assert size == sum(each.bytes for each in modules.values() if each.kind == name)
