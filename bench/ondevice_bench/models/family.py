"""A family of networks: functions that make a network, fill it, and compute its loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ondevice_bench.specs.inputs import Images, Tokens
from ondevice_bench.specs.layout import ModelLayout


@dataclass(frozen=True)
class Family:
    """Functions that make a network, fill it, and compute its loss."""

    construct: Callable[..., nn.Module]
    initialise: Callable[[nn.Module, int], None]
    loss: Callable[[nn.Module, Any], Tensor]
    batch: Callable[[int, int], Any] | None = None  # only a user's network has one
    expects: Callable[[Mapping[str, Any]], Images | Tokens] | None = None  # without the classes
    layout: ModelLayout | None = None  # None: the spec's, or a guess
    module: str = ""  # of a network in an installed package, and the file of this module
    code_file: str = ""


def cross_entropy(model: nn.Module, batch: Any) -> Tensor:
    """The mean over images, positions or tokens; `batch` is `(inputs, targets)`."""
    inputs, targets = batch
    logits = logits_of(model, inputs)
    if logits.ndim == 3:  # (B, N, classes): a score for each token
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    return F.cross_entropy(logits, targets)


def logits_of(model: nn.Module, inputs: Any) -> Tensor:
    """The scores of a forward pass."""
    scores: Tensor = scores_in(model_output(model, inputs))
    return scores


def scores_in(output: Any) -> Any:
    """The scores in an output. Some networks return them in a mapping or in a record."""
    output = output["out"] if isinstance(output, Mapping) and "out" in output else output
    return getattr(output, "logits", output)


def model_output(model: nn.Module, inputs: Any) -> Any:
    """The network's output for its inputs: a tensor, several, or several by name."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)


def seeded(construct: Callable[..., nn.Module], options: Mapping[str, Any], seed: int) -> nn.Module:
    """A new network with weights from the seed. The global random state does not change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return construct(**options)
