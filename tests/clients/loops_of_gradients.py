"""Training loops of torch alone that take or change gradients in other ways than one backward."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tests.clients.loops import plain
from tests.clients.oracle import Loss
from tests.clients.training import RATE, Training


def in_backward(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Each parameter is updated as soon as backward has its gradient."""
    network = training.prepare()

    def update(parameter: Tensor) -> None:
        with torch.no_grad():
            parameter -= RATE * parameter.grad
        parameter.grad = None

    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(update)
    for batch in batches:
        loss(network, batch).backward()


def by_autograd_grad(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()
    trained = [p for p in network.parameters() if p.requires_grad]
    for batch in batches:
        gradients = torch.autograd.grad(loss(network, batch), trained)
        for parameter, gradient in zip(trained, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        optimizer.zero_grad()


def penalised(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A penalty on the gradient by the input, which differentiates twice."""
    network = training.prepare()
    optimizer = training.optimizer()
    for inputs, targets in batches:
        seen = inputs.clone().requires_grad_()
        value = loss(network, (seen, targets))
        (slope,) = torch.autograd.grad(value, seen, create_graph=True)
        (value + slope.square().sum()).backward()
        optimizer.step()
        optimizer.zero_grad()


def penalised_weights(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A penalty on the squares of all parameters, as a part of the loss."""

    def penalised(network: nn.Module, batch: Any) -> Tensor:
        return loss(network, batch) + 0.1 * sum(p.square().sum() for p in network.parameters())

    plain(training, batches, penalised)


def cleared_late(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Gradients are cleared between forward and backward."""
    network = training.prepare()
    optimizer = training.optimizer()
    for batch in batches:
        value = loss(network, batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()


def two_backwards(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Two losses of one forward, and a backward for each."""
    network = training.prepare()
    optimizer = training.optimizer()
    for batch in batches:
        value = loss(network, batch)
        (0.25 * value).backward(retain_graph=True)
        (0.75 * value).backward()
        optimizer.step()
        optimizer.zero_grad()


def functional(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """The loop holds the weights, and the network gets them in each call."""
    network = training.prepare()
    held = {
        name: each.detach().clone().requires_grad_(each.requires_grad)
        for name, each in network.named_parameters()
    }
    trained = {name: each for name, each in held.items() if each.requires_grad}

    def call(inputs: Tensor) -> Tensor:
        return torch.func.functional_call(network, held, inputs)

    for batch in batches:
        gradients = torch.autograd.grad(loss(call, batch), list(trained.values()))
        with torch.no_grad():
            for each, gradient in zip(trained.values(), gradients, strict=True):
                each.sub_(gradient, alpha=RATE)
    with torch.no_grad():
        for name, each in network.named_parameters():
            each.copy_(held[name])


def adversarial(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Each step trains on inputs that a first backward has made harder."""
    network = training.prepare()
    optimizer = training.optimizer()
    for inputs, targets in batches:
        seen = inputs.clone().requires_grad_()
        training.backward(network, (seen, targets), loss)
        optimizer.zero_grad()
        harder = (inputs + 0.1 * seen.grad).detach()
        training.backward(network, (harder, targets), loss)
        optimizer.step()
        optimizer.zero_grad()


def twice(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A siamese step: the network sees two batches before one backward."""
    network = training.prepare()
    optimizer = training.optimizer()
    for first, second in zip(batches, reversed(batches), strict=True):
        (loss(network, first) + loss(network, second)).backward()
        optimizer.step()
        optimizer.zero_grad()
