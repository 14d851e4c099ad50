"""The layers of a network that methods have replaced, and those that they left alone."""

from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.carry_over import carry_back
from ondevice_bench.methods.method import LayerMethod, select_modes
from ondevice_bench.methods.optimizer_guard import guard_merged, release
from ondevice_bench.methods.ranks import RankChoice, RankRules, Ranks
from ondevice_bench.methods.refusals import (
    NOT_IN_TABLE,
    applies_to_none,
    of_no_known_kind,
    parts_of_replaced,
    shared_weights,
    why_not,
)
from ondevice_bench.methods.replacement import Replacement, put, replaced
from ondevice_bench.models.layers import LayerSelection
from ondevice_bench.specs import trained

_WHY_NOT_CALLED = (
    "because the network reads their weights itself, does not use them, or has frozen them"
)
_SHOWN = 3


class ReplacedLayers:
    """The replaced layers by name. `refusals` are the chosen layers that stay as they are."""

    def __init__(self) -> None:
        self._replacements: dict[str, Replacement] = {}
        self.refusals: dict[str, str] = {}

    def __iter__(self) -> Iterator[Replacement]:
        return iter(self._replacements.values())

    def __bool__(self) -> bool:
        return bool(self._replacements)

    def items(self) -> Iterator[tuple[str, Replacement]]:
        """Each name and its replacement."""
        return iter(self._replacements.items())

    def get(self, name: str) -> Replacement | None:
        """The replacement of this layer; None if no method replaced it."""
        return self._replacements.get(name)

    def replace(
        self,
        module: nn.Module,
        method: LayerMethod,
        selection: LayerSelection,
        rules: RankRules,
        ranks: Mapping[str, Ranks],
        seed: int,
    ) -> nn.Module:
        """The network with the method's layers, in place; a Refusal if the method has none."""
        names = selection.layers
        shared = {} if method.keeps_weight else shared_weights(module)
        shared |= parts_of_replaced(module)
        reasons = {
            name: shared.get(name) or why_not(method, module.get_submodule(name)) for name in names
        }
        if any(rule and rule.kind == trained.RULE for rule in (rules.activation, rules.weight)):
            ranks = {name: select_modes(method, each) for name, each in ranks.items()}
            reasons |= {name: NOT_IN_TABLE for name in names if name not in ranks}
        reasons |= of_no_known_kind(module, selection.others)
        refusals = {name: why for name, why in reasons.items() if why is not None}
        if len(refusals) == len(reasons):
            raise applies_to_none(type(method).__name__, refusals)
        self.refusals |= refusals
        for name in (name for name, why in reasons.items() if why is None):
            plain, shown = module.get_submodule(name), name or "the layer"
            choice = RankChoice(shown, rules, ranks.get(name), seed)
            replacement = replaced(method, plain, choice, shown)
            module = put(module, plain, replacement.layer)
            self._replacements[name] = replacement
        return module

    def require_mergeable(self) -> None:
        """A Refusal if other code has changed a layer so that `merge` cannot be right."""
        for name, replacement in self.items():
            replacement.require_mergeable(name or "the layer")

    def merge(self, module: nn.Module) -> nn.Module:
        """The network with plain layers again, in place."""
        for name, replacement in self.items():
            layer, merged = replacement.layer, replacement.layer.merge()
            for parameter in merged.parameters():
                release(parameter)
            guard_merged(layer, merged, name or "the layer")
            carry_back(layer, merged, replacement.carried)
            module = put(module, layer, merged)
        self._replacements = {}
        return module

    @property
    def not_called(self) -> tuple[str, ...]:
        """The layers that have seen no input in training so far."""
        return tuple(name for name, each in self.items() if each.layer.input_shape is None)

    def require_calls(self) -> None:
        """After a step: a Refusal if it called none of the layers."""
        names = self.not_called
        if names and len(names) == len(self._replacements):
            raise Refusal(
                f"no changed layer saw an input in training, {self._why_not_called}: "
                f"{_listed(names)}"
            )

    def notes(self) -> list[str]:
        """After some steps: which layers saw no input."""
        names = self.not_called
        if not names:
            return []
        count = f"{len(names)} of {len(self._replacements)} changed layers"
        why = f"saw no input in training, {self._why_not_called}"
        return [f"{count} {why}: {_listed(names)}"]

    @property
    def _why_not_called(self) -> str:
        """The possible reasons."""
        more = {each.method.passes_over for each in self if each.method.passes_over}
        return ", or because ".join((_WHY_NOT_CALLED, *sorted(more)))


def _listed(names: Sequence[str]) -> str:
    first = ", ".join(name or "the network itself" for name in names[:_SHOWN])
    return first if len(names) <= _SHOWN else f"{first} and {len(names) - _SHOWN} more"
