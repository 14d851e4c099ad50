"""The base of layers whose weight is only `L R`: what they store, and the gradient from it.

No dense `O x I` tensor exists, except where gradients are added that are no factors, and where
other code reads the weight.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from ondevice_bench.measure.decomposition_marker import decomposition
from ondevice_bench.methods.compressed_input import all_but_features
from ondevice_bench.methods.convolution import Geometry
from ondevice_bench.methods.first_derivative import first_derivative
from ondevice_bench.methods.function_call import apply_function, own_precision, without_view
from ondevice_bench.methods.iteration_schedule import IterationSchedule
from ondevice_bench.methods.method import ReplacementLayer
from ondevice_bench.methods.optimizer_guard import guard_subspace
from ondevice_bench.methods.pending_gradient import PendingGradient
from ondevice_bench.methods.read_only import read_only
from ondevice_bench.methods.scheme import Scheme, StoredTensors
from ondevice_bench.methods.subspace import DenseGradient, FactoredGradient, WeightGradient
from ondevice_bench.methods.tensors import NotFiniteTensor, truncated
from ondevice_bench.methods.thin_products import products
from ondevice_bench.methods.total_norm import refuse_other_norms

# how the factors follow the gradient: by an iteration, by an SVD, or as ordinary parameters
Update: TypeAlias = Literal["subspace", "svd", "factors"]
_OTHERWISE = {  # what has none of the limits of a gradient outside of parameters
    "subspace": "`update: factors`",
    "svd": "`wsi` with `update: factors`",
}


class _LowRankStep(torch.autograd.Function):
    """Forward and `dX` through the factors; the weight gradient stays with the layer, thin."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, left: Tensor, right: Tensor, bias: Tensor | None, layer: "LowRankLayer"
    ) -> Tensor:
        y = without_view(layer.product(x, left, right, bias))
        try:
            stored = layer.store(x)
        except NotFiniteTensor as error:
            raise NotFiniteTensor(f"{layer.name}: the input {error}") from None
        ctx.save_for_backward(left, right, *stored)
        ctx.layer, ctx.shape, ctx.held = layer, tuple(x.shape), id(layer.left)
        return y

    @staticmethod
    @first_derivative
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        left, right, *stored_list = ctx.saved_tensors
        layer, stored = ctx.layer, tuple(stored_list)
        needs_x, needs_left, needs_right, needs_bias, _ = ctx.needs_input_grad
        dx = layer.input_gradient(dy, ctx.shape, left, right) if needs_x else None
        dl = dr = db = None
        if needs_left or needs_right:
            layer.require_own(ctx.held)
            if layer.is_asked_for_gradients():
                dl, dr = layer.weight_gradient(stored, dy, ctx.shape, left, right)
            elif layer.pending is not None:
                layer.pending.drop_call()
        if needs_bias:
            db = dy.sum(all_but_features(dy, layer.geometry))
        if layer.scheme is not None:
            layer.scheme.advance(stored)
        return dx, dl, dr, db, None


