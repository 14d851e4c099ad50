"""Applying methods to a network, and what its training step must know of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ondevice_bench.errors import Refusal
from ondevice_bench.methods import calibration
from ondevice_bench.methods.bases import BasesScheme, save_bases_last
from ondevice_bench.methods.batch_norm import BatchNorm, has_frozen_parameters
from ondevice_bench.methods.batch_parts import (
    number_of_parts,
    require_mean_of_examples,
    share_of_loss,
)
from ondevice_bench.methods.buffers import buffers_unchanged
from ondevice_bench.methods.compressed_input import CompressedInputLayer
from ondevice_bench.methods.effect import LayersCalled, expect_no_more
from ondevice_bench.methods.forward import surround, surroundings, take_away
from ondevice_bench.methods.frozen_part import FrozenPart
from ondevice_bench.methods.function_call import own_precision
from ondevice_bench.methods.hooks_of_gradients import run_on_sums
from ondevice_bench.methods.layer_report import LayerReport, ranks_of, report_on
from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.methods.method import LayerMethod, Method, ReplacementLayer
from ondevice_bench.methods.method_mix import Composed, MixEntry, entries_of, selections
from ondevice_bench.methods.optimizer import (
    TrainingOptimizer,
    begin_backward_updates,
    make_optimizer,
)
from ondevice_bench.methods.projected_weights import ProjectedWeights
from ondevice_bench.methods.ranks import RankRules, Ranks
from ondevice_bench.methods.replaced_layers import ReplacedLayers
from ondevice_bench.methods.training_forward import TrainingForward
from ondevice_bench.methods.vanilla import Vanilla
from ondevice_bench.models.family import cross_entropy
from ondevice_bench.models.layers import LayerSelection, complete_layout, select_layers
from ondevice_bench.specs import trained
from ondevice_bench.specs.layout import ModelLayout


class Treatment:
    """A network with its methods, and all that its training step needs of them."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.slices = 1
        self.chosen: tuple[str, ...] = ()  # the layers that `layers` chooses, changed or not
        self._projected = ProjectedWeights()
        self._is_last_part = True  # of the batch that is cut into slices
        self._methods: list[Method] = []
        self._training = TrainingForward(())
        self._called = LayersCalled()
        self._replaced = ReplacedLayers()
        self._rank_notes: list[str] = []
        self._order: RemovableHandle | None = None  # of the entries of the `state_dict`
        self._frozen = FrozenPart()

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
        return {**self._replaced.refusals, **self._projected.refusals}

    def report(self) -> tuple[LayerReport, ...]:
        """Every replaced layer: its ranks, and the size of what it stores by definition."""
        return tuple(report_on(name, each) for name, each in self._replaced.items())

    def trained_weight(self, name: str) -> nn.Parameter | None:
        """The weight of that layer, if it trains as one parameter; None if not.

        In a replaced layer it may be anywhere, for example in the plain layer that the new one
        holds.
        """
        replacement = self._replaced.get(name)
        held = "weight" if replacement is None else replacement.weight
        parameters = dict(self.module.get_submodule(name).named_parameters())
        weight = None if held is None else parameters.get(held)
        return weight if weight is not None and weight.requires_grad else None

    @property
    def trains_shifts(self) -> bool:
        """Whether the shift of a batch-norm trains even if a suite freezes batch-norm."""
        return any(method.trains_shifts for method in self._methods)

    @property
    def frozen_norms(self) -> tuple[nn.Module, ...]:
        """The batch-norms that do not train: of the frozen part, or with frozen parameters only."""
        return tuple(
            norm
            for norm in self.module.modules()
            if isinstance(norm, BatchNorm)
            and (norm in self._frozen.norms or has_frozen_parameters(norm))
        )

    @property
    def only_replaces(self) -> bool:
        """Whether no method is composed with those that replace layers."""
        return all(isinstance(method, (LayerMethod, Vanilla)) for method in self._methods)

    @property
    def updates_in_backward(self) -> bool:
        """Whether backward updates each parameter, and frees its gradient."""
        return any(method.updates_in_backward for method in self._methods)

    @property
    def not_called(self) -> tuple[str, ...]:
        """The replaced layers that have seen no input in training so far."""
        return self._replaced.not_called

    def require_calls(self) -> None:
        """After a step: a Refusal if it called none of the replaced layers."""
        self._replaced.require_calls()

    def notes(self) -> list[str]:
        """After some steps: what a reader of their numbers must know."""
        of_methods = [note for method in self._methods for note in method.notes()]
        return [*self._rank_notes, *self._frozen.notes(), *of_methods, *self._replaced.notes()]

    @property
    def rank_notes(self) -> list[str]:
        """After `calibrate`: what a reader of the ranks must know."""
        return self._rank_notes

    def layer_methods(self) -> tuple[LayerMethod, ...]:
        """The methods that replaced layers, one for each layer."""
        return tuple(replacement.method for replacement in self._replaced)

    def ranks(self) -> dict[str, Ranks]:
        """The ranks of every layer that has any. Activations have ranks after the first forward."""
        ranks = {name: ranks_of(replacement) for name, replacement in self._replaced.items()}
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
            for name, replacement in self._replaced.items()
            if replacement.choice.rule is not None and replacement.choice.rule.kind != trained.RULE
        }
        every = [each.layer for each in self._replaced]
        with self._outside_of_training():
            self._rank_notes = calibration.calibrate(self.module, layers, every, batch, loss)
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
        layers = [each.layer for each in self._replaced]
        if self.keeps_calibration:
            with self._outside_of_training():
                calibration.keep(self.module, layers, batch, loss)

    @contextmanager
    def _outside_of_training(self) -> Iterator[None]:
        """Run the network without methods, and leave its statistics and the generator alone."""
        with (
            self._training.suspended(),
            self._projected.suspended(),
            buffers_unchanged(self.module),
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
                passes = accumulate * self.slices
                layer.pending.expect(passes, trains=layer.left.requires_grad)
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
        optimizer.projections = self._projected.by_weight
        if self.updates_in_backward:
            begin_backward_updates(optimizer, layers, accumulate, lambda: self._is_last_part)
        return optimizer

    def merge(self) -> nn.Module:
        """The network with plain layers again, in place. A Refusal changes nothing."""
        self._replaced.require_mergeable()
        for method in self._methods:
            method.require_unwrappable(self.module)
        for expected in (self._training, self._called):
            expect_no_more(expected)
        self._frozen.release()
        if self._order is not None:
            self._order.remove()
        take_away(self.module, self._training)
        self.module = self._replaced.merge(self.module)
        for method in self._methods:
            method.unwrap(self.module)
        self._projected.release()
        return self.module

    def undo(self, error: BaseException) -> None:
        """After `treat` failed: make the network plain again."""
        if any(isinstance(each.layer, LowRankLayer) for each in self._replaced):
            error.args = (f"{error}; weights were cut already: make the network again",)
        with suppress(Exception):  # the first error is the one to show
            self.merge()

    def backward(
        self, batch: Any, loss: Callable[[nn.Module, Any], Tensor] = cross_entropy
    ) -> Tensor:
        """Add the gradients of the mean loss on the batch, and return this loss.

        `loss(model, batch)` must be a mean over the examples of the batch. If the method cuts the
        batch into slices, they run one after the other. Each tensor of the batch has the examples
        in its first dimension.
        """
        total, parts = torch.zeros(()), self.parts(batch)
        if parts > 1 and loss is cross_entropy:
            require_mean_of_examples(batch)
        with run_on_sums(self.module) if parts > 1 else nullcontext():
            for part in range(parts):
                share = self.share_of_loss(batch, loss, part)
                share.backward()
                total = total + share.detach()
        return total

    def parts(self, batch: Any) -> int:
        """The number of slices of this batch. None of them is empty, unless the batch is."""
        return number_of_parts(batch, self.slices)

    def share_of_loss(
        self, batch: Any, loss: Callable[[nn.Module, Any], Tensor], part: int = 0
    ) -> Tensor:
        """Run the forward of one part, and weigh its mean loss by its share of the batch.

        The network and the loss run in the contexts of the methods.
        """
        parts = self.parts(batch)
        self._is_last_part = part == parts - 1
        with self._training.entered(self.module):
            return share_of_loss(self.module, batch, loss, part, parts)

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

    def freeze(self, selection: LayerSelection) -> None:
        """Freeze what the choice of layers freezes, until `merge`."""
        self._frozen.freeze(self.module, selection)

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
            self.module = self._replaced.replace(self.module, method, selection, rules, ranks, seed)
        elif method.projection is not None:
            self._projected.project(self.module, method, method.projection, selection)
        self._methods.append(method)
        method.wrap(self.module, layout)
        self.slices = max(self.slices, method.slices)

    def surround(self) -> None:
        """After the last method: let training calls of the network run as the methods want."""
        self._training = TrainingForward(self._methods)
        others = (each for each in surroundings(self.module) if isinstance(each, TrainingForward))
        if self._training.packs and any(each.packs for each in others):
            raise Refusal(
                "an earlier treat() packs what this network saves already: choose one of the two"
            )
        if self._training.is_needed:
            surround(self.module, self._training)
            self._training.expect_of(self.module)
        for name, each in self._replaced.items():
            if isinstance(each.layer, CompressedInputLayer):
                each.layer.called = self._called
                self._called.expect_of(each.layer, name or "the network itself")
        if any(isinstance(each, BasesScheme) for each in self.module.modules()):
            self._order = self.module.register_state_dict_post_hook(save_bases_last)


def treat(
    module: nn.Module,
    method: Composed | Mapping[str, Composed],
    layers: str = "all",
    *,
    layout: ModelLayout | None = None,
    ranks: Mapping[str, Ranks] | None = None,
    seed: int = 0,
    **options: Any,
) -> Treatment:
    """Apply a method to the chosen layers of `module`, in place.

    `method` is a name, a path such as `./mine.py:Mine`, or a list of `(name, options)` to compose.
    A mapping from choices of layers to any of these is a mix: the first choice that matches a layer
    has it, of the layers that `layers` chooses.
    """
    entries = entries_of(method, options)
    layout = complete_layout(module, layout)
    among = select_layers(module, layers, layout)
    chosen = selections(module, entries, among, layout)
    treatment = Treatment(module)
    treatment.chosen = among.layers
    try:
        treatment.freeze(among)
        for part, rules, selection in _in_order(zip(entries, chosen, strict=True)):
            others = (each for each in chosen if each is not selection)
            part.leave_out([name for each in others for name in (*each.layers, *each.others)])
            with own_precision():
                treatment.apply(part, selection, layout, rules, ranks or {}, seed)
        treatment.surround()
    except BaseException as error:
        treatment.undo(error)
        raise
    return treatment


def _in_order(
    entries: Iterable[tuple[MixEntry, LayerSelection]],
) -> list[tuple[Method, RankRules, LayerSelection]]:
    """All methods with their layers. Those that wrap modules come last: they find what stays."""
    parts = [(*part, selection) for entry, selection in entries for part in entry.methods]
    return sorted(parts, key=lambda each: not isinstance(each[0], LayerMethod))
