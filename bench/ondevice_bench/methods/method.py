"""The base classes of every training method.

A method of a user's own is derived from `LayerMethod` if it replaces layers, else from `Method`.
Its options are the keyword arguments of its `__init__`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.layer_flops import LayerFlops
from ondevice_bench.methods.projected_update import Projection
from ondevice_bench.methods.ranks import RankChoice, Ranks
from ondevice_bench.methods.scheme import Scheme
from ondevice_bench.methods.stored_size import Stored
from ondevice_bench.methods.tensors import largest_rank
from ondevice_bench.specs.layout import ModelLayout


class Method:
    """A training method. The defaults of all members leave training unchanged."""

    slices: int = 1
    """The number of slices of the batch that a step runs one after the other."""

    trains_shifts: bool = False
    """Whether the shift of a batch-norm trains even if a suite freezes batch-norm."""

    freezes: bool = False
    """Whether the method freezes layers: all that no other entry of a mix has."""

    updates_in_backward: bool = False
    """Whether backward updates each parameter when its gradient is complete."""

    projection: Projection | None = None
    """How the optimizer projects the gradients of the chosen layers; None if it does not."""

    def projects(self, layer: nn.Module) -> str | None:
        """The reason why the gradient of this layer's weight is not projected; None if it is."""
        return "the method projects no gradients"

    def leave_out(self, layers: Sequence[str]) -> None:
        """The layers that the other entries of a mix have, before `wrap`."""

    def wrap(self, model: nn.Module, layout: ModelLayout) -> None:
        """Change the network in place, before training begins."""

    def require_unwrappable(self, model: nn.Module) -> None:
        """Before `unwrap`: a Refusal if other code has changed what it needs."""

    def unwrap(self, model: nn.Module) -> None:
        """Undo `wrap`."""

    def packing(self, model: nn.Module) -> AbstractContextManager[None]:
        """A context around each forward. In it the method may change how tensors are saved."""
        return nullcontext()

    def see_inputs(self, inputs: Iterator[Tensor]) -> None:
        """The tensors with which the network is called, within `packing`."""

    def packed_tensors(self) -> Iterator[Tensor]:
        """Tensors that are alive for backward, but hidden from saved-tensor hooks."""
        return iter(())

    def notes(self) -> list[str]:
        """After some steps: what a reader of their numbers must know."""
        return []


@dataclass(frozen=True)
class InputRule:
    """The inputs for which the methods are defined. `decomposes` if the method decomposes them."""

    name: str
    is_convolution: bool
    decomposes: bool

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise a Refusal for an input of another shape."""
        if self.is_convolution and len(shape) != 4:
            raise Refusal(
                f"{self.name}: the input has the shape {shape}: methods treat convolutions of "
                "batches (B, C, H, W) only"
            )
        if not self.is_convolution and len(shape) < 2:
            raise Refusal(
                f"{self.name}: the input has the shape {shape}: methods treat linear layers with "
                "inputs of two or more dimensions only"
            )
        if self.decomposes and 0 in shape:
            raise Refusal(
                f"{self.name}: the input has the shape {shape}: the method cannot decompose an "
                "empty tensor"
            )


class ReplacementLayer(nn.Module):
    """The layer with which a method replaces a plain one.

    What must train is a Parameter. What forward stores for backward goes through
    `ctx.save_for_backward`, or the activation bytes would miss it.
    """

    inputs: InputRule | None = None
    """The inputs that the layer may get in training: `treat` sets it."""

    _input_shape: tuple[int, ...] | None = None

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of the last training input: `forward` sets it, before it computes."""
        return self._input_shape

    @input_shape.setter
    def input_shape(self, shape: tuple[int, ...]) -> None:
        if self.training and self.inputs is not None:
            self.inputs.check(shape)
        self._input_shape = shape

    bypass: bool = False
    """While this is true, `forward` computes as the plain layer would: calibration sets it."""

    def calibrate(self, x: Tensor) -> None:
        """Keep what the layer needs of its input in the calibration batch."""

    def require_mergeable(self) -> None:
        """Before `merge`: a Refusal if other code has changed the layer in a wrong way."""

    def merge(self) -> nn.Module:
        """A plain layer that computes the same."""
        raise NotImplementedError(f"{type(self).__name__} defines no merge()")

    def state(self) -> Iterator[Tensor]:
        """Tensors besides parameters that the layer needs in the next step."""
        return iter(())


class LayerMethod(Method, ABC):
    """A method that replaces layers. docs/adding-a-method.md shows a complete example."""

    ranked: ClassVar[frozenset[str]] = frozenset()
    """The tensors with ranks: "activation", "weight" or both. Every rank rule applies to them."""

    reference: ClassVar[type[Scheme] | None] = None
    """The scheme whose error a memory budget weighs; required for ranks of activations."""

    keeps_weight: ClassVar[bool] = False
    """Whether the new layer trains the very weight Parameter of the old one.

    Only then may the method replace a layer that shares its weight with another, or whose weight is
    frozen or has a hook. All others would untie the two, train what was frozen, or lose the hook.
    Such layers are left alone, and `Treatment.refusals` says why.
    """

    keeps_calibration: ClassVar[bool] = False
    """Whether a layer trains with something of the calibration batch, besides ranks."""

    passes_over: ClassVar[str] = ""
    """Inputs with which a layer trains plainly and counts as not called: `their inputs have …`."""

    exact_input_gradient: ClassVar[bool] = True
    """Whether `dX` is that of the plain layer."""

    period: int = 1
    """The number of steps after which the work of a layer repeats: `flops` has their mean."""

    @abstractmethod
    def applies(self, layer: nn.Module) -> str | None:
        """The reason why the method leaves this layer unchanged; None if it replaces the layer.

        Layers that no method may replace (`refusals.py`) never come here.
        """

    @abstractmethod
    def replace(self, layer: nn.Module, choice: RankChoice, name: str) -> ReplacementLayer:
        """The new layer. `name` is for error messages."""

    @abstractmethod
    def stored(self, layer: nn.Module, shape: tuple[int, ...], ranks: tuple[int, ...]) -> Stored:
        """What the layer stores from forward to backward for an input of that shape.

        A number counts elements of the network's type. If tensors have other types, return a list
        with an entry for each tensor: its elements, or the pair `(elements, dtype)`.

        `layer` is the plain layer; its parameters may have no storage.
        """

    def flops(self, layer: nn.Module, shape: tuple[int, ...], ranks: Ranks) -> LayerFlops | None:
        """The FLOPs of the layer by closed formulas; None if the method has none."""
        return None


def activation_ranks(
    method: LayerMethod, choice: RankChoice, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The rank of each mode that the method compresses, for an input of this shape."""
    if method.reference is None:
        return ()
    largest = tuple(largest_rank(shape, mode) for mode in ranked_modes(method, len(shape)))
    return choice.of_input(largest, follows_batch=method.reference.follows_batch)


def ranked_modes(method: LayerMethod, dimensions: int) -> tuple[int, ...]:
    """The modes that the method compresses, of an input with this number of dimensions."""
    return () if method.reference is None else method.reference.modes(dimensions)


def select_modes(method: LayerMethod, ranks: Ranks) -> Ranks:
    """Of the ranks of all modes, those of the modes that the method compresses."""
    if method.reference is None or not ranks.activation:
        return ranks
    modes = ranked_modes(method, len(ranks.activation))
    return Ranks(tuple(ranks.activation[mode] for mode in modes), ranks.weight)
