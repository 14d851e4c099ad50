"""Applying methods to a network: the layers, their ranks, and a report."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.data import nested
from ondevice_bench.errors import Refusal
from ondevice_bench.methods import calibration
from ondevice_bench.methods.carry_over import carry_back
from ondevice_bench.methods.forward import restore, surround
from ondevice_bench.methods.layer_flops import LayerFlops
from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.methods.make_method import make_method
from ondevice_bench.methods.method import (
    LayerMethod,
    Method,
    ReplacementLayer,
    activation_ranks,
    select_modes,
)
from ondevice_bench.methods.optimizer import (
    TrainingOptimizer,
    begin_backward_updates,
    make_optimizer,
)
from ondevice_bench.methods.optimizer_guard import guard_update, release, release_update
from ondevice_bench.methods.packed_saves import PackedSaves
from ondevice_bench.methods.projected_update import Projection
from ondevice_bench.methods.ranks import RankChoice, RankRules, Ranks
from ondevice_bench.methods.refusals import (
    NOT_IN_TABLE,
    applies_to_none,
    of_no_known_kind,
    shared_weights,
    why_not,
)
from ondevice_bench.methods.replacement import Replacement, put, replaced
from ondevice_bench.methods.stored_size import stored_size
from ondevice_bench.methods.tensors import has_content
from ondevice_bench.methods.training_forward import TrainingForward
from ondevice_bench.models.family import cross_entropy
from ondevice_bench.models.layers import LayerSelection, guessed_layout, select_layers
from ondevice_bench.specs import trained
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.specs.rank_rules import ACTIVATION

_WHY_NOT_CALLED = (
    "because the network reads their weights itself, does not use them, or has frozen them"
)
_SHOWN = 3


@dataclass(frozen=True)
class LayerReport:
    """The report on one layer; its shape, sizes and FLOPs are None before the first forward."""

    name: str
    ranks: Ranks
    shape: tuple[int, ...] | None = None
    elements: int | None = None  # of all stored tensors, of whatever type
    stored_bytes: int | None = None
    input_bytes: int | None = None  # of the whole input
    flops: LayerFlops | None = None  # None also if the method has no formulas

    @property
    def is_called(self) -> bool:
        """Whether the layer has seen an input in training. If not, the method changed nothing."""
        return self.shape is not None


class Treatment:
    """A network with its methods, and all that its training step needs of them."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.slices = 1
        self._projections: dict[nn.Parameter, Projection] = {}
        self._is_last_part = True  # of the batch that is cut into slices
        self._methods: list[Method] = []
        self._training = TrainingForward(())
        self._replacements: dict[str, Replacement] = {}
        self._refusals: dict[str, str] = {}

    def _repr_html_(self) -> str:
        from ondevice_bench.notebook import html_table  # workers never need it

        rows = (
            (
                layer.name,
                " × ".join(map(str, layer.ranks.activation)),
                layer.ranks.weight,
                layer.elements,
                "" if layer.is_called else "no input yet",
            )
            for layer in self.report()
        )
        unchanged = ((name, "", "", "", reason) for name, reason in self.refusals.items())
        titles = ("layer", "ranks of inputs", "rank of the weight", "stored elements", "")
        names = " + ".join(type(method).__name__ for method in self._methods)
        return html_table(f"{type(self.module).__name__}, {names}", titles, (*rows, *unchanged))

    @property
    def refusals(self) -> Mapping[str, str]:
        """Chosen layers that the method left unchanged, with the reason.

        Modules with a matrix as weight are among them, if no method treats their kind.
        """
        return self._refusals

    def report(self) -> tuple[LayerReport, ...]:
        """Every replaced layer: its ranks, and the size of what it stores by definition."""
        return tuple(
            self._report(name, replacement) for name, replacement in self._replacements.items()
        )

    def trained_weight(self, name: str) -> nn.Parameter | None:
        """The weight of that layer, if it trains as one parameter; None if not.

        In a replaced layer it may be anywhere, for example in the plain layer that the new one
        holds.
        """
        replacement = self._replacements.get(name)
        held = "weight" if replacement is None else replacement.weight
        parameters = dict(self.module.get_submodule(name).named_parameters())
        weight = None if held is None else parameters.get(held)
        return weight if weight is not None and weight.requires_grad else None

    @property
    def trains_shifts(self) -> bool:
        """Whether the shift of a batch-norm trains even where a suite freezes batch-norm."""
        return any(method.trains_shifts for method in self._methods)

    @property
    def has_one_method(self) -> bool:
        """Whether no other method is composed with it."""
        return len(self._methods) == 1

    @property
    def updates_in_backward(self) -> bool:
        """Whether backward updates each parameter, and frees its gradient."""
        return any(method.updates_in_backward for method in self._methods)

    @property
    def not_called(self) -> tuple[str, ...]:
        """The replaced layers that have seen no input in training so far."""
        return tuple(
            name
            for name, replacement in self._replacements.items()
            if replacement.layer.input_shape is None
        )

    def require_calls(self) -> None:
        """After a step: a Refusal if it called none of the replaced layers."""
        names = self.not_called
        if names and len(names) == len(self._replacements):
            raise Refusal(
                f"no changed layer saw an input in training, {self._why_not_called}: "
                f"{_listed(names)}"
            )

    def notes(self) -> list[str]:
        """After some steps: what a reader of their numbers must know."""
        notes = [note for method in self._methods for note in method.notes()]
        if names := self.not_called:
            count = f"{len(names)} of {len(self._replacements)} changed layers"
            why = f"saw no input in training, {self._why_not_called}"
            notes.append(f"{count} {why}: {_listed(names)}")
        return notes

    @property
    def _why_not_called(self) -> str:
        """The possible reasons."""
        more = {method.passes_over for method in self.layer_methods() if method.passes_over}
        return ", or because ".join((_WHY_NOT_CALLED, *sorted(more)))

    def layer_methods(self) -> tuple[LayerMethod, ...]:
        """The methods that replaced layers, one for each layer."""
        return tuple(replacement.method for replacement in self._replacements.values())

    def ranks(self) -> dict[str, Ranks]:
        """The ranks of every layer that has any. Activations have ranks after the first forward."""
        ranks = {name: _ranks(replacement) for name, replacement in self._replacements.items()}
        return {name: each for name, each in ranks.items() if each != Ranks()}

    def calibrate(
        self,
        batch: Any,
        loss: Callable[[nn.Module, Any], Tensor] = cross_entropy,
    ) -> dict[str, Ranks]:
        """Choose ranks on `(inputs, targets)`, or on inputs if no gradient is needed.

        Some methods keep bases of this batch, too.
        `loss(model, batch)` is needed if ranks depend on gradients.
        """
        layers = {
            name: calibration.LayerCalibration(
                replacement.layer, replacement.plain, replacement.method, replacement.choice
            )
            for name, replacement in self._replacements.items()
            if replacement.choice.rule is not None and replacement.choice.rule.kind != trained.RULE
        }
        with self._outside_of_training():
            calibration.calibrate(self.module, layers, batch, loss)
        self.keep_calibration(batch, loss)
        return self.ranks()

    @property
    def keeps_calibration(self) -> bool:
        """Whether a layer trains with something of the calibration batch, besides ranks."""
        return any(method.keeps_calibration for method in self.layer_methods())

    def keep_calibration(
        self, batch: Any, loss: Callable[[nn.Module, Any], Tensor] = cross_entropy
    ) -> None:
        """Give layers what they need of the calibration batch. Their ranks are known."""
        layers = [each.layer for each in self._replacements.values()]
        if self.keeps_calibration:
            with self._outside_of_training():
                calibration.keep(self.module, layers, batch, loss)

    @contextmanager
    def _outside_of_training(self) -> Iterator[None]:
        """Run the network without methods, and leave its statistics and the generator alone."""
        with (
            self._training.suspended(),
            _buffers_unchanged(self.module),
            torch.random.fork_rng(devices=[]),
        ):
            yield

    def optimizer(
        self,
        lr: float,
        weight_decay: float = 0.0,
        clip: float | None = None,
        momentum: float = 0.0,
        accumulate: int = 1,
        kind: str = "sgd",
    ) -> TrainingOptimizer:
        """One optimizer for all trained parameters and factors.

        `accumulate` is the number of backward passes whose gradients the loop adds up. `kind` is
        `sgd` or `adamw`. AdamW trains factors with `update: factors` only.
        """
        layers = [layer for layer in self.module.modules() if isinstance(layer, LowRankLayer)]
        for layer in layers:
            if layer.pending is not None:
                layer.pending.accumulates = max(accumulate, self.slices)
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        optimizer = make_optimizer(
            kind,
            parameters,
            layers,
            lr=lr,
            weight_decay=weight_decay,
            clip=clip,
            momentum=momentum,
        )
        optimizer.projections = self._projections
        if self.updates_in_backward:
            begin_backward_updates(optimizer, layers, accumulate, lambda: self._is_last_part)
        return optimizer

    def merge(self) -> nn.Module:
        """The network with plain layers again, in place."""
        restore(self.module, TrainingForward)
        for replacement in self._replacements.values():
            layer, merged = replacement.layer, replacement.layer.merge()
            for parameter in merged.parameters():
                release(parameter)
            carry_back(layer, merged, replacement.carried)
            self.module = put(self.module, layer, merged)
        for method in self._methods:
            method.unwrap(self.module)
        for weight in self._projections:
            release_update(weight)
        self._replacements = {}
        return self.module

    def backward(
        self, batch: Any, loss: Callable[[nn.Module, Any], Tensor] = cross_entropy
    ) -> Tensor:
        """Add the gradients of the mean loss on the batch, and return this loss.

        `loss(model, batch)` must be a mean over the examples of the batch. If the method cuts the
        batch into slices, they run one after the other. Each tensor of the batch has the examples
        in its first dimension.
        """
        total = torch.zeros(())
        for part in range(self.parts(batch)):
            share = self.share_of_loss(batch, loss, part)
            share.backward()
            total = total + share.detach()
        return total

    def parts(self, batch: Any) -> int:
        """The number of slices of this batch. None of them is empty, unless the batch is."""
        return max(1, min(self.slices, _examples(batch))) if self.slices > 1 else 1

    def share_of_loss(
        self, batch: Any, loss: Callable[[nn.Module, Any], Tensor], part: int = 0
    ) -> Tensor:
        """Run the forward of one part, and weigh its mean loss by its share of the batch.

        The network and the loss run in the contexts of the methods.
        """
        parts = self.parts(batch)
        self._is_last_part = part == parts - 1
        with self._training.entered(self.module):
            if parts == 1:
                return loss(self.module, batch)
            cut = nested.mapped(batch, lambda whole: whole.tensor_split(parts)[part])
            return loss(self.module, cut) * (_examples(cut) / _examples(batch))

    def packed_tensors(self) -> Iterator[Tensor]:
        """Tensors that are alive for backward, but hidden from saved-tensor hooks."""
        for method in self._methods:
            yield from method.packed_tensors()

    def gradients(self) -> Iterator[Tensor]:
        """The gradients of factored weights, which no parameter has."""
        for layer in self.module.modules():
            if isinstance(layer, LowRankLayer) and layer.gradient is not None:
                yield from layer.gradient.tensors()

    def state(self) -> Iterator[Tensor]:
        """Tensors besides parameters that layers need in the next step."""
        for layer in self.module.modules():
            if isinstance(layer, ReplacementLayer):
                yield from layer.state()

    def apply(
        self,
        method: Method,
        selection: LayerSelection,
        layout: ModelLayout,
        rules: RankRules,
        ranks: Mapping[str, Ranks],
        seed: int,
    ) -> None:
        """Apply one method to the selected layers."""
        if isinstance(method, LayerMethod):
            self._replace(method, selection, rules, ranks, seed)
        elif method.projection is not None:
            self._project(method, method.projection, selection)
        if isinstance(method, PackedSaves) and any(
            isinstance(each, PackedSaves) for each in self._methods
        ):
            raise ValueError("two methods that pack saved tensors cannot be composed")
        method.wrap(self.module, layout)
        self._methods.append(method)
        self.slices = max(self.slices, method.slices)

    def surround(self) -> None:
        """After the last method: let training calls of the network run as the methods want."""
        self._training = TrainingForward(self._methods)
        if self._training.is_needed:
            surround(self.module, self._training)

    def _replace(
        self,
        method: LayerMethod,
        selection: LayerSelection,
        rules: RankRules,
        ranks: Mapping[str, Ranks],
        seed: int,
    ) -> None:
        if self._replacements:
            raise ValueError("two methods that replace layers cannot be composed")
        names = selection.layers
        shared = {} if method.keeps_weight else shared_weights(self.module)
        reasons = {
            name: shared.get(name) or why_not(method, self.module.get_submodule(name))
            for name in names
        }
        if any(rule and rule.kind == trained.RULE for rule in (rules.activation, rules.weight)):
            ranks = {name: select_modes(method, each) for name, each in ranks.items()}
            reasons |= {name: NOT_IN_TABLE for name in names if name not in ranks}
        reasons |= of_no_known_kind(self.module, selection.others)
        self._refusals = {name: why for name, why in reasons.items() if why is not None}
        if len(self._refusals) == len(reasons):
            raise applies_to_none(type(method).__name__, self._refusals)
        for name in (name for name, why in reasons.items() if why is None):
            plain, shown = self.module.get_submodule(name), name or "the layer"
            choice = RankChoice(shown, rules, ranks.get(name), seed)
            replacement = replaced(method, plain, choice, shown)
            self.module = put(self.module, plain, replacement.layer)
            self._replacements[name] = replacement

    def _project(self, method: Method, projection: Projection, selection: LayerSelection) -> None:
        """Let the optimizer project the gradients of the chosen layers."""
        name = type(method).__name__.lower()
        reasons = {
            each: method.projects(self.module.get_submodule(each)) for each in selection.layers
        }
        refusals = {each: why for each, why in reasons.items() if why is not None}
        if len(refusals) == len(reasons):
            raise applies_to_none(name, refusals)
        self._refusals = {**self._refusals, **refusals}
        for each in (each for each in reasons if each not in refusals):
            weight = self.module.get_submodule(each).get_parameter("weight")
            guard_update(weight, name)
            self._projections[weight] = projection

    def _report(self, name: str, replacement: Replacement) -> LayerReport:
        shape, ranks = replacement.layer.input_shape, _ranks(replacement)
        if shape is None:
            return LayerReport(name, ranks)
        method, plain = replacement.method, replacement.plain
        dtype = plain.get_parameter("weight").dtype
        size = stored_size(method.stored(plain, shape, ranks.activation), dtype)
        return LayerReport(
            name,
            ranks,
            shape,
            elements=size.elements,
            stored_bytes=size.bytes,
            input_bytes=math.prod(shape) * dtype.itemsize,
            flops=method.flops(plain, shape, ranks),
        )


