"""Energies of two meters: they are not combined."""

from collections.abc import Iterable, Mapping

from ondevice_bench import metrics
from ondevice_bench.metrics.descriptor import METER


def is_metered(metric: str) -> bool:
    """Whether the metric is what a meter has counted."""
    return metrics.described(metric).scope == METER


def are_mixed(metric: str, meters: Iterable[Mapping[str, str]]) -> bool:
    """Whether numbers of a metric come from several meters, as far as these are known."""
    return len({each[metric] for each in meters if each.get(metric)}) > 1


def why_not_together(metric: str, base: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Why two numbers of a metric have no ratio, by the meters of both sides; empty if they do."""
    before, after = base.get(metric), new.get(metric)
    if not before or not after or before == after:
        return ""
    return f"the base is the energy of {before}, the new number that of {after}"
