"""Outputs of normalisations that need not be kept: the norm makes them again from its input.

A layer norm keeps its input for its own backward. What stands behind the norm, and runs again in
backward, can start from this input. Then the output of the norm is not kept.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from ondevice_bench.methods.forward import Call, surround

_KINDS = ("LayerNorm", "RMSNorm", "RmsNorm")  # ends of the names of classes


@dataclass(frozen=True)
class _Origin:
    """How a norm made a tensor. The input is not kept alive: its author does this."""

    forward: Callable[..., Any]
    input: "weakref.ref[Tensor]"
    versions: tuple[int, int]  # of the input and of the output
    precision: tuple[bool, torch.dtype]  # of autocast

    def holds(self, x: Tensor, output: Tensor) -> bool:
        """Whether the norm would make the same output from its input now."""
        return (x._version, output._version) == self.versions and _precision(x) == self.precision


_origins: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


@dataclass(frozen=True)
class Remembering:
    """It surrounds the forward of a norm, and notes for each output where it comes from."""

    def __call__(self, call: Call) -> Any:
        """The output of the norm."""
        output = call.run()
        inputs = call.arguments
        if (
            isinstance(output, Tensor)
            and output.requires_grad
            and len(inputs) == 1
            and isinstance(inputs[0], Tensor)
            and not call.options
            and not torch.compiler.is_compiling()
        ):
            x = inputs[0]
            versions = x._version, output._version
            _origins[output] = _Origin(call.forward, weakref.ref(x), versions, _precision(x))
        return output


def remember_origins(model: nn.Module) -> Remembering:
    """Let every layer norm and RMS norm of the network note what it makes."""
    remembering = Remembering()
    for module in model.modules():
        if type(module).__name__.endswith(_KINDS) and "forward" not in vars(module):
            surround(module, remembering)
    return remembering


@dataclass(frozen=True)
class Kept:
    """What is stored for an input of a second run, and how the input is made from it again."""

    stored: Any
    again: Callable[[Any], Any]


def as_it_is(given: Any) -> Kept:
    """The input itself."""
    return Kept(given, lambda same: same)


def kept_for(given: Any) -> Kept:
    """The input of the norm that made this tensor; what is given itself if no norm did."""
    origin = _origins.get(given) if isinstance(given, Tensor) else None
    x = None if origin is None else origin.input()
    if origin is None or x is None or not origin.holds(x, given):
        return as_it_is(given)
    trains, forward = given.requires_grad, origin.forward

    def again(x: Tensor) -> Tensor:
        with torch.no_grad():  # what the norm saves for its backward is there already
            made: Tensor = forward(x)
        return made.requires_grad_(trains)

    return Kept(x, again)


def _precision(x: Tensor) -> tuple[bool, torch.dtype]:
    kind = x.device.type
    return torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
