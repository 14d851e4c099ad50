"""Choosing ranks on a batch: by energy, layer by layer, or by a budget over all of them."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.function_call import own_precision
from ondevice_bench.methods.method import LayerMethod, ReplacementLayer, ranked_modes
from ondevice_bench.methods.ranks import (
    GRID,
    BelowLeast,
    RankCandidate,
    RankChoice,
    RankRule,
    Ranks,
    by_epsilon,
    least_bytes,
    least_perplexity,
    within_budget,
    within_perplexity,
)
from ondevice_bench.methods.stored_size import stored_size
from ondevice_bench.methods.tensors import NotFiniteTensor, energies, largest_rank, working
from ondevice_bench.models.layers import layer_input

# over all layers: the best within a bound, and the least possible
_JOINT = {
    "budget_mib": (within_budget, least_bytes),
    "perplexity": (within_perplexity, least_perplexity),
}


@dataclass
class LayerCalibration:
    """A layer without ranks yet, with its input and output gradient of one step."""

    layer: ReplacementLayer
    plain: nn.Module  # the plain layer, without storage
    method: LayerMethod
    choice: RankChoice
    x: Tensor | None = None
    dy: Tensor | None = None
    calls: int = 0
    spectra: tuple[Tensor, ...] = field(default=())

    @property
    def modes(self) -> tuple[int, ...]:
        """The modes of the input that have a rank."""
        assert self.x is not None
        return ranked_modes(self.method, self.x.ndim)

    def by_epsilon(self, epsilon: float) -> tuple[int, ...]:
        """The rank of each mode for a share of energy."""
        assert self.x is not None
        if not self.spectra:
            try:
                with own_precision():
                    self.spectra = tuple(energies(working(self.x), mode) for mode in self.modes)
            except NotFiniteTensor as error:
                raise NotFiniteTensor(f"{self.choice.layer}: the input {error}") from None
        largest = tuple(largest_rank(tuple(self.x.shape), mode) for mode in self.modes)
        ranks = tuple(
            by_epsilon(epsilon, spectrum, top)
            for spectrum, top in zip(self.spectra, largest, strict=True)
        )
        return self.choice.rounded(ranks, largest)

    def candidates(self) -> list[RankCandidate]:
        """The ranks for every share of the grid, with their bytes and their gradient error."""
        assert self.x is not None
        assert self.dy is not None
        self.x = self.x.to(self.dy.dtype)  # the type in which the layer computes, under autocast
        exact = self._gradient(None)
        candidates = []
        for epsilon in GRID:
            ranks = self.by_epsilon(epsilon)
            error = torch.linalg.vector_norm(self._gradient(ranks) - exact).item()
            stored = self.method.stored(self.plain, tuple(self.x.shape), ranks)
            size = stored_size(stored, self.x.dtype)
            candidates.append(RankCandidate(ranks, size.bytes, error))
        return candidates

    def _gradient(self, ranks: tuple[int, ...] | None) -> Tensor:
        """`dW` from the tensors of the method's reference scheme, or from the input itself."""
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
        assert self.method.reference is not None
        scheme = self.method.reference()
        scheme.choice = RankChoice(self.choice.layer, ranks=Ranks(ranks))
        stored = scheme.store(x, geometry)
        if geometry is None:
            return scheme.linear_gradient(stored, dy)
        weight = x.new_empty(1).expand(shape)
        return scheme.conv_gradient(stored, dy, tuple(x.shape), weight, geometry)


def calibrate(
    module: nn.Module,
    layers: Mapping[str, LayerCalibration],
    every: Sequence[ReplacementLayer],
    batch: Any,
    loss: Callable[[nn.Module, Any], Tensor],
) -> list[str]:
    """Run the batch through the plain network, and choose the ranks of these layers.

    `every` are all layers that methods have replaced. Returns notes: what a reader of the ranks
    must know.
    """
    jointly: dict[LayerMethod, list[LayerCalibration]] = {}
    alone = dict(layers)
    for name, layer in layers.items():
        if layer.choice.rule is not None and layer.choice.rule.kind in _JOINT:
            jointly.setdefault(layer.method, []).append(alone.pop(name))
    if alone:
        with torch.no_grad(), _deciding(alone.values()):
            _run(module, batch, loss)
    if jointly:
        joint = [layer for of_method in jointly.values() for layer in of_method]
        _observe(module, joint, every, batch, loss)
    return [note for of_method in jointly.values() for note in _choose_jointly(of_method)]


