"""The passes over a cell, and how often each is worth a process."""

from collections.abc import Mapping, Sequence

from ondevice_bench.specs import registry

PASSES = ("memory", "trace", "time", "fidelity", "accuracy", "energy")
CALIBRATE, PILOT, ACCURACY = "calibrate", "pilot", "accuracy"
PREPARING = frozenset({CALIBRATE, PILOT})  # they serve the others; a suite asks for none of them
# what a board would run too: a probe's own memory is not held against a cell
CAPPED = frozenset({"memory", "time", ACCURACY, "energy"})

# exact figures: one process tells all there is to know
_ONCE = frozenset({*PREPARING, "trace", "fidelity", ACCURACY})


def rounds_of(pass_name: str, rounds: Mapping[str, int] | int) -> int:
    """How many rounds of a run take that pass; runs of before have one number for all."""
    if pass_name in _ONCE:
        return 1
    return rounds if isinstance(rounds, int) else rounds.get(pass_name, 1)


def passes_of(method: str, measure: Sequence[str]) -> tuple[str, ...]:
    """The passes over a cell with that method: its ranks come before all that uses them."""
    calibrates = any(spec.calibrates for spec in registry.parts(method))
    return (CALIBRATE, *measure) if calibrates else tuple(measure)
