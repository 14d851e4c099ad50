"""Updating each parameter in backward, the moment its gradient is complete.

Autograd calls a hook after it has added up the gradient of a parameter. By then nothing in this
backward pass needs the old value of the parameter, however often the network uses it. The hook
updates the parameter by a step of the optimizer over it alone, and frees the gradient. A mark takes
its place in `.grad`.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.applied_gradient import (
    NAME,
    AppliedGradient,
    early_clearing,
    second_gradient,
    uncleared_gradient,
)
from ondevice_bench.methods.effect import require_effect
from ondevice_bench.methods.function_call import is_transformed
from ondevice_bench.methods.pending_gradient import is_distributed
from ondevice_bench.methods.tensors import has_content

_hooks: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # one for each parameter
# parameters since the last step(), and their version after the update
_updated: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
# by network: the backward pass that began the updates
_passes: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
_watching: list[RemovableHandle] = []  # of modules that run in backward, since the first update


class UpdatesAlone(Protocol):
    """An optimizer that can update one parameter alone."""

    param_groups: list[dict[str, Any]]

    def update_alone(self, parameter: nn.Parameter) -> bool:
        """Update one parameter, as its step does. False if another optimizer may have it."""


class BackwardUpdates:
    """The updates of an optimizer's parameters in backward. `begin` registers them.

    `is_last_part` says whether the backward pass is the last one before the update: a batch may be
    cut into slices.
    """

    def __init__(self, optimizer: "UpdatesAlone", is_last_part: Callable[[], bool]) -> None:
        self._optimizer = optimizer
        self._is_last_part = is_last_part
        self._options: list[dict[str, Any]] | None = None  # of the updates since the last step()
        self._shown: dict[nn.Parameter, AppliedGradient] = {}  # during a step

    def begin(self) -> None:
        """Update the parameters of the optimizer in backward from now on."""
        _refuse_scaled_losses()
        _refuse_clipping()
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                end_updates((parameter,))
                hook = parameter.register_post_accumulate_grad_hook(self._update)
                _hooks[parameter] = hook

    def require_step(self) -> None:
        """Before `zero_grad`: a Refusal if step() has not come yet."""
        if self._options is not None:
            raise early_clearing()

    def finish(self) -> None:
        """The loop has called step(): the next backward pass may update again."""
        used, self._options = self._options, None
        _passes.clear()
        self._shown = self._take_shown()
        versions = {each: _updated.pop(each) for each in self._parameters() if each in _updated}
        if _watching:  # backward has ended
            _watching.pop().remove()
        try:
            self._require_untouched(versions, used)
        except Refusal:
            self.end_step()
            raise
        for parameter, shown in self._shown.items():
            if shown.is_zero:  # it decays, and its momentum goes on
                parameter.grad = torch.zeros_like(parameter)
                self._optimizer.update_alone(parameter)
                parameter.grad = None

    def end_step(self) -> None:
        """After the step: show which gradients the loop has to clear."""
        for parameter, shown in self._shown.items():
            shown.is_stepped, parameter.grad = True, shown
        self._shown = {}

    def _require_untouched(
        self, versions: Mapping[nn.Parameter, int], used: list[dict[str, Any]] | None
    ) -> None:
        """A Refusal if the step of plain training would be another one."""
        if any(version != parameter._version for parameter, version in versions.items()):
            raise Refusal(
                f"{NAME}: other code changed a weight between backward and step(), and backward "
                "had updated it already: change weights after step()"
            )
        if used is not None and used != self._current_options():
            raise Refusal(
                f"{NAME}: the options of the optimizer (such as the learning rate) changed between "
                "backward and step(), and backward has used the old ones: change them after step()"
            )
        uncleared = {each for each, shown in self._shown.items() if not shown.is_zero}
        if not uncleared <= versions.keys():
            raise uncleared_gradient()
        if has_content() and not versions.keys() <= self._shown.keys():
            raise Refusal(
                f"{NAME}: other code cleared or replaced a gradient between backward and step(), "
                "and backward had applied it already: clear gradients after step()"
            )

    def _parameters(self) -> Iterable[nn.Parameter]:
        return (each for group in self._optimizer.param_groups for each in group["params"])

    def _take_shown(self) -> dict[nn.Parameter, AppliedGradient]:
        """Take away the marks of applied gradients."""
        shown = {p: p.grad for p in self._parameters() if isinstance(p.grad, AppliedGradient)}
        for parameter in shown:
            parameter.grad = None
        return shown

    def _current_options(self) -> list[dict[str, Any]]:
        """The options of each group, as plain numbers."""
        return [
            {
                name: value.tolist() if isinstance(value, Tensor) else value
                for name, value in group.items()
                if name != "params"
            }
            for group in self._optimizer.param_groups
        ]

    def _update(self, parameter: Tensor) -> None:
        if is_distributed():
            raise Refusal(f"{NAME}: gradients cannot be averaged over processes: train without it")
        is_last = self._is_last_part()
        if isinstance(parameter.grad, AppliedGradient):  # it is zero, and has a gradient now
            added = parameter.grad.added
            assert added is not None
            # the next part is added in place, and other code may hold this tensor
            parameter.grad = added if is_last else added.clone()
        if not is_last or parameter.grad is None:
            return
        if parameter in _updated:
            raise second_gradient()
        assert isinstance(parameter, nn.Parameter)
        require_effect((parameter,))
        options = self._current_options() if self._options is None else self._options
        if self._optimizer.update_alone(parameter):
            self._options, parameter.grad = options, None
            _updated[parameter] = parameter._version
            if not _watching:
                _watching.append(register_module_forward_pre_hook(_refuse_updated_weights))
            if has_content():
                _show(parameter)


def refuse_second_backward(network: nn.Module, _: Any, output: Any) -> None:
    """A forward hook: a Refusal if backward reaches the output after the weights have changed.

    Otherwise torch would say that a tensor was changed in place.
    """

    def check(_: Tensor) -> None:
        now = torch._C._current_graph_task_id()
        if not any(parameter in _updated for parameter in network.parameters()):
            _passes[network] = now
        elif _passes.get(network, now) != now:
            raise second_gradient()

    if torch.is_grad_enabled() and not torch.compiler.is_compiling() and not is_transformed():
        for each in tree_leaves(output):
            if isinstance(each, Tensor) and each.requires_grad:
                each.register_hook(check)


def _refuse_updated_weights(module: nn.Module, _: Any) -> None:
    """Before a module runs within backward, in a checkpointed part: a Refusal if it is updated.

    Its first run needed no gradient of its weights, or they would not be updated yet.
    """
    if torch._C._current_graph_task_id() == -1:
        return
    if any(each in _updated for each in module._parameters.values() if each is not None):
        raise Refusal(
            f"{NAME}: a checkpointed part of the network runs again in backward, and uses a "
            f"{type(module).__name__} that is updated already: leave this layer out of the part, "
            "or train without it"
        )


def _show(parameter: nn.Parameter) -> None:
    """Let `.grad` say that the gradient is applied."""

    def show() -> None:
        if parameter.grad is not None and bool(parameter.grad.any()):
            raise second_gradient()
        parameter.grad = AppliedGradient.of(parameter)

    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        show()
        return
    # DDP of one process fills `.grad` with zeros when backward ends
    later = torch.autograd.Variable._execution_engine.queue_callback
    later(lambda: later(show))


def end_updates(parameters: Iterable[Tensor]) -> None:
    """Leave the parameters to their optimizer's step again."""
    for parameter in parameters:
        _updated.pop(parameter, None)
        if isinstance(parameter.grad, AppliedGradient):
            parameter.grad = torch.zeros_like(parameter) if parameter.grad.is_zero else None
        hook = _hooks.pop(parameter, None)
        if hook is not None:
            hook.remove()


