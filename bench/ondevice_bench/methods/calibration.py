"""Choosing ranks on a batch: by energy, layer by layer, or by a budget over all of them."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.ranks import (
    GRID,
    RankCandidate,
    RankChoice,
    Ranks,
    by_epsilon,
    within_budget,
    within_perplexity,
)
from ondevice_bench.methods.tensors import NotFinite, energies, largest_rank, working


@dataclass
class Subject:
    """A treated layer whose ranks are to be chosen, and what passed through it."""

    layer: nn.Module
    plain: nn.Module  # the layer that was, without its bytes
    method: Any
    choice: RankChoice
    x: Tensor | None = None
    dy: Tensor | None = None
    spectra: tuple[Tensor, ...] = field(default=())

    @property
    def modes(self) -> tuple[int, ...]:
        """The modes of the input that have a rank."""
        assert self.x is not None
        modes: tuple[int, ...] = self.method.reference.modes(self.x.ndim)
        return modes

    def by_epsilon(self, epsilon: float) -> tuple[int, ...]:
        """The rank of each mode at that share of energy."""
        assert self.x is not None
        if not self.spectra:
            try:
                self.spectra = tuple(energies(working(self.x), mode) for mode in self.modes)
            except NotFinite as error:
                raise NotFinite(f"{self.choice.layer}: the input {error}") from None
        largest = (largest_rank(tuple(self.x.shape), mode) for mode in self.modes)
        return tuple(
            by_epsilon(epsilon, spectrum, top)
            for spectrum, top in zip(self.spectra, largest, strict=True)
        )

    def offers(self) -> list[RankCandidate]:
        """Every grid entry: what it stores, and how far its weight gradient is from the exact."""
        assert self.x is not None
        assert self.dy is not None
        exact = self._gradient(None)
        found = []
        for epsilon in GRID:
            ranks = self.by_epsilon(epsilon)
            wrong = torch.linalg.vector_norm(self._gradient(ranks) - exact).item()
            stored = self.method.stored(self.plain, tuple(self.x.shape), ranks)
            found.append(RankCandidate(ranks, stored * self.x.element_size(), wrong))
        return found

    def _gradient(self, ranks: tuple[int, ...] | None) -> Tensor:
        """`dW` from what the method's reference decomposition stores, or from the input itself."""
        x, dy = self.x, self.dy
        assert x is not None
        assert dy is not None
        assert isinstance(self.plain, (nn.Linear, nn.Conv2d))
        geometry = Geometry.from_layer(self.plain) if isinstance(self.plain, nn.Conv2d) else None
        shape = tuple(self.plain.weight.shape)
        if ranks is None:
            if geometry is None:
                return dy.reshape(-1, dy.shape[-1]).T @ x.reshape(-1, x.shape[-1])
            return geometry.weight_gradient(x, dy, shape)
        scheme = self.method.reference()
        scheme.choice = RankChoice(self.choice.layer, given=Ranks(ranks))
        saved = scheme.store(x, geometry)
        if geometry is None:
            gradient: Tensor = scheme.linear_gradient(saved, dy)
        else:
            weight = x.new_empty(1).expand(shape)
            gradient = scheme.conv_gradient(saved, dy, tuple(x.shape), weight, geometry)
        return gradient


def calibrate(
    module: nn.Module,
    subjects: Mapping[str, Subject],
    batch: Any,
    loss: Callable[[nn.Module, Any], Tensor],
) -> None:
    """Run the batch once, plainly, and decide every subject's ranks."""
    rules = {subject.choice.rule for subject in subjects.values()}
    if not subjects:
        return
    (rule,) = rules  # one method, one rule
    assert rule is not None
    if rule.kind in {"budget_mib", "perplexity"}:
        if isinstance(batch, Tensor):
            raise ValueError(f"{rule.kind} needs targets too: calibrate((inputs, targets))")
        _observe(module, subjects, batch, loss)
        seen = [subject for subject in subjects.values() if subject.dy is not None]
        offers = [subject.offers() for subject in seen]
        assert isinstance(rule.value, float)
        choose = within_budget if rule.kind == "budget_mib" else within_perplexity
        for subject, layer, index in zip(seen, offers, choose(offers, rule.value), strict=True):
            subject.choice.decide(layer[index].ranks)
        return
    with torch.no_grad(), _deciding(subjects):
        if isinstance(batch, Tensor):
            module(batch)
        else:
            loss(module, batch)


@contextlib.contextmanager
def _deciding(subjects: Mapping[str, Subject]) -> Iterator[None]:
    """Decide each layer's ranks as its input passes; no input is kept."""

    def hook(subject: Subject) -> Any:
        def decide(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            subject.x, subject.spectra = inputs[0].detach(), ()
            rule = subject.choice.rule
            assert rule is not None
            if rule.kind == "epsilon":
                assert isinstance(rule.value, float)
                subject.choice.decide(subject.by_epsilon(rule.value))
            else:
                shape = tuple(subject.x.shape)
                subject.choice.of_activation(tuple(largest_rank(shape, m) for m in subject.modes))
            subject.x = None

        return decide

    handles = [s.layer.register_forward_pre_hook(hook(s)) for s in subjects.values()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _observe(
    module: nn.Module,
    subjects: Mapping[str, Subject],
    batch: Any,
    loss: Callable[[nn.Module, Any], Tensor],
) -> None:
    """Each layer's input and output gradient of one plain step."""

    def hook(subject: Subject) -> Any:
        def observe(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            subject.x = inputs[0].detach()
            # a step that treats nothing: layers are plain without gradients of their own
            seen = output.detach().requires_grad_() if not output.requires_grad else output
            seen.register_hook(lambda grad: setattr(subject, "dy", grad.detach()))
            return seen

        return observe

    handles = [s.layer.register_forward_hook(hook(s)) for s in subjects.values()]
    layers = [subject.layer for subject in subjects.values()]
    try:
        for layer in layers:
            layer.bypass = True  # type: ignore[assignment]  # an attribute of treated layers
        value = loss(module, batch)
        wanted = [p for p in module.parameters() if p.requires_grad]
        torch.autograd.grad(value, wanted, allow_unused=True)
    finally:
        for layer in layers:
            layer.bypass = False  # type: ignore[assignment]  # an attribute of treated layers
        for handle in handles:
            handle.remove()
