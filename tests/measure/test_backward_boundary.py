"""Activation bytes at the boundary of forward and backward, against closed formulas."""

import gc

import pytest
import torch
from torch import nn
from torch.autograd import grad  # as a file does that was imported before a step is measured
from torch.utils.checkpoint import checkpoint

from ondevice_bench.measure.backward_boundary import (
    allocated_bytes_at_boundaries,
    saved_bytes_at_boundaries,
)

BATCH, WIDE, OUT = 16, 64, 8
HIDDEN = BATCH * WIDE * 4  # bytes of the ReLU's result, which the second linear saves too


@pytest.fixture(scope="module", autouse=True)
def few_objects():
    """Each look for tensors is at what these tests make, not at all that earlier ones left."""
    gc.collect()
    gc.freeze()


class Step:
    """`sum(second(relu(first(x))))`: the sum saves nothing, weights and batch are resident."""

    def __init__(self, wrap=lambda part, x: part(x), parts=1):
        self.wrap, self.parts = wrap, parts
        self.first = nn.Sequential(nn.Linear(32, WIDE), nn.ReLU())
        self.second = nn.Linear(WIDE, OUT)
        both = nn.ModuleList([self.first, self.second])
        self.optimizer = torch.optim.SGD(both.parameters(), lr=0.1, momentum=0.9)
        self.batch = torch.randn(BATCH * parts, 32, requires_grad=False)

    def __call__(self):
        for part in self.batch.chunk(self.parts):
            self.second(self.wrap(self.first, part)).sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def test_what_backward_needs_is_counted_once_without_what_is_resident():
    step = Step()
    step()
    assert saved_bytes_at_boundaries(step) == [HIDDEN]
    assert allocated_bytes_at_boundaries(step) == [HIDDEN]


def test_gradients_that_a_step_clears_first_hide_nothing():
    step = Step()

    def clears_first():
        step.optimizer.zero_grad()
        step.second(step.first(step.batch)).sum().backward()
        step.optimizer.step()

    for _ in range(3):  # what takes the place of what is decided by the allocator
        clears_first()
        assert saved_bytes_at_boundaries(clears_first) == [HIDDEN]
        assert allocated_bytes_at_boundaries(clears_first) == [HIDDEN]


def test_each_part_of_a_step_that_accumulates_has_a_turn():
    step = Step(parts=3)
    assert saved_bytes_at_boundaries(step) == [HIDDEN] * 3
    # a part's loss is released within the next one
    assert allocated_bytes_at_boundaries(step) == [HIDDEN, HIDDEN - 4, HIDDEN - 4]


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_a_checkpoint_drops_is_not_kept(reentrant):
    def wrap(part, x):
        return checkpoint(part, x.requires_grad_(), use_reentrant=reentrant)

    step = Step(wrap)
    step()
    # the checkpoint's result is saved by the linear after it; what lies within is dropped
    assert saved_bytes_at_boundaries(step) == [HIDDEN]


def test_what_hooks_of_the_step_itself_keep_is_seen_by_the_allocator_alone():
    def copied(part, x):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t + 0, lambda t: t):
            return part(x)

    step = Step(copied)
    step()
    (saved,), (allocated,) = saved_bytes_at_boundaries(step), allocated_bytes_at_boundaries(step)
    assert saved < allocated


def test_a_step_without_backward_has_no_turn():
    def step():
        torch.ones(3) + 1

    assert saved_bytes_at_boundaries(step) == []
    assert allocated_bytes_at_boundaries(step) == []


def test_grad_is_a_turn_too_and_autograd_is_left_as_it_was():
    step = Step()
    weight = step.second.weight
    before = torch.autograd.backward, torch.autograd.grad

    def call():
        torch.autograd.grad(step.second(step.first(step.batch)).sum(), [weight])

    assert saved_bytes_at_boundaries(call) == [HIDDEN]

    def broken():
        raise ValueError

    with pytest.raises(ValueError):
        saved_bytes_at_boundaries(broken)
    assert (torch.autograd.backward, torch.autograd.grad) == before


@pytest.mark.parametrize(
    "backward",
    [
        lambda loss, weight: torch.autograd.backward(tensors=loss, inputs=[weight]),
        lambda loss, weight: torch.autograd.grad(inputs=[weight], outputs=loss),
        lambda loss, weight: grad(loss, [weight]),
        lambda loss, weight: grad(inputs=[weight], outputs=[loss]),
    ],
)
def test_each_way_to_call_backward_is_seen(backward):
    step = Step()

    def call():
        backward(step.second(step.first(step.batch)).sum(), step.second.weight)

    assert saved_bytes_at_boundaries(call) == [HIDDEN]
    (allocated,) = allocated_bytes_at_boundaries(call)
    assert allocated - HIDDEN in (0, 4)  # the gradient of the loss, if only the engine is seen
