"""A method without effect is refused in the first step of an optimizer, before it trains.

Some methods work only if the network is called in training mode. A loop may leave the network in
evaluation mode, or call only parts of it. Then the network trains plainly, and nothing else would
say so.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary, ref

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.compressed_input import CompressedInputLayer
from ondevice_bench.methods.training_forward import TrainingForward

_SHOWN = 3


class _Expected(Protocol):
    """Something that happens in the first training step, if the method has an effect."""

    def has_happened(self) -> bool:
        """Whether it has happened."""

    def trained(self) -> Iterator[Tensor]:
        """The parameters that train without the method, if they have a gradient."""

    def reason(self) -> str:
        """Why the training is refused."""


_expected: WeakKeyDictionary[nn.Module, tuple[_Expected, ...]] = WeakKeyDictionary()


class LayersCalled:
    """At least one layer that compresses its input gets an input in training mode."""

    def __init__(self, layers: Iterable[tuple[str, CompressedInputLayer]]) -> None:
        self._layers = [(name, ref(layer)) for name, layer in layers]

    def _alive(self) -> Iterator[tuple[str, CompressedInputLayer]]:
        for name, each in self._layers:
            layer = each()
            if layer is not None:
                yield name, layer

    def has_happened(self) -> bool:
        """Whether one of the layers has had an input."""
        return any(layer.input_shape is not None for _, layer in self._alive())

    def trained(self) -> Iterator[Tensor]:
        """The weights of the layers. A bias may train as always, so it is not among them."""
        weights = (layer._parameters.get("weight") for _, layer in self._alive())
        yield from (weight for weight in weights if weight is not None)

    def reason(self) -> str:
        """The layers, and what to do."""
        names = [name or "the network itself" for name, _ in self._alive()]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return (
            f"{', '.join(names[:_SHOWN])}{more}: the network trains, but these layers saw no input "
            "in training mode, so the method has no effect: call train() on the network"
        )


class ForwardCalled:
    """The network itself is called in training mode."""

    def __init__(self, network: nn.Module, training: TrainingForward) -> None:
        self._network, self._training = ref(network), training

    def has_happened(self) -> bool:
        """Whether a call of the network was a part of a training step."""
        return self._training.has_run

    def trained(self) -> Iterator[Tensor]:
        """All parameters of the network."""
        network = self._network()
        return iter(()) if network is None else iter(network.parameters())

    def reason(self) -> str:
        """The methods, and what to do."""
        return (
            f"{' + '.join(self._training.names)}: the network trains, but was never called in "
            "training mode, so the method has no effect: call train() on the network, and call the "
            "network itself, not only parts of it"
        )


def expect(network: nn.Module, what: Sequence[_Expected]) -> None:
    """Refuse the first step of an optimizer if the network has trained without these."""
    if what:
        _expected[network] = (*_expected.get(network, ()), *what)
        _begin()


def expect_no_more(network: nn.Module, what: Sequence[_Expected]) -> None:
    """The network trains without these again. Another treatment may expect something, too."""
    left = tuple(each for each in _expected.pop(network, ()) if each not in what)
    if left:
        _expected[network] = left


def require_effect(parameters: Iterable[Tensor]) -> None:
    """Before these parameters are updated: a Refusal if they train without their method."""
    if not _expected:
        return
    updated = {id(each) for each in parameters if each.grad is not None}
    for network, expected in list(_expected.items()):
        left = tuple(each for each in expected if not each.has_happened())
        if not left:
            del _expected[network]
            continue
        for each in left:
            if any(id(parameter) in updated for parameter in each.trained()):
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
