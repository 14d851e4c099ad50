"""A method without effect is refused in the first step of an optimizer, before it trains.

Some methods work only if the network is called in training mode. A loop may leave the network in
evaluation mode, or call only parts of it. Then the network trains plainly, and nothing else would
say so. What is expected of a network belongs to the network, so a copy expects the same.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ondevice_bench.errors import Refusal

_SHOWN = 3


class Expected(Protocol):
    """Something that happens in the first training step, if the method has an effect."""

    def has_happened(self) -> bool:
        """Whether it has happened."""

    def trained(self) -> Iterator[Tensor]:
        """The parameters that train without the method, if they have a gradient."""

    def reason(self) -> str:
        """Why the training is refused."""


_expected: "WeakSet[Expected]" = WeakSet()


class LayersCalled:
    """At least one layer that compresses its input gets an input in training mode.

    The layers of a treatment hold it. A copy of them has one of its own.
    """

    def __init__(self) -> None:
        self.is_called = False
        self._layers: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        """A copy has other layers, which it gets to know when they are called."""
        return {"is_called": False}

    def __setstate__(self, _: dict[str, Any]) -> None:
        LayersCalled.__init__(self)

    def expect_of(self, layer: nn.Module, name: str) -> None:
        """Expect it of this layer, too."""
        if not torch.compiler.is_compiling() and layer not in self._layers:
            self._layers[layer] = name
            expect(self)

    def has_happened(self) -> bool:
        """Whether one of the layers has had an input."""
        return self.is_called

    def trained(self) -> Iterator[Tensor]:
        """The weights of the layers. A bias may train as always, so it is not among them."""
        weights = (layer._parameters.get("weight") for layer in list(self._layers))
        yield from (weight for weight in weights if weight is not None)

    def reason(self) -> str:
        """The layers, and what to do."""
        names = list(self._layers.values())
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return (
            f"{', '.join(names[:_SHOWN])}{more}: the network trains, but these layers saw no input "
            "in training mode, so the method has no effect: call train() on the network"
        )


def expect(what: Expected) -> None:
    """Refuse the first step of an optimizer if a network has trained without this."""
    _expected.add(what)
    _begin()


def expect_no_more(what: Expected) -> None:
    """The network trains without this again."""
    _expected.discard(what)


def require_effect(parameters: Iterable[Tensor]) -> None:
    """Before these parameters are updated: a Refusal if they train without their method."""
    if not _expected:
        return
    updated = {id(each) for each in parameters if each.grad is not None}
    for each in list(_expected):
        if each.has_happened():
            _expected.discard(each)
        elif any(id(parameter) in updated for parameter in each.trained()):
            raise Refusal(each.reason())


@functools.cache
def _begin() -> None:
    register_optimizer_step_pre_hook(_check)


def _check(optimizer: Optimizer, arguments: Any, options: Any) -> Any:
    """Before a step, or after its closure has made the gradients."""
    closure = arguments[1] if len(arguments) > 1 else options.get("closure")
    if not _expected or closure is None:
        require_effect(_held(optimizer))
        return None

    @functools.wraps(closure)
    def checked() -> Any:
        loss = closure()
        require_effect(_held(optimizer))
        return loss

    if "closure" in options:
        return arguments, {**options, "closure": checked}
    return (arguments[0], checked, *arguments[2:]), options


def _held(optimizer: Optimizer) -> Iterator[Tensor]:
    return (each for group in optimizer.param_groups for each in group["params"])