def is_updated_in_backward(parameter: Tensor) -> bool:
    """Whether backward updates the parameter."""
    return parameter in _hooks


@functools.cache
def _refuse_scaled_losses() -> None:
    """From now on, let no GradScaler scale a loss whose gradients are applied in backward.

    They would be applied before the scaler can divide them. torch has no hook for this.
    """
    scale = torch.amp.GradScaler.scale

    @functools.wraps(scale)
    def checked(self: Any, outputs: Any) -> Any:
        scaled = scale(self, outputs)
        if self.is_enabled() and any(map(_trains_in_backward, tree_leaves(scaled))):
            raise Refusal(
                f"{NAME}: a GradScaler scales gradients, and backward applies them before it can "
                "unscale them: train without it, for example in bfloat16"
            )
        return scaled

    torch.amp.GradScaler.scale = checked  # type: ignore[method-assign]  # on purpose


@functools.cache
def _refuse_clipping() -> None:
    """From now on, let torch clip no gradients that were applied in backward.

    torch's functions would find none, and do nothing. Code may have imported them by name already.
    So not they are replaced, but the function that each of them calls.
    """
    utils = torch.nn.utils
    for clip in (utils.clip_grad_norm_, utils.clip_grads_with_norm_, utils.clip_grad_value_):
        (cell,) = clip.__closure__ or ()
        cell.cell_contents = _checked(cell.cell_contents)


def _checked(clip: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(clip)

    @functools.wraps(clip)
    def checked(*arguments: Any, **options: Any) -> Any:
        call = signature.bind(*arguments, **options)
        parameters, limit, *_ = call.arguments.values()
        given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        if not any(_is_applied(each) for each in given):
            call.arguments["parameters"] = given
            return clip(*call.args, **call.kwargs)
        if math.isinf(limit):  # it clips nothing: the loop wants to know the norm
            return torch.tensor(math.nan)
        raise Refusal(
            f"{NAME}: backward has applied the gradients already, so they cannot be clipped: "
            "train without clipping"
        )

    return checked


def _is_applied(parameter: Tensor) -> bool:
    """Whether backward has updated the parameter, or will."""
    gradient = parameter.grad
    return isinstance(gradient, AppliedGradient) or (
        gradient is None and is_updated_in_backward(parameter)
    )


def _trains_in_backward(output: object) -> bool:
    """Whether the graph of the output ends in a parameter that backward updates."""
    if not isinstance(output, Tensor):
        return False
    nodes, seen = [output.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        parameter = getattr(node, "variable", None)
        if isinstance(parameter, nn.Parameter) and is_updated_in_backward(parameter):
            return True
        nodes += [each for each, _ in node.next_functions]
    return False
