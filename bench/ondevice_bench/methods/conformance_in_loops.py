"""Checks of a method in networks and training loops as other people write them."""

import copy

import torch
from torch import Tensor, nn

from ondevice_bench.methods.conformance_case import (
    EXACT,
    Apply,
    Case,
    Check,
    difference,
    merged,
    output_gradient,
    step,
)
from ondevice_bench.methods.treatment import Treatment

_RATE = 0.01
_BFLOAT16 = 0.05  # three roundings of 2^-9 in each of two products, and their sums


def _warm(treatment: Treatment, x: Tensor) -> None:
    """One step. Methods with a warm start do not start from noise after it."""
    optimizer = treatment.optimizer(lr=_RATE)
    step(treatment.module, x)
    optimizer.step()
    optimizer.zero_grad()


def _called_twice(case: Case, apply: Apply) -> str:
    once = apply()
    _warm(once, case.x)
    twice = copy.deepcopy(once)
    for treatment, shares in ((once, (1.0,)), (twice, (0.25, 0.75))):
        optimizer = treatment.optimizer(lr=_RATE, clip=1.0)
        y = torch.stack([share * treatment.module(case.x) for share in shares]).sum(0)
        y.backward(output_gradient(y))
        optimizer.step()
    return _same_weights(twice, once, "a layer that is called twice gets another update")


def _closure(case: Case, apply: Apply) -> str:
    plainly = apply()
    _warm(plainly, case.x)
    closed = copy.deepcopy(plainly)
    optimizer = plainly.optimizer(lr=_RATE)
    step(plainly.module, case.x)
    optimizer.step()
    other = closed.optimizer(lr=_RATE)

    def closure() -> float:
        other.zero_grad()
        step(closed.module, case.x)
        return 0.0

    other.step(closure)
    return _same_weights(closed, plainly, "step(closure) makes another update")


def _same_weights(found: Treatment, expected: Treatment, otherwise: str) -> str:
    pairs = zip(merged(found).parameters(), merged(expected).parameters(), strict=True)
    error = max(difference(ours.detach(), theirs.detach()) for ours, theirs in pairs)
    assert error <= EXACT, f"{otherwise}: it differs by {error:.1e}"
    return f"the weights are {error:.1e} from those of the usual step"


def _keyword(case: Case, apply: Apply) -> str:
    layer = apply().module.get_submodule("0")
    positional = copy.deepcopy(layer)(case.x)
    error = difference(layer(input=case.x).detach(), positional.detach())
    assert error == 0, f"layer(input=x) differs from layer(x) by {error:.1e}"
    return "layer(input=x) is layer(x)"


def _in_place(case: Case, apply: Apply) -> str:
    treatment = apply()
    twin = copy.deepcopy(treatment)
    y, dx = step(nn.Sequential(treatment.module, nn.ReLU(inplace=True)), case.x)
    expected, gradient = step(nn.Sequential(twin.module, nn.ReLU()), case.x)
    error = max(difference(y, expected), difference(dx, gradient))
    assert error == 0, f"the step differs by {error:.1e}"
    return "the same step as with an operation out of place"


def _autocast(case: Case, apply: Apply) -> str:
    treatment = apply(nn.Module.float)
    x = case.x.float()
    expected, gradient = step(copy.deepcopy(treatment).module, x)
    seen = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = treatment.module(seen)
    assert y.dtype == torch.bfloat16, f"the output is {y.dtype}, not torch.bfloat16"
    y.backward(output_gradient(expected).to(y.dtype))
    assert seen.grad is not None
    for name, parameter in treatment.module.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.dtype == parameter.dtype, f"{name}.grad is {parameter.grad.dtype}"
    error = max(_distance(y.float(), expected), _distance(seen.grad, gradient))
    assert error <= _BFLOAT16, f"the step in bfloat16 differs by {error:.1e}"
    return f"{error:.1e} from float32"


def _distance(found: Tensor, expected: Tensor) -> float:
    apart, size = (torch.linalg.vector_norm(each.detach()) for each in (found - expected, expected))
    return float(apart / size)


def _hooks(case: Case, apply: Apply) -> str:
    calls: list[str] = []

    def prepare(layer: nn.Module) -> None:
        layer.register_forward_pre_hook(lambda *_: calls.append("before"))
        layer.register_forward_hook(lambda _, __, y: 2 * y)
        layer.register_full_backward_hook(lambda *_: calls.append("backward"))

    module = apply(prepare).module
    calls.clear()  # of a calibration
    y, _ = step(module, case.x)
    expected, _ = step(apply().module, case.x)
    assert calls == ["before", "backward"], f"hooks that ran: {', '.join(calls) or 'none'}"
    error = difference(y, 2 * expected)
    assert error <= EXACT, "the forward hook did not change the output exactly once"
    return "hooks of the plain layer run"


IN_LOOPS: dict[str, Check] = {
    "called twice": _called_twice,
    "closure": _closure,
    "keyword argument": _keyword,
    "operation in place": _in_place,
    "autocast": _autocast,
    "hooks": _hooks,
}