def _choose_jointly(layers: Sequence[LayerCalibration]) -> list[str]:
    """Choose the ranks of all layers of one method, by their common bound. Returns notes."""
    rule = layers[0].choice.rule
    assert rule is not None
    reached = [layer for layer in layers if layer.dy is not None]
    with own_precision():
        candidates = [layer.candidates() for layer in reached]
    best, notes = _best(candidates, rule)
    for layer, ranks, index in zip(reached, candidates, best, strict=True):
        layer.choice.decide(ranks[index].ranks)
    return notes


def _best(
    candidates: Sequence[Sequence[RankCandidate]], rule: RankRule
) -> tuple[tuple[int, ...], list[str]]:
    """One candidate for each layer, by a bound over all of them, and notes on them."""
    assert isinstance(rule.value, float)
    within, least = _JOINT[rule.kind]
    try:
        return within(candidates, rule.value), []
    except BelowLeast as error:
        if not rule.takes_least:
            raise
        return least(candidates), [f"{error}: the least possible was taken"]


def keep(
    module: nn.Module,
    layers: Iterable[ReplacementLayer],
    batch: Any,
    loss: Callable[[nn.Module, Any], Tensor],
) -> None:
    """Run the batch through the plain network, and show every layer its input."""

    def hook(
        layer: ReplacementLayer, inputs: tuple[Tensor, ...], named: Mapping[str, Tensor]
    ) -> None:
        layer.calibrate(layer_input(inputs, named).detach())

    handles = [layer.register_forward_pre_hook(hook, with_kwargs=True) for layer in layers]
    try:
        with torch.no_grad():
            _run(module, batch, loss)
    finally:
        for handle in handles:
            handle.remove()


def _run(module: nn.Module, batch: Any, loss: Callable[[nn.Module, Any], Tensor]) -> None:
    if isinstance(batch, Tensor):
        module(batch)
    else:
        loss(module, batch)


@contextlib.contextmanager
def _deciding(layers: Iterable[LayerCalibration]) -> Iterator[None]:
    """Choose the ranks of each layer in its forward, and release its input."""

    def hook(layer: LayerCalibration) -> Any:
        def decide(_: nn.Module, inputs: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> None:
            layer.x, layer.spectra = layer_input(inputs, named).detach(), ()
            rule = layer.choice.rule
            assert rule is not None
            if rule.kind == "epsilon":
                assert isinstance(rule.value, float)
                layer.choice.decide(layer.by_epsilon(rule.value))
            else:
                shape = tuple(layer.x.shape)
                layer.choice.of_activation(tuple(largest_rank(shape, m) for m in layer.modes))
            layer.x = None

        return decide

    handles = [one.layer.register_forward_pre_hook(hook(one), with_kwargs=True) for one in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _observe(
    module: nn.Module,
    layers: Sequence[LayerCalibration],
    every: Sequence[ReplacementLayer],
    batch: Any,
    loss: Callable[[nn.Module, Any], Tensor],
) -> None:
    """Each layer's input and output gradient of one plain step."""
    rule = layers[0].choice.rule
    assert rule is not None
    if isinstance(batch, Tensor):
        raise ValueError(f"{rule.kind} needs targets too: calibrate((inputs, targets))")

    def hook(layer: LayerCalibration) -> Any:
        def observe(
            _: nn.Module, inputs: tuple[Tensor, ...], named: Mapping[str, Tensor], output: Tensor
        ) -> Tensor:
            layer.calls += 1
            layer.x = layer_input(inputs, named).detach()
            # with `bypass`, layers compute as plain ones and may have no gradient
            leaf = output if output.requires_grad else output.detach().requires_grad_()
            leaf.register_hook(lambda grad: setattr(layer, "dy", grad.detach()))
            return leaf

        return observe

    handles = [  # before the user's hooks, which may change the output
        one.layer.register_forward_hook(hook(one), with_kwargs=True, prepend=True) for one in layers
    ]
    try:
        for layer in every:
            layer.bypass = True
        with torch.inference_mode(mode=False), torch.enable_grad():  # a loop may have none there
            value = loss(module, batch)
            _require_one_call(layers, rule)
            parameters = [p for p in module.parameters() if p.requires_grad]
            torch.autograd.grad(value, parameters, allow_unused=True)
    finally:
        for layer in every:
            layer.bypass = False
        for handle in handles:
            handle.remove()


def _require_one_call(layers: Sequence[LayerCalibration], rule: RankRule) -> None:
    """A Refusal for a layer that stores several inputs: the rule would count one of them."""
    for layer in layers:
        if layer.calls > 1:
            raise Refusal(
                f"{layer.choice.layer}: {rule.kind} is for layers that are called once, and the "
                f"network calls this one {layer.calls} times: give another rule"
            )