class _ReadWeight(torch.autograd.Function):
    """`L R` for code that reads the weight itself. Its gradient goes to the layer, dense."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, layer: "LowRankLayer") -> Tensor:
        ctx.layer, ctx.held = layer, id(layer.left)
        with own_precision():
            return left @ right

    @staticmethod
    @first_derivative
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        ctx.layer.require_own(ctx.held)
        ctx.layer.add_read(gradient)
        return None, None, None


class LowRankLayer(ReplacementLayer):
    """`Y = (X Rᵀ) Lᵀ + b`. The layer stores X itself, or the tensors of a scheme for X.

    With the subspace update, the gradient of the weight lies in `pending`. Otherwise there is none.
    Each kind derives from its plain class, too: loops may look for layers by their class.
    """

    def __init__(
        self,
        plain: nn.Module,
        rank: int,
        scheme: Scheme | None,
        name: str,
        *,
        update: Update,
        schedule: IterationSchedule,
    ) -> None:
        nn.Module.__init__(self)  # the plain class would make a weight
        assert isinstance(plain, (nn.Linear, nn.Conv2d))
        matrix = plain.weight.detach().flatten(1)
        left, right = truncated(matrix, rank)
        trains = plain.weight.requires_grad
        self.left = nn.Parameter(left.contiguous(), requires_grad=trains)  # (O, K)
        self.right = nn.Parameter(right.contiguous(), requires_grad=trains)  # (K, I)
        bias = plain.bias
        assert bias is None or isinstance(bias, nn.Parameter)
        self.register_parameter("bias", bias)
        self.pending = None
        if trains and update != "factors":
            self.pending = PendingGradient(name, left.dtype, _OTHERWISE[update])
        self.scheme = scheme
        self.name = name
        self.update = update
        self.schedule = schedule
        self.geometry = Geometry.from_layer(plain) if isinstance(plain, nn.Conv2d) else None
        self.train(plain.training)
        self._guard()

    bias: Tensor | None

    def _guard(self) -> None:
        """With a subspace update: refuse what could not train the factors."""
        if self.pending is not None:
            guard_subspace(self)
            refuse_other_norms()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # torch has no types here
        self._guard()

    def require_mergeable(self) -> None:
        """A Refusal if other code has averaged or changed the factors."""
        if self.pending is not None:
            self.pending.require_own_factors()

    @abstractmethod
    def product(self, x: Tensor, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        """The output, through K features."""

    @abstractmethod
    def input_gradient(
        self, dy: Tensor, shape: tuple[int, ...], left: Tensor, right: Tensor
    ) -> Tensor:
        """`dX = (dY L) R`."""

    @abstractmethod
    def pair(self, stored: StoredTensors, dy: Tensor) -> FactoredGradient:
        """`G` in two factors, from the tensors of the scheme."""

    @abstractmethod
    def as_rows(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and output gradients as matrices with `G = dYᵀ X`."""

    def forward(self, input: Tensor) -> Tensor:
        """The product. Where gradients are on, its backward leaves a gradient for the factors."""
        self.require_mergeable()
        if self.bypass or not (torch.is_grad_enabled() and self.left.requires_grad):
            return self.product(input, self.left, self.right, self.bias)
        if self.pending is not None:
            self.pending.begin_call(self.left, self.right)
        self.input_shape = tuple(input.shape)
        return apply_function(_LowRankStep, input, self.left, self.right, self.bias, self)

    @property
    def weight(self) -> Tensor:
        """`L R` in the shape of the plain layer's weight. It is computed when it is read."""
        self.require_mergeable()
        if torch.is_grad_enabled() and self.pending is not None:
            matrix: Tensor = _ReadWeight.apply(self.left, self.right, self)  # type: ignore[no-untyped-call]  # torch's stub has no types
        else:
            matrix = self.dense()
        return read_only(self.in_plain_shape(matrix), self.name)

    def require_own(self, held: int) -> None:
        """In backward: a Refusal if the layer had other factors in forward, known by `id`."""
        if self.pending is not None and id(self.left) != held:
            raise self.pending.refusal(
                "cannot reach factors that are not those of the network "
                "(torch.func.functional_call)"
            )

    def is_asked_for_gradients(self) -> bool:
        """In backward: whether it computes the gradients of factors at all."""
        if self.pending is None:
            return True
        node = torch.autograd.graph.get_gradient_edge(self.left).node
        try:
            return torch._C._will_engine_execute_node(node)
        except RuntimeError:  # torch.autograd.grad would return this gradient
            raise self.pending.refusal("cannot be returned by torch.autograd.grad") from None

    def state(self) -> Iterator[Tensor]:
        """The buffers of the scheme."""
        return iter(()) if self.scheme is None else self.scheme.buffers()

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        if self.pending is not None:
            self.pending.write_mark(self.left, self.right)
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def store(self, x: Tensor) -> StoredTensors:
        """The tensors to store for this input until backward."""
        if self.scheme is None:
            return (x,)
        with decomposition():
            return self.scheme.store(x, self.geometry)

    def weight_gradient(
        self, stored: StoredTensors, dy: Tensor, shape: tuple[int, ...], left: Tensor, right: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of the factors; none if the gradient of the weight is pending instead."""
        dtype = self.left.dtype  # under autocast, inputs have less precision than the factors
        if self.scheme is not None:
            pair = self.pair(stored, dy)
            if self.pending is None:
                return pair.times(right.T), pair.transposed_times(left).T
            self.pending.add(pair.to(dtype))
            return None, None
        x, dy = self.as_rows(stored[0], dy)
        if self.pending is None:
            return dy.T @ (x @ right.T), (dy @ left).T @ x
        if self.update == "subspace" and self.pending.takes_products:
            factors = self.left.detach(), self.right.detach()
            self.pending.set(products(x.to(dtype), dy.to(dtype), *factors))
        else:
            self.pending.add(DenseGradient((dy.T @ x).to(dtype)))
        return None, None

    @property
    def gradient(self) -> WeightGradient | None:
        """The gradient that the next update applies, or None."""
        return None if self.pending is None else self.pending.gradient

    def add_read(self, gradient: Tensor) -> None:
        """Add the gradient of a `weight` that other code has read."""
        assert self.pending is not None
        self.pending.add(DenseGradient(gradient.clone()))

    def dense_gradient(self, stored: StoredTensors, dy: Tensor) -> Tensor:
        """`G (O, I)` from the stored tensors: for comparison, never in a step."""
        if self.scheme is not None:
            columns = torch.eye(self.right.shape[1], dtype=dy.dtype)
            return self.pair(stored, dy).times(columns)
        x_rows, dy_rows = self.as_rows(stored[0], dy)
        return dy_rows.T @ x_rows

    def dense(self) -> Tensor:
        """`L R`: for merging and for tests, never in a step."""
        with own_precision():
            return self.left @ self.right

    def merged_weight(self) -> nn.Parameter:
        """The weight of the plain layer that computes the same."""
        weight = self.in_plain_shape(self.dense().detach())
        return nn.Parameter(weight, requires_grad=self.left.requires_grad)

    @abstractmethod
    def in_plain_shape(self, matrix: Tensor) -> Tensor:
        """A matrix `(O, I)` in the shape of the plain layer's weight."""
