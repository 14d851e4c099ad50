"""How ranks are said and chosen: numbers, energy, a fraction, or a budget over all layers."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from ondevice_bench.methods.tensors import energies, working
from ondevice_bench.models.weights import generator_for

GRID = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
ACTIVATION, WEIGHT = "activation", "weight"
RULES = ("rank", "epsilon", "fraction", "trained", "budget_mib", "perplexity")
_MIB = 1 << 20

RankValue: TypeAlias = int | float | str | tuple[int, ...]


class NotCalibrated(RuntimeError):
    """A rank that depends on data was asked for before any data were seen."""


@dataclass(frozen=True)
class Ranks:
    """The numbers for one layer: of each mode that the method compresses, and of its weight."""

    activation: tuple[int, ...] = ()
    weight: int | None = None


@dataclass(frozen=True)
class RankRule:
    """One way of saying ranks, with its value."""

    kind: str
    value: float | tuple[int, ...]

    @staticmethod
    def from_option(kind: str, value: RankValue) -> "RankRule":
        """The checked rule; ValueError with the whole sentence otherwise."""
        if kind == "rank":
            return RankRule(kind, _rank_list(value))
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{kind} must be a number, got {value!r}")
        if kind in {"epsilon", "fraction", "trained"} and not 0 < value <= 1:
            raise ValueError(f"{kind} must be in (0, 1], got {value!r}")
        if kind in {"budget_mib", "perplexity"} and not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{kind} must be above 0, got {value!r}")
        return RankRule(kind, float(value))

    @property
    def needs_data(self) -> bool:
        """Whether only a batch can tell the ranks of activations."""
        return self.kind not in {"rank", "fraction"}


def _rank_list(value: RankValue) -> tuple[int, ...]:
    if isinstance(value, str):
        parts = value.split("x")
        if not all(part.isdigit() for part in parts):
            raise ValueError(
                f"rank must be an integer or one per mode such as 8x16x32, got {value!r}"
            )
        value = tuple(int(part) for part in parts)
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in numbers):
        raise ValueError(f"rank must be at least 1, got {value!r}")
    return tuple(int(n) for n in numbers)


class RankChoice:
    """The rule for one layer's ranks, and the numbers once they are known."""

    def __init__(
        self,
        layer: str,
        activation: RankRule | None = None,
        weight: RankRule | None = None,
        given: Ranks | None = None,
        seed: int = 0,
    ) -> None:
        self.layer = layer
        self._seed = seed
        self._activation = activation
        self._weight = weight
        self.ranks = given

    @property
    def rule(self) -> RankRule | None:
        """The rule for the ranks of activations."""
        return self._activation

    def stream(self, purpose: str) -> torch.Generator:
        """Randomness of this layer's own: the global generator is left alone."""
        return generator_for(self._seed, f"{self.layer} {purpose}")

    def of_activation(self, largest: tuple[int, ...]) -> tuple[int, ...]:
        """The rank of each mode, within what the shape allows."""
        if self.ranks is None or not self.ranks.activation:
            self.decide(self._without_data(largest))
        assert self.ranks is not None
        return tuple(min(r, top) for r, top in zip(self.ranks.activation, largest, strict=True))

    def of_weight(self, matrix: Tensor) -> int:
        """The rank of a weight, given as a matrix."""
        known = self.ranks or Ranks()
        rank = self._for(matrix) if known.weight is None else known.weight
        rank = min(rank, len(matrix), matrix.shape[1])
        self.ranks = Ranks(known.activation, rank)
        return rank

    def decide(self, activation: tuple[int, ...]) -> None:
        """Fix the ranks of activations."""
        self.ranks = Ranks(activation, self.ranks.weight if self.ranks else None)

    def _without_data(self, largest: tuple[int, ...]) -> tuple[int, ...]:
        rule = self._activation
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

    def _for(self, matrix: Tensor) -> int:
        rule = self._weight
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
    """The same rank for all modes, or the list if it has one for each."""
    if len(ranks) == 1:
        return ranks * modes
    if len(ranks) != modes:
        said = "x".join(map(str, ranks))
        raise ValueError(f"{layer}: rank {said} names {len(ranks)} modes; this layer has {modes}")
    return ranks


def by_epsilon(epsilon: float, energy: Tensor, largest: int) -> int:
    """The fewest leading values that hold the share `epsilon` of all energy."""
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
    """One grid entry of one layer: what it stores, and how wrong its weight gradient is."""

    ranks: tuple[int, ...]
    bytes: int
    perplexity: float


def within_budget(offers: Sequence[Sequence[RankCandidate]], budget_mib: float) -> tuple[int, ...]:
    """One offer a layer: the least sum of perplexities whose bytes fit."""
    least = sum(min(offer.bytes for offer in layer) for layer in offers)
    budget = math.floor(budget_mib * _MIB)
    if least > budget:
        raise ValueError(
            f"budget_mib {budget_mib:g} is below the least possible for these layers, "
            f"{math.ceil(least / _MIB * 100) / 100:.2f}"
        )
    return _Front(offers).cheapest(lambda stored, _: stored <= budget, by=1)


def within_perplexity(offers: Sequence[Sequence[RankCandidate]], bound: float) -> tuple[int, ...]:
    """One offer a layer: the fewest bytes whose perplexities sum to no more than the bound."""
    least = sum(min(offer.perplexity for offer in layer) for layer in offers)
    if least > bound:
        raise ValueError(
            f"perplexity {bound:g} is below the least possible for these layers, {least:.4g}"
        )
    return _Front(offers).cheapest(lambda _, wrong: wrong <= bound, by=0)


class _Front:
    """Every sum of (bytes, perplexity) that no other one beats in both: exact, layer by layer."""

    def __init__(self, offers: Sequence[Sequence[RankCandidate]]) -> None:
        self._steps: list[tuple[list[int], list[int]]] = []  # parents and offers of each layer
        self.points: list[tuple[int, float]] = [(0, 0.0)]
        for layer in offers:
            sums = sorted(
                (stored + offer.bytes, wrong + offer.perplexity, parent, index)
                for (parent, (stored, wrong)), (index, offer) in itertools.product(
                    enumerate(self.points), enumerate(layer)
                )
            )
            kept = []
            best = math.inf
            for candidate in sums:
                if candidate[1] < best:
                    best = candidate[1]
                    kept.append(candidate)
            self.points = [(stored, wrong) for stored, wrong, _, _ in kept]
            self._steps.append(([c[2] for c in kept], [c[3] for c in kept]))

    def cheapest(self, fits: "_Fits", *, by: int) -> tuple[int, ...]:
        """The fitting sum with the least bytes (0) or perplexity (1), as one offer a layer."""
        at = min(
            (index for index, point in enumerate(self.points) if fits(*point)),
            key=lambda index: self.points[index][by],
        )
        chosen = []
        for parents, offers in reversed(self._steps):
            chosen.append(offers[at])
            at = parents[at]
        return tuple(reversed(chosen))


class _Fits(Protocol):
    def __call__(self, stored: int, wrong: float, /) -> bool: ...
