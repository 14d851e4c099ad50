"""What differs between the runs of several boards, besides the boards' results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ondevice_bench import units
from ondevice_bench.record.model import Run

# the machine itself; what the run was given of it; what ran on it
Kind = Literal["machine", "setup", "software"]


@dataclass(frozen=True)
class Difference:
    """A fact that is not the same for all runs."""

    kind: Kind
    name: str
    values: tuple[str, ...]  # one for each run


def differences(runs: Sequence[Run]) -> tuple[Difference, ...]:
    """The facts that may explain why the numbers of these runs differ."""
    found = (
        Difference(kind, name, tuple(fact(run) for run in runs)) for kind, name, fact in _FACTS
    )
    return tuple(each for each in found if len(set(each.values)) > 1)


def same_machine(runs: Sequence[Run]) -> str:
    """Processor and memory if all runs have the same ones; empty if not, or if units differ."""
    if len(runs) < 2 or len({run.unit for run in runs if run.unit}) > 1:
        return ""
    facts = [{fact(run) for run in runs} for fact in (_machine("cpu"), _memory, _machine("arch"))]
    if any(len(values) > 1 or "unknown" in values for values in facts):
        return ""
    (processor,), (memory,), _ = facts
    return f"{processor}, {memory}"


def _of(facts: Callable[[Run], Mapping[str, Any]], name: str) -> Callable[[Run], str]:
    def fact(run: Run) -> str:
        value = facts(run).get(name)
        return "unknown" if value is None else str(value)

    return fact


def _machine(name: str) -> Callable[[Run], str]:
    return _of(lambda run: run.machine, name)


def _software(name: str) -> Callable[[Run], str]:
    return _of(lambda run: run.software, name)


def _memory(run: Run) -> str:
    gib = run.machine.get("memory_gib")
    return "unknown" if gib is None else f"{gib} GiB"


def _processors(run: Run) -> str:
    given = run.settings.get("cpus")
    return "unknown" if given is None else units.number_of(len(given), "processor")


def _cap(run: Run) -> str:
    cap = run.settings.get("memory_cap_bytes")
    return "none" if cap is None else units.size(cap)


def _container(run: Run) -> str:
    limit = run.settings.get("memory_limit_bytes")
    return "none" if limit is None else units.size(limit)


_FACTS: tuple[tuple[Kind, str, Callable[[Run], str]], ...] = (
    ("machine", "board", _machine("board")),
    ("machine", "processor", _machine("cpu")),
    ("machine", "architecture", _machine("arch")),
    ("machine", "cores of the machine", _machine("physical_cores")),
    ("machine", "memory of the machine", _memory),
    ("machine", "bytes of a memory page", _machine("page_bytes")),
    ("machine", "kernel", _machine("kernel")),
    ("machine", "C library", _machine("libc")),
    ("setup", "processors that the run used", _processors),
    ("setup", "threads", _machine("threads")),
    ("setup", "memory cap", _cap),
    ("setup", "memory of the container", _container),
    ("software", "bench", _software("bench")),
    ("software", "torch", _software("torch")),
    ("software", "torch's BLAS", _software("torch_blas")),
    ("software", "torch's instructions", _software("torch_cpu")),
    ("software", "Python", _software("python")),
    ("software", "LD_PRELOAD of the user", lambda run: str(run.software.get("preload") or "none")),
)
