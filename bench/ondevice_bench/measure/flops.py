"""FLOPs by operator, from the shapes of what is really called: two for each multiply-add.

Products, convolutions and attention are counted exactly. Factorisations (QR, eigenproblems, …) are
estimates by the usual formulas and stay apart; so do the elements that element-wise work,
reductions and normalisations go through. An operator that none of this covers is listed.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ondevice_bench.measure.decomposition_marker import in_decomposition
from ondevice_bench.measure.operators import ESTIMATED, EXACT, kind_of, largest, named
from ondevice_bench.measure.training_step import TrainingStep

STEP = ("forward", "backward", "update")


@dataclass
class Operations:
    """What was called in one phase, by operator."""

    calls: Counter[str] = field(default_factory=Counter)
    exact: Counter[str] = field(default_factory=Counter)
    estimated: Counter[str] = field(default_factory=Counter)
    elements: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    decomposing: int = 0  # of `exact`: spent on compressing what is stored
    traffic: int = 0  # bytes of every tensor that an operator reads or writes, once an operator

    @property
    def flops(self) -> int:
        """Of products, convolutions and attention."""
        return sum(self.exact.values())

    @property
    def factorisation_flops(self) -> int:
        """Of factorisations, estimated."""
        return sum(self.estimated.values())

    def to_dict(self) -> dict[str, Any]:
        """By operator: calls and what they came to; empty parts are left out."""
        parts = {
            "calls": self.calls,
            "flops": self.exact,
            "estimated_flops": self.estimated,
            "elements": self.elements,
            "no_formula": self.unknown,
        }
        return {name: dict(counts.most_common()) for name, counts in parts.items() if counts}


class FlopCounter(TorchDispatchMode):
    """Counts every operator that runs within, real or on fake tensors, by phase."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's stub has no types
        self.phases: dict[str, Operations] = {}
        self._now = ""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what runs within under that name, and nothing outside of any phase."""
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
            found = self.phases.get(name, Operations())
            for part in ("calls", "exact", "estimated", "elements", "unknown"):
                getattr(total, part).update(getattr(found, part))
            total.decomposing += found.decomposing
            total.traffic += found.traffic
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
        found = self.phases.setdefault(self._now, Operations())
        found.calls[name] += 1
        found.traffic += _bytes((args, kwargs)) + _bytes(result)
        match kind:
            case "exact":
                flops = EXACT[name](named(func, args, kwargs), result)
                found.exact[name] += flops
                found.decomposing += flops if in_decomposition() else 0
            case "estimated":
                found.estimated[name] += ESTIMATED[name](named(func, args, kwargs), result)
            case "elements":
                found.elements[name] += largest((*args, result))
            case "unknown":
                found.unknown[name] += 1


def _bytes(values: Any) -> int:
    tensors = (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def count_step(step: TrainingStep, counter: FlopCounter) -> None:
    """Count one step by its phases."""
    for part in range(step.parts):
        with counter.phase("forward"):
            loss = step.forward(part)
        with counter.phase("backward"):
            step.backward(loss)
    with counter.phase("update"):
        step.update()


def step_flops(counter: FlopCounter) -> dict[str, float]:
    """The metrics of a counted step, and of an inference where one was counted."""
    step = counter.of(*STEP)
    found = {
        "step_flops": step.flops,
        **{f"{name}_flops": counter.of(name).flops for name in STEP},
        "decomposition_flops": step.decomposing,
        "factorisation_flops": step.factorisation_flops,
        "step_elements": sum(step.elements.values()),
        "step_traffic_bytes": step.traffic,
    }
    if "inference" in counter.phases:
        found["inference_flops"] = counter.of("inference").flops
    return {name: float(value) for name, value in found.items()}
