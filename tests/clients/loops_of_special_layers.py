"""Plain training of a network with a layer that its author has changed before."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune

from tests.clients.loops import plain
from tests.clients.oracle import Loss
from tests.clients.training import State, Training


def frozen(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """The author trains the head and the last convolution alone."""
    network = training.network
    network.requires_grad_(False)
    network.head.requires_grad_()
    network.stem[-1].requires_grad_()
    plain(training, batches, loss)


def with_forward_hook(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    training.network.head.register_forward_hook(lambda _, inputs, output: 2 * output)
    plain(training, batches, loss)


def with_backward_hook(training: Training, batches: Sequence[Any], loss: Loss) -> State:
    seen = []
    training.network.head.register_full_backward_hook(lambda *a: seen.append(a[2][0].clone()))
    plain(training, batches, loss)
    return {"gradients in the hook": torch.cat(seen) if seen else torch.empty(0)}


def with_weight_hook(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A hook on a weight, which halves its gradient."""
    training.network.head.weight.register_hook(lambda gradient: gradient / 2)
    plain(training, batches, loss)


def pruned(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    prune.l1_unstructured(training.network.head, "weight", 0.5)
    plain(training, batches, loss)


def weight_norm(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    nn.utils.weight_norm(training.network.head)
    plain(training, batches, loss)


def parametrized(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    nn.utils.parametrizations.orthogonal(training.network.blocks[0].mlp[0])
    plain(training, batches, loss)


def spectral_norm(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    nn.utils.spectral_norm(training.network.head)
    plain(training, batches, loss)
