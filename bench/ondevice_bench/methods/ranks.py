"""The choice of ranks: by number, by energy, by a fraction, or by a budget over all layers."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.tensors import energies, working
from ondevice_bench.models.weights import generator_for
from ondevice_bench.specs.option import Value
from ondevice_bench.specs.rank_rules import ACTIVATION, LEAST, MULTIPLE, WEIGHT

GRID = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_MIB = 1 << 20
_OF_WEIGHT = "weight_"


class NotCalibrated(Refusal):
    """A rank or a basis depends on data, but no calibration has run."""


@dataclass(frozen=True)
class Ranks:
    """The ranks of one layer: of each mode that the method compresses, and of its weight."""

    activation: tuple[int, ...] = ()
    weight: int | None = None


@dataclass(frozen=True)
class RankRule:
    """One way to set ranks, with its value: `rank` has integers, all others have a number."""

    kind: str
    value: float | tuple[int, ...]
    takes_least: bool = False  # if no ranks are within the budget

    @staticmethod
    def from_option(name: str, value: Value, *, takes_least: bool = False) -> "RankRule":
        """The rule of an option with a checked value."""
        kind = name.removeprefix(_OF_WEIGHT)
        if kind == "rank":
            return RankRule(kind, tuple(int(rank) for rank in str(value).split("x")))
        return RankRule(kind, float(value), takes_least)

    @property
    def needs_data(self) -> bool:
        """Whether the ranks of activations depend on a batch."""
        return self.kind not in {"rank", "fraction"}


@dataclass(frozen=True)
class RankRules:
    """A method's rules for the ranks of activations and of weights; None if it has none."""

    activation: RankRule | None = None
    weight: RankRule | None = None
    multiple: int = 1  # ranks above this number are rounded up to a multiple of it

    @staticmethod
    def from_options(ranked: frozenset[str], options: Mapping[str, Value]) -> "RankRules":
        """The rules of checked options. A weight without its own rule takes the other one."""
        least = bool(options.get(LEAST, False))
        rules = {
            name: RankRule.from_option(name, value, takes_least=least)
            for name, value in options.items()
            if name not in (MULTIPLE, LEAST)
        }
        shared = next((r for n, r in rules.items() if not n.startswith(_OF_WEIGHT)), None)
        weight = next((r for n, r in rules.items() if n.startswith(_OF_WEIGHT)), shared)
        return RankRules(
            activation=shared if ACTIVATION in ranked else None,
            weight=weight if WEIGHT in ranked else None,
            multiple=int(options.get(MULTIPLE, 1)),
        )

    def rounded(self, rank: int, largest: int) -> int:
        """The rank, rounded up if it is large enough, and at most the largest one."""
        if rank > self.multiple:
            rank = -(-rank // self.multiple) * self.multiple
        return min(rank, largest)


class RankChoice:
    """The rules for the ranks of one layer, and the chosen ranks."""

    def __init__(
        self,
        layer: str,
        rules: RankRules = RankRules(),  # frozen
        ranks: Ranks | None = None,
        seed: int = 0,
    ) -> None:
        self.layer = layer
        self.ranks = ranks
        self._rules = rules
        self._seed = seed
        self._is_fixed = False
        self._grows = False  # with the input: a share of the largest rank

    @property
    def rule(self) -> RankRule | None:
        """The rule for the ranks of activations."""
        return self._rules.activation

    def stream(self, purpose: str) -> torch.Generator:
        """A random generator for this layer, so that the global one does not change."""
        return generator_for(self._seed, f"{self.layer} {purpose}")

    def of_activation(self, largest: tuple[int, ...]) -> tuple[int, ...]:
        """The rank of each mode, at most the largest that the shape allows.

        A share of the largest rank follows the largest input so far.
        """
        if self.ranks is None or not self.ranks.activation:
            self.decide(self._without_data(largest))
            self._grows = self.rule is not None and self.rule.kind == "fraction"
        assert self.ranks is not None
        self._require_modes(len(largest))
        if self._grows:
            wanted = tuple(map(max, self.ranks.activation, self._without_data(largest)))
            self.ranks = Ranks(wanted, self.ranks.weight)
        return self.rounded(self.ranks.activation, largest)

    def _require_modes(self, modes: int) -> None:
        """A Refusal for an input with another number of dimensions than that of the ranks."""
        assert self.ranks is not None
        known = len(self.ranks.activation)
        if known != modes:
            raise Refusal(
                f"{self.layer}: the input has {modes} modes with a rank, but the ranks are for "
                f"{known}: the method needs inputs of one number of dimensions"
            )

    def rounded(self, ranks: tuple[int, ...], largest: tuple[int, ...]) -> tuple[int, ...]:
        """The rank of each mode, rounded as the rules say, and at most the largest one."""
        return tuple(map(self._rules.rounded, ranks, largest))

    def of_input(self, largest: tuple[int, ...], *, follows_batch: bool) -> tuple[int, ...]:
        """The rank of each mode. It may follow each batch, or stay as the first one allows it."""
        if follows_batch:
            return self.of_activation(largest)
        if not self._is_fixed:
            self.decide(self.of_activation(largest))
            self._is_fixed = True
        assert self.ranks is not None
        self._require_modes(len(largest))
        return self.ranks.activation

    def of_weight(self, matrix: Tensor) -> int:
        """The rank of a weight in its matrix form."""
        ranks = self.ranks or Ranks()
        rank = self._by_rule(matrix) if ranks.weight is None else ranks.weight
        rank = self._rules.rounded(rank, min(matrix.shape))
        self.ranks = Ranks(ranks.activation, rank)
        return rank

    def decide(self, activation: tuple[int, ...]) -> None:
        """Fix the ranks of activations."""
        self._is_fixed = self._grows = False
        self.ranks = Ranks(activation, self.ranks.weight if self.ranks else None)

    def _without_data(self, largest: tuple[int, ...]) -> tuple[int, ...]:
        rule = self._rules.activation
        assert rule is not None
        if rule.needs_data:
            raise NotCalibrated(
                f"{self.layer}: ranks by {rule.kind} need a batch: call Treatment.calibrate first"
            )
        if rule.kind == "fraction":
            assert isinstance(rule.value, float)
            return tuple(by_fraction(rule.value, top) for top in largest)
        assert isinstance(rule.value, tuple)
        return one_per_mode(self.layer, rule.value, len(largest))

    def _by_rule(self, matrix: Tensor) -> int:
        rule = self._rules.weight
        assert rule is not None
        if rule.kind == "rank" and isinstance(rule.value, tuple) and len(rule.value) == 1:
            return rule.value[0]
        if rule.kind == "fraction" and isinstance(rule.value, float):
            return by_fraction(rule.value, min(matrix.shape))
        if rule.kind == "epsilon" and isinstance(rule.value, float):
            return by_epsilon(rule.value, energies(working(matrix), 0), min(matrix.shape))
        raise ValueError(
            f"{self.layer}: the weight's rank cannot follow {rule.kind} = {rule.value}: "
            "give weight_rank or weight_epsilon"
        )


def one_per_mode(layer: str, ranks: tuple[int, ...], modes: int) -> tuple[int, ...]:
    """One rank for each mode: the same for all, or the list as it is."""
    if len(ranks) == 1:
        return ranks * modes
    if len(ranks) != modes:
        listed = "x".join(map(str, ranks))
        raise ValueError(f"{layer}: rank {listed} names {len(ranks)} modes; this layer has {modes}")
    return ranks


def by_epsilon(epsilon: float, energy: Tensor, largest: int) -> int:
    """The number of leading values that hold the share `epsilon` of the energy."""
    total = energy.sum()
    if epsilon == 1:
        return largest
    if total == 0:
        return 1
    reached = torch.cumsum(energy, 0) / total >= epsilon
    return min(largest, int(reached.long().argmax()) + 1) if reached.any() else largest


def by_fraction(fraction: float, largest: int) -> int:
    """`fraction` of the largest rank, halves rounded up, at least 1."""
    return max(1, math.floor(fraction * largest + 0.5))


@dataclass(frozen=True)
class RankCandidate:
    """Possible ranks of one layer, with the bytes it stores and its weight-gradient error."""

    ranks: tuple[int, ...]
    bytes: int
    perplexity: float


class BelowLeast(ValueError):
    """No ranks are within the budget."""


def within_budget(layers: Sequence[Sequence[RankCandidate]], budget_mib: float) -> tuple[int, ...]:
    """One candidate for each layer: all fit the budget, with the least sum of perplexities."""
    least = sum(min(candidate.bytes for candidate in layer) for layer in layers)
    budget = math.floor(budget_mib * _MIB)
    if least > budget:
        raise BelowLeast(
            f"budget_mib {budget_mib:g} is below the least possible for these layers, "
            f"{math.ceil(least / _MIB * 100) / 100:.2f}"
        )
    return _Front(layers).cheapest(lambda stored, _: stored <= budget, by=1)


def within_perplexity(layers: Sequence[Sequence[RankCandidate]], bound: float) -> tuple[int, ...]:
    """One candidate for each layer: all within the bound, with the fewest bytes."""
    least = sum(min(candidate.perplexity for candidate in layer) for layer in layers)
    if least > bound:
        raise BelowLeast(
            f"perplexity {bound:g} is below the least possible for these layers, {least:.4g}"
        )
    return _Front(layers).cheapest(lambda _, wrong: wrong <= bound, by=0)


def least_bytes(layers: Sequence[Sequence[RankCandidate]]) -> tuple[int, ...]:
    """One candidate for each layer: it stores the fewest bytes, with the least perplexity."""
    return tuple(
        min(range(len(layer)), key=lambda i: (layer[i].bytes, layer[i].perplexity))
        for layer in layers
    )


def least_perplexity(layers: Sequence[Sequence[RankCandidate]]) -> tuple[int, ...]:
    """One candidate for each layer: it has the least perplexity, with the fewest bytes."""
    return tuple(
        min(range(len(layer)), key=lambda i: (layer[i].perplexity, layer[i].bytes))
        for layer in layers
    )


class _Front:
    """All sums of (bytes, perplexity) that no other sum beats in both; exact, layer by layer."""

    def __init__(self, layers: Sequence[Sequence[RankCandidate]]) -> None:
        self._steps: list[tuple[list[int], list[int]]] = []  # parents and candidates of each layer
        self.points: list[tuple[int, float]] = [(0, 0.0)]
        for layer in layers:
            sums = sorted(
                (stored + candidate.bytes, wrong + candidate.perplexity, parent, index)
                for (parent, (stored, wrong)), (index, candidate) in itertools.product(
                    enumerate(self.points), enumerate(layer)
                )
            )
            front = []
            best = math.inf
            for point in sums:
                if point[1] < best:
                    best = point[1]
                    front.append(point)
            self.points = [(stored, wrong) for stored, wrong, _, _ in front]
            self._steps.append(([p[2] for p in front], [p[3] for p in front]))

    def cheapest(self, fits: "_Fits", *, by: int) -> tuple[int, ...]:
        """The sum that fits and has the least bytes (0) or perplexity (1): a candidate a layer."""
        at = min(
            (index for index, point in enumerate(self.points) if fits(*point)),
            key=lambda index: self.points[index][by],
        )
        path = []
        for parents, candidates in reversed(self._steps):
            path.append(candidates[at])
            at = parents[at]
        return tuple(reversed(path))


class _Fits(Protocol):
    def __call__(self, stored: int, wrong: float, /) -> bool: ...
