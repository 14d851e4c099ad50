"""The checks that every method that replaces layers must pass."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.errors import Refusal
from ondevice_bench.measure.allocations import record_allocations
from ondevice_bench.measure.flops import STEP, FlopCounter
from ondevice_bench.methods.compressed_input import CompressedInputLayer
from ondevice_bench.methods.conformance_case import (
    EXACT,
    Apply,
    Case,
    Check,
    NotChecked,
    difference,
    merged,
    output_gradient,
    step,
)
from ondevice_bench.methods.conformance_in_loops import IN_LOOPS
from ondevice_bench.methods.lowrank import LowRankLayer
from ondevice_bench.methods.make_method import make_method
from ondevice_bench.methods.method import LayerMethod
from ondevice_bench.methods.treatment import Treatment, treat

_BATCH = 6


@dataclass(frozen=True)
class Result:
    """One check of one case. The message has the numbers or the reason."""

    check: str
    case: str
    passed: bool | None  # None: the check was not possible
    message: str


def cases() -> Iterator[Case]:
    """Linear layers with two to four dimensions, convolutions of several geometries."""
    torch.manual_seed(0)
    for shape in ((_BATCH, 10), (_BATCH, 5, 10), (_BATCH, 3, 4, 10)):
        yield Case(f"linear {len(shape)}-D", nn.Linear(10, 8), torch.randn(shape))
    for name, layer in (
        ("1x1 convolution", nn.Conv2d(6, 8, 1)),
        ("3x3 convolution, stride 2", nn.Conv2d(6, 8, 3, 2, 1)),
        ("3x3 convolution, `same`, dilation 2", nn.Conv2d(6, 8, 3, padding="same", dilation=2)),
        ("depthwise convolution", nn.Conv2d(6, 6, 3, 1, 1, groups=6)),
    ):
        yield Case(name, layer, torch.randn(_BATCH, 6, 7, 9))


def check(path: str, options: dict[str, Any]) -> list[Result]:
    """Every check on every case that the method applies to."""
    results: list[Result] = []
    applied = False
    for case in cases():
        case = Case(case.name, case.layer.double(), case.x.double())  # noqa: PLW2901  # the same case in float64
        apply = _applying(case, path, options)
        reason = _instance(path, options).applies(case.layer) or _refused(case, apply)
        if reason is not None:
            results.append(Result("applies", case.name, None, reason))
            continue
        applied = True
        for name, perform in CHECKS.items():
            results.append(_result(name, case, apply, perform))
    if not applied:
        results.append(Result("applies", "every case", False, "applies to none of the layers"))
    return results


def _applying(case: Case, path: str, options: dict[str, Any]) -> Apply:
    def apply(prepare: Callable[[nn.Module], object] | None = None, /) -> Treatment:
        layer = copy.deepcopy(case.layer)
        if prepare is not None:
            prepare(layer)
        dtype = layer.get_parameter("weight").dtype
        treatment = treat(nn.Sequential(layer), path, **options)
        if treatment.keeps_calibration:
            treatment.calibrate(case.x.to(dtype))
        return treatment

    return apply


def _refused(case: Case, apply: Apply) -> str | None:
    """The reason why the method refuses inputs of this shape; None if it takes them.

    Other errors belong to the checks.
    """
    try:
        apply().module(case.x)
    except Refusal as reason:
        return str(reason)
    except Exception:
        return None
    return None


def _result(name: str, case: Case, apply: Apply, perform: Check) -> Result:
    try:
        return Result(name, case.name, True, perform(case, apply))
    except NotChecked as error:
        return Result(name, case.name, None, str(error))
    except Exception as error:
        kind = "" if isinstance(error, AssertionError) and str(error) else type(error).__name__
        text = f"{kind}: {error}" if kind else str(error)
        return Result(name, case.name, False, text.splitlines()[0])


def _instance(path: str, options: dict[str, Any]) -> LayerMethod:
    method, _ = make_method(path, options)
    if not isinstance(method, LayerMethod):
        raise TypeError(
            "it replaces no layers (it is not a LayerMethod): there is nothing to check"
        )
    return method


def _output(case: Case, apply: Apply) -> str:
    treatment = apply()
    y, _ = step(treatment.module, case.x)
    error = difference(y, merged(treatment)(case.x).detach())
    assert error <= EXACT, f"training output differs from the merged layer's by {error:.1e}"
    return f"{error:.1e} from the merged layer"


def _input_gradient(case: Case, apply: Apply) -> str:
    treatment = apply()
    plain = merged(treatment)
    _, dx = step(treatment.module, case.x)
    error = difference(dx, step(plain, case.x)[1])
    if error > EXACT and not treatment.layer_methods()[0].exact_input_gradient:
        raise NotChecked("the method has its own formula")
    assert error <= EXACT, f"dX differs from the merged layer's by {error:.1e}"
    return f"{error:.1e} from the merged layer"


def _bias(case: Case, apply: Apply) -> str:
    treatment = apply()
    plain = merged(treatment)
    step(treatment.module, case.x)
    step(plain, case.x)
    parameters = {n.rpartition(".")[2]: p for n, p in treatment.module.named_parameters()}
    gradient = parameters["bias"].grad
    assert gradient is not None, "the bias has no gradient"
    reference = dict(plain.named_parameters())["0.bias"].grad
    assert reference is not None
    error = difference(gradient, reference)
    assert error <= EXACT, f"db is wrong by {error:.1e}"
    return f"{error:.1e} from the plain layer"


def _weight_gradient(case: Case, apply: Apply) -> str:
    treatment = apply()
    (layer,) = treatment.module.children()
    if not isinstance(layer, CompressedInputLayer):
        raise NotChecked("the layer has no scheme with `restore` beside its own weight")
    weight, scheme = layer.weight, layer.scheme
    y = layer(case.x)
    _, *stored = y.grad_fn.saved_tensors
    dy = output_gradient(y)
    y.backward(dy)
    plain = copy.deepcopy(case.layer)
    try:
        restored = scheme.restore(tuple(stored), tuple(case.x.shape))
    except NotImplementedError:
        raise NotChecked(
            "the stored tensors stand for no input: the method has its own formula"
        ) from None
    plain(restored).backward(dy)
    reference = plain.get_parameter("weight").grad
    assert reference is not None
    assert weight.grad is not None, "the weight has no gradient"
    error = difference(weight.grad, reference)
    assert error <= EXACT, f"dW differs from the plain formula on the restored input by {error:.1e}"
    return f"{error:.1e} from the plain formula on the restored input"


def _comparable(case: Case, apply: Apply) -> str:
    """Whether the pass fidelity can compare the layer."""
    treatment = apply()
    (layer,) = treatment.module.children()
    if isinstance(layer, LowRankLayer):
        return "the pass fidelity compares it, from the factors"
    weight = treatment.trained_weight("0")
    if weight is None:
        raise NotChecked(
            "cannot be compared, because the layer trains neither the weight of the plain layer "
            "nor a parameter `weight` of its shape: the pass fidelity gives no numbers"
        )
    (name,) = (name for name, each in layer.named_parameters() if each is weight)
    return f"the pass fidelity compares it, as that of {name}"


def _stored_bytes(case: Case, apply: Apply) -> str:
    """In two types: an integer of eight bytes is one element of float64, but two of float32."""
    single = replace(case, x=case.x.float())
    sizes = {
        "float32": _stored_in_one_type(single, apply(nn.Module.float)),
        "float64": _stored_in_one_type(case, apply()),
    }
    for dtype, size in sizes.items():
        assert size.agree, f"{dtype}: {size}"
    told = ", ".join(f"{size.declared} B in {dtype}" for dtype, size in sizes.items())
    return f"{told}: declared, by hooks and by the allocator"


@dataclass(frozen=True)
class _StoredBytes:
    """The bytes that a layer stores, from three sources."""

    declared: int
    hooked: int
    allocated: int

    @property
    def agree(self) -> bool:
        return self.declared == self.hooked == self.allocated

    def __str__(self) -> str:
        return (
            f"declared {self.declared} B, by hooks {self.hooked} B, "
            f"by the allocator {self.allocated} B"
        )


def _stored_in_one_type(case: Case, treatment: Treatment) -> _StoredBytes:
    model = treatment.module
    step(model, case.x)
    treatment.optimizer(lr=0.0).zero_grad()
    parameters = {p.untyped_storage()._cdata for p in model.parameters()}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            saved[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = model(case.x)
    hooked = sum(saved.values())
    del y
    stores_input = case.x.untyped_storage()._cdata in saved
    with record_allocations() as allocations:
        y = model(case.x)
    # the input exists before the record: if stored, it counts, although it is not allocated
    live = allocations.net_bytes - y.untyped_storage().nbytes() + stores_input * case.x.nbytes
    (report,) = treatment.report()
    if report.stored_bytes is None:
        raise NotChecked("the layer does not set `input_shape`")
    return _StoredBytes(report.stored_bytes, hooked, live)


def _flops(case: Case, apply: Apply) -> str:
    treatment = apply()
    optimizer = treatment.optimizer(lr=0.01, clip=1.0)
    counter = FlopCounter()
    period = treatment.layer_methods()[0].period
    for phase in ("warm up", *[""] * period):  # the first step may start from noise
        x = case.x.clone().requires_grad_()
        with counter.phase(f"{phase}forward"):
            loss = treatment.module(x).sum()
        with counter.phase(f"{phase}backward"):
            loss.backward()
        with counter.phase(f"{phase}update"):
            optimizer.step()
        optimizer.zero_grad()
    treatment.module.eval()
    with torch.no_grad(), counter.phase("inference"):
        treatment.module(case.x)
    (report,) = treatment.report()
    formulas = report.flops
    if formulas is None:
        raise NotChecked("the method declares no flops()")
    step = counter.of(*STEP)
    forward, backward, update, inference = (counter.of(p).flops for p in (*STEP, "inference"))
    for part, declared, counted, steps in (
        ("decomposition", formulas.decomposition, step.decomposing, period),
        ("forward", formulas.forward + formulas.decomposition, forward, period),
        ("backward", formulas.input_gradient + formulas.weight_gradient, backward, period),
        ("update", formulas.update, update, period),
        ("inference", formulas.inference, inference, 1),
        ("factorisations", formulas.factorisation, step.factorisation_flops, period),
    ):
        # a mean over the steps of a period is rounded down
        assert declared == counted // steps, f"{part}: declared {declared}, counted {counted}"
    flops, factorisations = step.flops // period, step.factorisation_flops // period
    return f"declared and counted {flops}, and {factorisations} of factorisations"


def _smaller_batch(case: Case, apply: Apply) -> str:
    treatment = apply()
    optimizer = treatment.optimizer(lr=0.01)
    for x in (case.x, case.x[: _BATCH // 2], case.x):
        step(treatment.module, x)
        optimizer.step()
        optimizer.zero_grad()
    return f"batches of {_BATCH}, {_BATCH // 2}, {_BATCH}"


def _state_dict(case: Case, apply: Apply) -> str:
    first, second = apply(), apply()
    optimizer = first.optimizer(lr=0.01)
    step(first.module, case.x)
    optimizer.step()
    optimizer.zero_grad()
    second.module.load_state_dict(first.module.state_dict())
    ours, theirs = (step(t.module, case.x)[0] for t in (first, second))
    assert torch.equal(ours, theirs), "the loaded layer computes another output"
    count = len(first.module.state_dict())
    return "one entry" if count == 1 else f"{count} entries"


def _deepcopy(case: Case, apply: Apply) -> str:
    treatment = apply()
    twin = copy.deepcopy(treatment.module)
    ours, theirs = (step(module, case.x) for module in (treatment.module, twin))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), "the copy differs"
    return "the copy computes the same"


def _evaluation(case: Case, apply: Apply) -> str:
    treatment = apply()
    module = treatment.module.eval()
    with torch.no_grad():
        y = module(case.x)
    assert y.grad_fn is None
    assert not list(treatment.gradients()), "evaluation left a gradient"
    return "works before the first training step"


def _randomness(case: Case, apply: Apply) -> str:
    before = torch.get_rng_state()
    step(apply().module, case.x)
    assert torch.equal(before, torch.get_rng_state()), "the global generator was used"
    return "the global generator is left alone"


CHECKS: dict[str, Check] = {
    "output": _output,
    "input gradient": _input_gradient,
    "bias gradient": _bias,
    "weight gradient": _weight_gradient,
    "gradient": _comparable,
    "stored bytes": _stored_bytes,
    "FLOPs": _flops,
    "smaller last batch": _smaller_batch,
    "state_dict": _state_dict,
    "deepcopy": _deepcopy,
    "evaluation": _evaluation,
    "randomness": _randomness,
    **IN_LOOPS,
}


def check_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """Check the method of the request. The answer has results, or the reason as `error`."""
    path, options = request["method"], request["options"]
    try:
        return {"results": [asdict(result) for result in check(path, options)]}
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        is_ours = isinstance(error, (ValueError, TypeError))
        return {"error": first if is_ours else f"{type(error).__name__}: {first}"}
