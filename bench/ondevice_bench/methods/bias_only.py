"""Only biases, shifts of normalisations and the heads train. Few layers keep their input."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.batch_norm import BatchNorm, InEvaluation
from ondevice_bench.methods.compressed_input import no_plain_layer
from ondevice_bench.methods.forward import Call, Surrounding, surround, take_away
from ondevice_bench.methods.frozen_weight import convolve_frozen, freeze
from ondevice_bench.methods.method import Method, ReplacementLayer
from ondevice_bench.methods.refusals import made_by_others, require_values
from ondevice_bench.models.layers import is_in_head, layer_input
from ondevice_bench.specs.layout import ModelLayout

_PLAIN_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class WithoutInput:
    """It surrounds a convolution, and keeps none of its input if its weight is frozen."""

    def __call__(self, call: Call) -> Any:
        """The output of the convolution."""
        layer, x = call.module, layer_input(call.arguments, call.options)
        assert isinstance(layer, nn.Conv2d)
        if x.ndim != 4 or layer.weight.requires_grad or not torch.is_grad_enabled():
            return call.run()
        return convolve_frozen(layer, x, layer.weight, layer.bias)


class BiasOnly(Method):
    """Freezes all other parameters. A parameter that was frozen before stays frozen."""

    trains_shifts = True
    freezes = True

    def __init__(self) -> None:
        self._frozen: tuple[str, ...] = ()
        self._check: RemovableHandle | None = None
        self._left_out: tuple[str, ...] = ()
        self._of_convolutions: Surrounding = WithoutInput()
        self._of_norms: dict[tuple[bool, bool], Surrounding] = {
            (is_plain, has_means): InEvaluation(has_means, is_plain)
            for is_plain in (True, False)
            for has_means in (True, False)
        }

    def leave_out(self, layers: Sequence[str]) -> None:
        """These layers train as another method wants."""
        self._left_out = tuple(layers)

    def wrap(self, model: nn.Module, layout: ModelLayout) -> None:
        """Freeze weights, and let batch-norms and convolutions compute as frozen layers.

        A forward with which other code has replaced the module's own stays as it is.
        """
        require_values(model, "bias_only")
        left_out = [model.get_submodule(name) for name in self._left_out]
        others = {id(module) for layer in left_out for module in layer.modules()}
        for name, module in model.named_modules():
            if isinstance(module, ReplacementLayer) and id(module) not in others:
                raise Refusal(
                    f"bias_only freezes the weights that the other method is for ({name}): compose "
                    "it with methods that replace no layers"
                )
        _require_head(model, layout)
        trained_whole = {id(each) for layer in left_out for each in layer.parameters()}
        trained_whole |= {
            id(parameter)
            for name, parameter in model.named_parameters(remove_duplicate=False)
            if is_in_head(name, layout)
        }
        trained = {n: each for n, each in model.named_parameters() if each.requires_grad}
        frozen = {
            name: parameter
            for name, parameter in trained.items()
            if id(parameter) not in trained_whole and not _is_bias(name, parameter)
        }
        if len(frozen) == len(trained):
            raise Refusal("bias_only: this network has no bias and no head that could train")
        self._frozen = tuple(frozen)
        for parameter in frozen.values():
            freeze(parameter)
        check = partial(_require_frozen, tuple(_place(model, name) for name in frozen))
        self._check = model.register_forward_pre_hook(check)
        for module in list(model.modules()):
            if "forward" not in vars(module) and id(module) not in others:
                surrounding = self._surrounding(module)
                if surrounding is not None:
                    surround(module, surrounding)

    def require_unwrappable(self, model: nn.Module) -> None:
        """A Refusal if other code makes a weight from parameters that would stay frozen."""
        modules = dict(model.named_modules())
        for name in self._frozen:
            owner, _, own = name.rpartition(".")
            module = modules.get(owner)
            if hasattr(module, own) and module is not None and own not in module._parameters:
                raise made_by_others(owner, own)

    def unwrap(self, model: nn.Module) -> None:
        """Let all parameters train that did before. Other code may have taken some away."""
        if self._check is not None:
            self._check.remove()
        for module in model.modules():
            for each in (self._of_convolutions, *self._of_norms.values()):
                take_away(module, each)
        parameters = dict(model.named_parameters())
        for name in self._frozen:
            if name in parameters:
                parameters[name].requires_grad_(True)
        self._frozen = ()

    def _surrounding(self, module: nn.Module) -> Surrounding | None:
        """What the forward of this module needs around it."""
        if isinstance(module, BatchNorm):
            return self._of_norms[type(module) in _PLAIN_NORMS, module.momentum is None]
        if (
            isinstance(module, nn.Conv2d)
            and no_plain_layer(module, nn.Conv2d) is None
            and module.weight.is_floating_point()  # a complex one has another derivative
        ):
            return self._of_convolutions
        return None


def _require_frozen(frozen: Sequence[tuple[nn.Module, str]], _: nn.Module, __: Any) -> None:
    """Before a forward: a Refusal if other code has unfrozen them, as `requires_grad_()` does.

    A call of `functional_call` or a file may have put others in their places.
    """
    found = (module._parameters.get(name) for module, name in frozen)
    if torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in found):
        raise Refusal(
            "bias_only: other code lets parameters train that the method has frozen: leave their "
            "`requires_grad` as it is, or call merge()"
        )


def _place(network: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that has the parameter, and its own name for it."""
    owner, _, own = name.rpartition(".")
    return network.get_submodule(owner), own


def _require_head(model: nn.Module, layout: ModelLayout) -> None:
    if not layout.head:
        raise Refusal(
            "bias_only trains the head, and this network declares none: name it, as in "
            "`layout=ModelLayout(head='fc')` of ondevice_bench.specs.layout"
        )
    try:
        model.get_submodule(layout.head)
    except AttributeError:
        raise Refusal(
            f"bias_only trains the head, but the network has no module {layout.head!r}, which its "
            "layout names as the head"
        ) from None


def _is_bias(name: str, parameter: nn.Parameter) -> bool:
    """Whether it is a bias, or the shift of a normalisation: both have `bias` in their name.

    A table of biases, as of relative positions, is a weight.
    """
    own = re.sub(r"\.original\d*$", "", name).rpartition(".")[2]
    return parameter.ndim <= 1 and "bias" in own.split("_")
