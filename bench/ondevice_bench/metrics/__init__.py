"""The metrics: what each one is, and which ones have a role. Standard library only.

A new metric is one row and its measurement: a pass that returns its name. The row stands in the
tuple that is named after this pass. `table.ALL` joins these tuples.
"""

from functools import cache

from ondevice_bench.metrics.counts import SOURCE_TOLERANCE
from ondevice_bench.metrics.descriptor import Kind, Metric, Role, Whole
from ondevice_bench.metrics.table import ALL

__all__ = [
    "ALL",
    "BY_NAME",
    "HEADLINES",
    "SOURCE_TOLERANCE",
    "Kind",
    "Metric",
    "Role",
    "Whole",
    "described",
    "of_pass",
    "parts_of",
    "with_role",
]

BY_NAME = {metric.name: metric for metric in ALL}


def described(name: str) -> Metric:
    """The metric of that name, or a stand-in for one that only a newer version of bench has."""
    known = BY_NAME.get(name)
    if known is not None:
        return known
    return Metric(name, name, "unknown to this version of bench", "", "noisy", "unknown", "")


def with_role(role: Role) -> tuple[str, ...]:
    """The names of the metrics that have this role."""
    return tuple(metric.name for metric in ALL if role in metric.roles)


@cache
def of_pass(pass_name: str) -> tuple[str, ...]:
    """The names of the metrics that this pass gives."""
    return tuple(metric.name for metric in ALL if metric.pass_name == pass_name)


def parts_of(whole: Whole) -> tuple[str, ...]:
    """The names of the parts that make up a whole, in the order of their stack.

    The parts of the peak add up to the peak over the runtime floor exactly, in each process.
    """
    return tuple(metric.name for metric in ALL if metric.part_of == whole)


HEADLINES = with_role("headline")
