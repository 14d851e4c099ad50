"""The gradient of a weight in two factors, from backward until the subspace update."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.factor_mark import SHAPE, FactorMark
from ondevice_bench.methods.subspace import (
    GradientSum,
    ProductsGradient,
    Summand,
    WeightGradient,
)
from ondevice_bench.methods.tensors import has_content, working

_LEAST, _SPREAD = 2e-5, 100.0  # each entry of `norm` but the first has at least this share
_NUMBERS = 4  # of a gradient, from which its share follows
_TOLERANCE = 16  # times the rounding of a gradient's entries, of the ratio of two of them


class UnconsumedUpdate(Refusal):
    """A training step begins, but no optimizer has applied the last one's gradient."""


class ChangedGradient(Refusal):
    """A loop changed the gradient of a factored weight in another way than by a factor."""


class UnclearedGradient(Refusal):
    """A loop goes on with a gradient that an update has applied already."""


class PendingGradient(nn.Module):
    """It lies outside of parameters. A training loop sees the parameter `norm`.

    `norm` computes nothing. Its gradient has the norm of the weight's gradient. If the loop scales
    or clears it, the weight's gradient is scaled or cleared, too.

    The value of `norm` is a mark of the factors. It is a matrix, so that rules by the number of
    dimensions treat it as the weight for which it stands, and a change of single rows is seen.
    """

    def __init__(self, name: str, dtype: torch.dtype, otherwise: str) -> None:
        super().__init__()
        self.name = name
        self.otherwise = otherwise  # what to use where this is refused
        self.norm = nn.Parameter(working(torch.zeros(SHAPE, dtype=dtype)))
        self.accumulates = 1  # backward passes before each update
        self.was_frozen = False  # a loop may have taken its list of parameters without `norm`
        self._mark = FactorMark()
        self._mark.write(self.norm)
        self._share = _LEAST  # of the square of the norm, in each entry but the first
        self._gradient: GradientSum | ProductsGradient | None = None  # since the last update
        self._applied: Tensor | None = None  # what `norm` showed in the last update
        self._is_added = False  # whether the gradient came on top of it
        self._is_of_others = False  # whether other factors were loaded after it
        self._calls = {True: 0, False: 0}  # forward calls since then, by whether in backward
        self._passes = 0  # backward passes since then, without the last
        self._is_backward_done = False  # since the last forward call

    def __setstate__(self, state: dict[str, Any]) -> None:
        added = {"was_frozen": False, "_share": _LEAST, "_applied": None}
        added |= {"_is_added": False, "_is_of_others": False}
        super().__setstate__({**added, **state})  # type: ignore[no-untyped-call]  # torch has no types here
        self._mark.take_over(self.norm)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """A network may become one of bfloat16. The factor of a gradient needs more digits."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's stub has no types
        self.norm.data = working(self.norm.data)
        return self

    def expect(self, passes: int, *, trains: bool) -> None:
        """For a new optimizer: how many backward passes come before each update, if any."""
        self.accumulates = passes
        if trains:
            self._thaw()
        else:
            self.norm.requires_grad_(False)

    def _thaw(self) -> None:
        """Let `norm` train. A loop may have frozen it by its name."""
        if not self.norm.requires_grad:
            self.was_frozen = True
            self.norm.requires_grad_(True)

    def refusal(self, what: str) -> Refusal:
        """What a gradient outside of parameters cannot do."""
        return Refusal(
            f"{self.name}: the gradient of a subspace update lies outside of parameters and "
            f"{what}: use {self.otherwise}"
        )

    def require_own_factors(self) -> None:
        """A Refusal if other code has averaged or changed the factors."""
        if torch.compiler.is_compiling() or not has_content():
            return
        if not self._mark.is_in(self.norm):
            raise Refusal(
                f"{self.name}: other code has averaged, copied or changed these factors, one by "
                "one. Average networks that `copy.deepcopy(treatment).merge()` gives, and update "
                "with the optimizer that Treatment.optimizer returns"
            )

    def require_no_other(self, *factors: Tensor) -> None:
        """Before an update: a Refusal if factors have a gradient that is not the weight's."""
        for each in factors:
            if each.grad is not None and has_content() and bool(each.grad.any()):
                raise Refusal(
                    f"{self.name}: something else gave the factors a gradient, such as a penalty "
                    "on all parameters. Use the weight decay of Treatment.optimizer, a penalty on "
                    f"the `weight` of the layer, or {self.otherwise}"
                )
            each.grad = None  # zeros: weight decay would change the factor

    def write_mark(self, *factors: Tensor) -> None:
        """Before the factors are saved: write their mark into `norm`."""
        self._mark.save(self.norm, *factors)

    def begin_call(self, *factors: Tensor) -> None:
        """Before a forward call that trains: a Refusal if its gradient could not be applied."""
        if is_distributed() or DistributedDataParallel._active_ddp_module is not None:
            raise self.refusal("cannot be averaged over processes")
        if not all(isinstance(each, nn.Parameter) for each in factors):
            raise self.refusal(
                "cannot reach factors that are no parameters (torch.func.functional_call)"
            )
        if not all(each.requires_grad for each in factors):
            raise self.refusal("cannot train one of two factors while the other is frozen")
        if any(each._backward_hooks or each._post_accumulate_grad_hooks for each in factors):
            raise self.refusal("cannot run the hooks on parameters")
        self._thaw()
        self._clear_if_cleared()
        inside = _is_inside_backward()
        if self._is_backward_done and not inside:
            self._passes += 1
            if self._passes >= self.accumulates:
                raise UnconsumedUpdate(
                    f"{self.name}: the gradient of the last backward pass was not applied. Train "
                    "with the optimizer that Treatment.optimizer returns, and call its step() or "
                    "zero_grad(). If the loop adds up the gradients of N backward passes, write "
                    "Treatment.optimizer(..., accumulate=N)"
                )
            self._is_backward_done = False
        self._calls[inside] += 1

    @property
    def takes_products(self) -> bool:
        """Whether one gradient comes before the next update. Products are no sum."""
        return max(self._calls.values()) == self.accumulates == 1 and self.gradient is None

    @property
    def gradient(self) -> WeightGradient | None:
        """The gradient that the next update applies, or None. A loop may have cleared it."""
        self._clear_if_cleared()
        return self._gradient

    def set(self, gradient: GradientSum | ProductsGradient) -> None:
        """Let this be the gradient. `take` refuses what a loop has added to `norm`."""
        others = None if self._gradient is not None else self.norm.grad
        if self._is_applied(others):  # the loop may still clear both
            self._is_added, others = True, None
        self._gradient, self._share = gradient, _share_of(gradient)
        shown = self._shown(gradient)
        self.norm.grad = shown if others is None else shown + others
        self._is_backward_done = True

    def add(self, summand: Summand) -> None:
        """Add the gradient of one more backward call."""
        pending = self.gradient
        if isinstance(pending, ProductsGradient):
            raise Refusal(
                f"{self.name}: a second gradient arrived, and it cannot be added to the thin "
                "products of the first. Write Treatment.optimizer(..., accumulate=2), or use "
                f"{self.otherwise}"
            )
        if pending is None:
            self.set(GradientSum.of(summand))
        else:
            assert isinstance(pending, GradientSum)
            self.set(pending.scaled(self._scale()).plus(summand))

    def take(self) -> tuple[WeightGradient | None, float] | None:
        """The gradient and its factor, for the update; None if there is nothing to update.

        A loop may have filled the gradient with zeros. Then there is none, but the weight decays.
        """
        gradient, found = self.gradient, self.norm.grad
        taken: tuple[WeightGradient | None, float] | None = None
        if self._is_added or self._is_applied(found):
            raise UnclearedGradient(
                f"{self.name}: the gradient that the last step() has applied is still there, and a "
                "subspace update cannot use it again: call zero_grad() after each step(), or use "
                f"{self.otherwise}"
            )
        if gradient is not None:
            if self._is_of_others and isinstance(gradient, ProductsGradient):
                raise Refusal(
                    f"{self.name}: weights were loaded between backward and step(), and the thin "
                    "products of the gradient belong to the weights before: load them before "
                    "backward, or call zero_grad()"
                )
            taken = gradient, self._scale()
        elif found is not None:
            if has_content() and found.any():
                raise self._changed()  # it is the gradient of another step, or of another network
            taken = None, 1.0
        self._applied, self.norm.grad = found, None  # nothing in `norm` is to be trained
        return taken

    def _is_applied(self, found: Tensor | None) -> bool:
        """Whether this is the gradient of the last update, and the loop has not cleared it."""
        if found is None or found is not self._applied or not has_content():
            return False
        return bool(found.any())

    def _scale(self) -> float:
        """The factor by which the training loop has scaled the gradient since backward."""
        assert self._gradient is not None
        expected, found = self._shown(self._gradient), self.norm.grad
        assert found is not None
        if not has_content():
            return 1.0
        if not expected.any():
            if found.any():
                raise self._changed()
            return 1.0
        ratios = (found / expected).flatten()
        tolerance = _TOLERANCE * torch.finfo(ratios.dtype).eps
        if not torch.isclose(ratios, ratios[0], rtol=tolerance, equal_nan=True).all():
            raise self._changed()
        return ratios[0].item()

    def _changed(self) -> ChangedGradient:
        return ChangedGradient(
            f"{self.name}: the training loop changed the gradients in another way than by one "
            "factor (such as clip_grad_norm_), which cannot be done to a subspace update: use "
            f"{self.otherwise}"
        )

    def clear(self, *, set_to_none: bool = True) -> None:
        """Forget the gradient. A forward call before it may still get its backward."""
        if set_to_none:
            self.norm.grad = self._applied = None
        elif self.norm.grad is not None:
            self.norm.grad.zero_()
        self._forget()

    def _forget(self) -> None:
        self._gradient, self._is_added, self._is_of_others = None, False, False
        self._passes = 0
        if self._is_backward_done:
            self._begin_count()

    def drop_call(self) -> None:
        """Forget a forward call whose backward asks for other gradients, if it runs only once."""
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            self._calls = {where: max(0, count - 1) for where, count in self._calls.items()}

    def end_step(self) -> None:
        """Forget all that was before an update. As with any gradient, `norm` still shows it."""
        self._forget()
        self._begin_count()
        self.norm.grad = self._applied

    def _begin_count(self) -> None:
        self._calls = {True: 0, False: 0}
        self._is_backward_done = False

    def count_update(self) -> None:
        """Note that the factors have new values, and forget the gradient."""
        self._mark.renew(self.norm)
        self.end_step()

    def _shown(self, gradient: WeightGradient) -> Tensor:
        """The gradient of `norm`: its entries together have the norm of the gradient.

        A factor keeps their ratios. So another change is seen. Another gradient has other ratios,
        so a sum of two gradients is seen, too.
        """
        norm = gradient.squared_norm.sqrt().to(self.norm.dtype)
        small = self._share**0.5
        return norm * norm.new_tensor((((1 - 3 * self._share) ** 0.5, small), (small, small)))

    def _clear_if_cleared(self) -> None:
        """If a loop has cleared the gradient of `norm`, forget the weight's gradient."""
        if self._gradient is None:
            return
        found = self.norm.grad
        if found is None or (
            has_content() and not found.any() and bool(self._gradient.squared_norm > 0)
        ):
            self._forget()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *_: Any) -> None:
        """Take the mark, if there is one: files of earlier versions have none.

        A `state_dict` of this network that nobody has copied holds the very tensors of today.
        """
        found: Tensor | None = state_dict.get(f"{prefix}norm")
        if found is not None and not found.is_set_to(self.norm):
            self._mark.load(self.norm, found)
            self._is_of_others = self._gradient is not None


def _share_of(gradient: WeightGradient) -> float:
    """A share between 2e-5 and 2e-3 that looks random. It follows from numbers of the gradient.

    So two trainings with the same seed are equal to the last bit.
    """
    if not has_content():
        return _LEAST
    first = next(gradient.tensors())
    numbers = gradient.squared_norm.item(), *first[0, :_NUMBERS].tolist()
    return float(_LEAST * _SPREAD ** (hash(numbers) % 2**32 / 2**32))


def is_distributed() -> bool:
    """Whether several processes train together."""
    return (
        torch.distributed.is_available()
        and torch.distributed.is_initialized()
        and torch.distributed.get_world_size() > 1
    )


def _is_inside_backward() -> bool:
    """Whether a backward pass runs now, as it does when a checkpoint runs forward again."""
    return bool(torch._C._current_graph_task_id() != -1)