def treat(
    module: nn.Module,
    method: "str | Sequence[tuple[str, Mapping[str, Any]]]",
    layers: str = "all",
    *,
    layout: ModelLayout | None = None,
    ranks: Mapping[str, Ranks] | None = None,
    seed: int = 0,
    **options: Any,
) -> Treatment:
    """Apply a method to the chosen layers of `module`, in place.

    `method` is a name, a path such as `./mine.py:Mine`, or a list of `(name, options)` to compose.
    """
    parts = [(method, options)] if isinstance(method, str) else list(method)
    methods = [make_method(name, values) for name, values in parts]
    layout = layout or guessed_layout(module)
    selection = select_layers(module, layers, layout)
    parameters = dict(module.named_parameters())
    for name in selection.frozen:
        parameters[name].requires_grad_(False)
    treatment = Treatment(module)
    # a method that wraps modules finds the layers that stay
    for part, rules in sorted(methods, key=lambda each: not isinstance(each[0], LayerMethod)):
        treatment.apply(part, selection, layout, rules, ranks or {}, seed)
    treatment.surround()
    return treatment


@contextmanager
def _buffers_unchanged(module: nn.Module) -> Iterator[None]:
    """After the block, all buffers are as before: statistics, and vectors of a spectral norm."""
    held = [
        (owner, name, buffer, buffer.clone())
        for owner in module.modules()
        for name, buffer in owner._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for owner, name, buffer, before in held:
            owner._buffers[name] = buffer
            if has_content() and not torch.equal(buffer, before):
                buffer.copy_(before)


def _examples(batch: Any) -> int:
    """The number of examples of a batch that is cut: the first dimension of all its tensors."""
    counts = {each.shape[:1] if isinstance(each, Tensor) else None for each in nested.leaves(batch)}
    if len(counts) != 1 or not (count := counts.pop()):
        raise Refusal(
            "microbatch: a batch is cut along the first dimension, which must be the number of "
            "examples in each of its entries: leave all else out of the batch"
        )
    return count[0]


def _listed(names: Sequence[str]) -> str:
    first = ", ".join(name or "the network itself" for name in names[:_SHOWN])
    return first if len(names) <= _SHOWN else f"{first} and {len(names) - _SHOWN} more"


def _ranks(replacement: Replacement) -> Ranks:
    ranks, shape = replacement.choice.ranks or Ranks(), replacement.layer.input_shape
    if shape is None or ACTIVATION not in replacement.method.ranked:
        return ranks
    return Ranks(activation_ranks(replacement.method, replacement.choice, shape), ranks.weight)
