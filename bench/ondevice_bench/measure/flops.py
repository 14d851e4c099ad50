"""FLOPs by operator, from the shapes of the real calls: two for each multiply-add.

Products, convolutions and attention are counted exactly. Factorisations (QR, eigenproblems, …) are
estimates by the usual formulas and are counted separately. Element-wise work, reductions and
normalisations count as elements, also separately. A note names any other operator.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from ondevice_bench.measure.decomposition_marker import in_decomposition
from ondevice_bench.measure.operators import ESTIMATED, EXACT, arguments_by_name, elements, kind_of
from ondevice_bench.measure.traffic import traffic
from ondevice_bench.measure.training_step import TrainingStep

STEP = ("forward", "backward", "update")


@dataclass
class Operations:
    """The counts of one phase, by operator."""

    calls: Counter[str] = field(default_factory=Counter)
    exact: Counter[str] = field(default_factory=Counter)
    estimated: Counter[str] = field(default_factory=Counter)
    elements: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    decomposing: int = 0  # the part of `exact` that compresses stored tensors
    traffic: int = 0  # bytes of the tensors that each operator reads or writes

    @property
    def flops(self) -> int:
        """The FLOPs of products, convolutions and attention."""
        return sum(self.exact.values())

    @property
    def factorisation_flops(self) -> int:
        """The estimated FLOPs of factorisations."""
        return sum(self.estimated.values())

    def to_dict(self) -> dict[str, Any]:
        """The counts by kind and operator, without empty kinds."""
        parts = {
            "calls": self.calls,
            "flops": self.exact,
            "estimated_flops": self.estimated,
            "elements": self.elements,
            "no_formula": self.unknown,
        }
        return {name: dict(counts.most_common()) for name, counts in parts.items() if counts}


class FlopCounter(TorchDispatchMode):
    """Counts every operator by phase, on real or on fake tensors."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's stub has no types
        self.phases: dict[str, Operations] = {}
        self._now = ""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's operators under this name. Outside of a phase nothing counts."""
        self._now = name
        try:
            with self:
                yield
        finally:
            self._now = ""

    def of(self, *phases: str) -> Operations:
        """The sum over phases."""
        total = Operations()
        for name in phases:
            phase = self.phases.get(name, Operations())
            for kind in ("calls", "exact", "estimated", "elements", "unknown"):
                getattr(total, kind).update(getattr(phase, kind))
            total.decomposing += phase.decomposing
            total.traffic += phase.traffic
        return total

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operator, then count it."""
        result = func(*args, **(kwargs or {}))
        self._count(func, args, kwargs or {}, result)
        return result

    def _count(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        kind, name = kind_of(func), func.overloadpacket.__name__
        if kind == "free":
            return
        phase = self.phases.setdefault(self._now, Operations())
        phase.traffic += traffic(func, kind, args, kwargs, result)
        if kind == "moved":
            return
        phase.calls[name] += 1
        match kind:
            case "exact":
                flops = EXACT[name](arguments_by_name(func, args, kwargs), result)
                phase.exact[name] += flops
                phase.decomposing += flops if in_decomposition() else 0
            case "estimated":
                phase.estimated[name] += ESTIMATED[name](
                    arguments_by_name(func, args, kwargs), result
                )
            case "elements":
                phase.elements[name] += elements(args, result)
            case "unknown":
                phase.unknown[name] += 1


def count_step(step: TrainingStep, counter: FlopCounter) -> None:
    """Count one step by its phases."""
    for part in range(step.parts):
        with counter.phase("forward"):
            loss = step.forward(part)
        with counter.phase("backward"):
            step.backward(loss)
        del loss
    with counter.phase("update"):
        step.update()


def step_flops(counter: FlopCounter) -> dict[str, float]:
    """The metrics of a counted step, and of an inference if the counter has one."""
    step = counter.of(*STEP)
    metrics = {
        "step_flops": step.flops,
        **{f"{name}_flops": counter.of(name).flops for name in STEP},
        "decomposition_flops": step.decomposing,
        "factorisation_flops": step.factorisation_flops,
        "step_elements": sum(step.elements.values()),
        "step_traffic_bytes": step.traffic,
    }
    if "inference" in counter.phases:
        metrics["inference_flops"] = counter.of("inference").flops
    return {name: float(value) for name, value in metrics.items()}


def left_out(operations: Operations, figure: str) -> list[str]:
    """A note that names the operators without a formula. The number is not exact then."""
    names = ", ".join(sorted(operations.unknown))
    return [f"{figure} leave out operators without a formula: {names}"] if names else []
