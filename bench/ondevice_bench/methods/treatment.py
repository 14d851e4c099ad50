"""Applying methods to a network: which layers, with which ranks, and what was done."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ondevice_bench.methods import calibration
from ondevice_bench.methods.checkpoint import Checkpoint, statistics_kept
from ondevice_bench.methods.compressed_input import without_bytes
from ondevice_bench.methods.layer_flops import LayerFlops
from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.methods.optimizer import TreatedSGD
from ondevice_bench.methods.ranks import ACTIVATION, RULES, WEIGHT, RankChoice, RankRule, Ranks
from ondevice_bench.methods.tensors import largest_rank
from ondevice_bench.models.family import cross_entropy
from ondevice_bench.models.layers import guessed_layout, select_layers
from ondevice_bench.specs import trained
from ondevice_bench.specs.implementation import load
from ondevice_bench.specs.layout import ModelLayout

NOT_IN_TABLE = "has no trained rank in the table of its model"
_WEIGHT_RULES = {"weight_rank": "rank", "weight_epsilon": "epsilon", "weight_fraction": "fraction"}


@runtime_checkable
class LayerMethod(Protocol):
    """A method that replaces layers; docs/adding-a-method.md shows one whole."""

    def applies(self, layer: nn.Module) -> str | None:
        """Why the method leaves this layer alone; None where it treats it."""

    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> nn.Module:
        """The layer that takes its place, with the same parameters where it has them."""

    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> int:
        """Elements kept from forward to backward for an input of that shape."""


def activation_ranks(
    method: LayerMethod, choice: RankChoice, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The rank of each mode that the method compresses, for an input of that shape."""
    if ACTIVATION not in _ranked(method):
        return ()
    modes = method.reference.modes(len(shape))  # type: ignore[attr-defined]  # those that calibrate have one
    return choice.of_activation(tuple(largest_rank(shape, mode) for mode in modes))


def declared_work(
    method: object, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks
) -> LayerFlops | None:
    """What the method says that the layer costs; None where it says nothing."""
    declare = getattr(method, "flops", None)
    return None if declare is None else declare(layer, shape, ranks)


class DoesNotApply(ValueError):
    """The method has nothing to treat among the chosen layers."""

    is_refusal = True  # a cell of a suite is then skipped, not failed


@dataclass(frozen=True)
class LayerReport:
    """What was done to one layer; `elements` and `work` are None before an input was seen."""

    name: str
    ranks: Ranks
    shape: tuple[int, ...] | None
    elements: int | None
    work: LayerFlops | None  # None too where the method declares none


@dataclass(frozen=True)
class _Replaced:
    method: LayerMethod
    plain: nn.Module  # without its bytes: a dense weight must not live on here
    treated: nn.Module
    choice: RankChoice


