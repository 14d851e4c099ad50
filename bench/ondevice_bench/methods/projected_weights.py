"""The weights of a network whose gradients the optimizer projects."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.backward_update import is_updated_in_backward
from ondevice_bench.methods.foreign_updates import ForeignUpdates
from ondevice_bench.methods.method import Method
from ondevice_bench.methods.optimizer_guard import guard_update, release_update
from ondevice_bench.methods.projected_update import Projection
from ondevice_bench.methods.refusals import applies_to_none
from ondevice_bench.models.layers import LayerSelection


class ProjectedWeights:
    """The projection of each weight. `refusals` are the chosen layers that train as usual."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[nn.Module, Projection]] = {}
        self.refusals: dict[str, str] = {}
        self._checks: list[RemovableHandle] = []
        self._watched: dict[nn.Parameter, ForeignUpdates] = {}  # layers may share a weight

    @property
    def by_weight(self) -> Mapping[nn.Parameter, Projection]:
        """How the gradient of each weight is projected. A file may have brought new weights."""
        found: dict[nn.Parameter, Projection] = {}
        for name, (layer, projection) in self._layers.items():
            weight = _weight(layer)
            if weight is None:
                raise Refusal(
                    f"{name}: since treat(), other code makes its weight: it cannot be projected"
                )
            found[weight] = projection
        return found

    def project(
        self, module: nn.Module, method: Method, projection: Projection, selection: LayerSelection
    ) -> None:
        """Let the optimizer project the gradients of the chosen layers."""
        name = type(method).__name__.lower()
        reasons = {each: method.projects(module.get_submodule(each)) for each in selection.layers}
        refusals = {each: why for each, why in reasons.items() if why is not None}
        if len(refusals) == len(reasons):
            raise applies_to_none(name, refusals)
        self.refusals |= refusals
        for each in (each for each in reasons if each not in refusals):
            layer = module.get_submodule(each)
            weight = layer.get_parameter("weight")
            guard_update(weight, name)
            if weight not in self._watched:
                self._watched[weight] = ForeignUpdates(f"{name}: {each}", projection)
                self._watched[weight].watch(weight)
            check = partial(_require_own_update, name, each, self._watched[weight])
            self._checks.append(layer.register_forward_pre_hook(check))
            self._layers[f"{name}: {each}"] = layer, projection

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Note no gradient in the block: it belongs to no training step."""
        with ExitStack() as stack:
            for watched in self._watched.values():
                stack.enter_context(watched.suspended())
            yield

    def release(self) -> None:
        """Let any optimizer train the weights again."""
        for layer, _ in self._layers.values():
            weight = _weight(layer)
            if weight is not None:
                release_update(weight)
        for check in self._checks:
            check.remove()
        for watched in self._watched.values():
            watched.end()
        self._layers = {}


def _weight(layer: nn.Module) -> nn.Parameter | None:
    """The weight; None if other code makes it, or has put a tensor in its place."""
    weight = layer._parameters.get("weight")
    return weight if isinstance(weight, nn.Parameter) else None


def _require_own_update(
    method: str, name: str, watched: ForeignUpdates, layer: nn.Module, _: Any
) -> None:
    """Before a forward: a Refusal if the weight is not updated by our optimizer."""
    if torch.compiler.is_compiling():
        return
    weight = _weight(layer)
    if weight is None:
        _require_no_update(method, name, layer)
        return
    guard_update(weight, method)  # it may be a copy, or from a file
    if len(weight._post_accumulate_grad_hooks or ()) > is_updated_in_backward(weight):
        raise Refusal(
            f"{method}: {name}: a hook runs when the gradient of the weight is complete, and may "
            "update the weight. The update of the method is in the optimizer that "
            "Treatment.optimizer returns: train with that, and without the hook"
        )
    watched.check(weight)


def _require_no_update(method: str, name: str, layer: nn.Module) -> None:
    """Refuse a tensor in place of the weight if the loop can train it."""
    given = layer._parameters.get("weight")
    if given is not None and given.requires_grad and given.is_leaf and torch.is_grad_enabled():
        raise Refusal(
            f"{method}: {name}: the loop gives the layer a weight of its own "
            "(torch.func.functional_call), and may update it. The update of the method is in the "
            "optimizer that Treatment.optimizer returns: call the network without functional_call"
        )