class Treatment:
    """A treated network, and everything about it that its training step must know."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.slices = 1
        self._layers: dict[str, _Replaced] = {}
        self._packers: list[Any] = []
        self._refused: dict[str, str] = {}

    @property
    def refused(self) -> Mapping[str, str]:
        """Chosen layers that were left alone, with the reason."""
        return self._refused

    def report(self) -> tuple[LayerReport, ...]:
        """Every treated layer: its ranks, and the elements that the definition says it stores."""
        return tuple(self._report(name, done) for name, done in self._layers.items())

    def methods(self) -> tuple[LayerMethod, ...]:
        """The methods that replaced layers, one for each layer."""
        return tuple(done.method for done in self._layers.values())

    def ranks(self) -> dict[str, Ranks]:
        """The ranks of every layer that has any: those decided, else those of the input it saw."""
        found = {name: self._ranks_of(name, done) for name, done in self._layers.items()}
        return {name: ranks for name, ranks in found.items() if ranks != Ranks()}

    def calibrate(
        self,
        batch: Any,
        loss: Callable[[nn.Module, Any], Tensor] = cross_entropy,
    ) -> dict[str, Ranks]:
        """Choose ranks on `(inputs, targets)`, or on inputs alone where no gradient is needed.

        `loss(model, batch)` is asked where ranks depend on gradients.
        """
        subjects = {
            name: calibration.Subject(done.treated, done.plain, done.method, done.choice)
            for name, done in self._layers.items()
            if done.choice.rule is not None
            and done.choice.rule.kind != trained.RULE
            and ACTIVATION in _ranked(done.method)
        }
        with statistics_kept(self.module), torch.random.fork_rng(devices=[]):
            calibration.calibrate(self.module, subjects, batch, loss)
        return self.ranks()

    def optimizer(
        self,
        lr: float,
        weight_decay: float = 0.0,
        clip: float | None = None,
        momentum: float = 0.0,
    ) -> TreatedSGD:
        """One optimizer for all that trains."""
        layers = [layer for layer in self.module.modules() if isinstance(layer, LowRankLayer)]
        for layer in layers:
            layer.accumulates = max(layer.accumulates, self.slices)
        trained = [p for p in self.module.parameters() if p.requires_grad]
        return TreatedSGD(
            trained, layers, lr=lr, weight_decay=weight_decay, clip=clip, momentum=momentum
        )

    def merge(self) -> nn.Module:
        """The network with plain layers again, in place."""
        for name in self._layers:
            treated = self.module.get_submodule(name) if name else self.module
            merge = getattr(treated, "merge", None)
            if merge is None:
                raise TypeError(f"{name}: its method gives no plain layer back")
            self.module = _put(self.module, name, merge())
        Checkpoint.unwrap(self.module)
        self._layers = {}
        return self.module

    def packing(self) -> AbstractContextManager[None]:
        """To be entered around forward: what changes how tensors are saved."""
        return self._packing()

    @contextmanager
    def _packing(self) -> Iterator[None]:
        with ExitStack() as stack:
            for packer in self._packers:
                stack.enter_context(packer.packing(self.module))
            yield

    def held(self) -> Iterator[Tensor]:
        """Saved tensors that saved-tensor hooks from outside do not see."""
        for packer in self._packers:
            yield from packer.held()

    def gradients(self) -> Iterator[Tensor]:
        """Gradients that no parameter carries: those of weights in factors."""
        for layer in self.module.modules():
            if isinstance(layer, LowRankLayer) and layer.gradient is not None:
                yield from layer.gradient.tensors()

    def state(self) -> Iterator[Tensor]:
        """What methods keep from step to step."""
        for layer in self.module.modules():
            scheme = getattr(layer, "scheme", None)
            if isinstance(scheme, nn.Module):
                yield from scheme.buffers()

    def apply(
        self,
        implementation: object,
        names: Sequence[str],
        layout: ModelLayout,
        rules: Mapping[str, RankRule | None],
        given: Mapping[str, Ranks],
        seed: int,
    ) -> None:
        """Apply one method."""
        if isinstance(implementation, LayerMethod):
            self._replace(implementation, names, rules, given, seed)
        if hasattr(implementation, "wrap"):
            implementation.wrap(self.module, layout)
        if hasattr(implementation, "packing"):
            self._packers.append(implementation)
        self.slices = max(self.slices, getattr(implementation, "slices", 1))

    def _replace(
        self,
        method: LayerMethod,
        names: Sequence[str],
        rules: Mapping[str, RankRule | None],
        given: Mapping[str, Ranks],
        seed: int,
    ) -> None:
        if self._layers:
            raise ValueError("two methods that replace layers cannot be composed")
        shared = _shared_weights(self.module) if getattr(method, "replaces_weight", False) else {}
        reasons = {
            name: shared.get(name) or method.applies(self.module.get_submodule(name))
            for name in names
        }
        if any(rule is not None and rule.kind == trained.RULE for rule in rules.values()):
            given = {name: of_modes(method, ranks) for name, ranks in given.items()}
            reasons |= {name: NOT_IN_TABLE for name in names if name not in given}
        self._refused = {name: why for name, why in reasons.items() if why is not None}
        fit = [name for name, why in reasons.items() if why is None]
        if not fit:
            said = "; ".join(f"{name} {why}" for name, why in list(self._refused.items())[:3])
            raise DoesNotApply(f"{_name(method)} applies to none of the chosen layers: {said}")
        for name in fit:
            plain = self.module.get_submodule(name)
            choice = RankChoice(
                name or "the layer", rules[ACTIVATION], rules[WEIGHT], given.get(name), seed
            )
            layer = method.replace(plain, choice, name or "the layer")
            self._layers[name] = _Replaced(method, without_bytes(plain), layer, choice)
            self.module = _put(self.module, name, layer)

    def _report(self, name: str, done: _Replaced) -> LayerReport:
        shape, ranks = self._shape(name), self._ranks_of(name, done)
        if shape is None:
            return LayerReport(name, ranks, None, None, None)
        elements = done.method.stored(done.plain, shape, ranks.activation)
        return LayerReport(
            name, ranks, shape, elements, declared_work(done.method, done.plain, shape, ranks)
        )

    def _ranks_of(self, name: str, done: _Replaced) -> Ranks:
        decided, shape = done.choice.ranks or Ranks(), self._shape(name)
        if shape is None or ACTIVATION not in _ranked(done.method):
            return decided
        return Ranks(activation_ranks(done.method, done.choice, shape), decided.weight)

    def _shape(self, name: str) -> tuple[int, ...] | None:
        shape: tuple[int, ...] | None = getattr(self.module.get_submodule(name), "seen", None)
        return shape


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
    """Treat the chosen layers of `module` in place.

    `method` is a name, a path such as `./mine.py:Mine`, or a list of `(name, options)` to compose.
    """
    parts = [(method, options)] if isinstance(method, str) else list(method)
    made = [make(_implementation(name), values) for name, values in parts]
    layout = layout or guessed_layout(module)
    chosen = select_layers(module, layers, layout)
    parameters = dict(module.named_parameters())
    for name in chosen.frozen:
        parameters[name].requires_grad_(False)
    treatment = Treatment(module)
    for implementation, rules in made:
        treatment.apply(implementation, chosen.treated, layout, rules, ranks or {}, seed)
    return treatment


def make(path: str, options: Mapping[str, Any]) -> tuple[object, dict[str, RankRule | None]]:
    """The method that `module:Class` or `file.py:Class` names, with its options and rank rules."""
    kind = load(path)
    ranked = _ranked(kind)
    words = (*RULES, *_WEIGHT_RULES) if ranked else ()
    said = {k: v for k, v in options.items() if k in words and v is not None}
    rest = {k: v for k, v in options.items() if k not in words and v is not None}
    allowed = inspect.signature(kind).parameters
    for name in rest:
        if name not in allowed:
            known = ", ".join((*allowed, *words)) or "none"
            raise ValueError(f"{_name(kind)} has no option {name!r} (it has: {known})")
    rules: dict[str, RankRule | None] = {ACTIVATION: None, WEIGHT: None}
    if ranked:
        rules = _rules(_name(kind), ranked, said)
    return kind(**rest), rules


def _rules(
    name: str, ranked: frozenset[str], said: Mapping[str, Any]
) -> dict[str, RankRule | None]:
    both = {
        kind: RankRule.from_option(kind, value) for kind, value in said.items() if kind in RULES
    }
    weight = [
        RankRule.from_option(_WEIGHT_RULES[k], v) for k, v in said.items() if k in _WEIGHT_RULES
    ]
    if len(both) > 1 or len(weight) > 1:
        raise ValueError(f"{name} takes one of {', '.join(said)}, not several")
    if not both and (ACTIVATION in ranked or not weight):
        raise ValueError(f"{name} needs one of {', '.join(RULES)}")
    if weight and WEIGHT not in ranked:
        raise ValueError(f"{name} leaves weights as they are: it has no rank for them")
    rule = next(iter(both.values()), None)
    return {
        ACTIVATION: rule if ACTIVATION in ranked else None,
        WEIGHT: (weight[0] if weight else rule) if WEIGHT in ranked else None,
    }


def _implementation(name: str) -> str:
    if ":" in name:
        return name
    from ondevice_bench.specs import registry

    return registry.method(name).implementation


def _ranked(method: object) -> frozenset[str]:
    return getattr(method, "ranked", frozenset())


def of_modes(method: LayerMethod, ranks: Ranks) -> Ranks:
    """Of the ranks of all modes, those of the modes that the method compresses."""
    reference = getattr(method, "reference", None)
    if reference is None or not ranks.activation:
        return ranks
    modes = reference.modes(len(ranks.activation))
    return Ranks(tuple(ranks.activation[mode] for mode in modes), ranks.weight)


def _name(method: object) -> str:
    return method.__name__ if isinstance(method, type) else type(method).__name__


def _shared_weights(module: nn.Module) -> dict[str, str]:
    """Layers whose weight another module uses too: taking it away would untie the two."""
    owners: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    return {
        name.removesuffix(
            ".weight"
        ): f"shares its weight with {next(o for o in names if o != name)}"
        for names in owners.values()
        for name in names
        if len(names) > 1
    }


def _put(root: nn.Module, name: str, layer: nn.Module) -> nn.Module:
    """`root` with `layer` in that place; the root itself has the name ``."""
    if not name:
        return layer
    parent, _, last = name.rpartition(".")
    setattr(root.get_submodule(parent), last, layer)
    return root
