"""One compression, several scopes: a ratio is of treated layers, of the network, or of memory."""

import math
from collections.abc import Mapping
from typing import Any

from ondevice_bench import units
from ondevice_bench.analyse.groups import Member
from ondevice_bench.report.quantities import Figure, ratio_figure
from ondevice_bench.report.sections.section import Section, Shown

SCOPES = (
    ("activation_bytes", "activations, whole network"),
    ("peak_rss_over_runtime_bytes", "peak RSS over runtime, process"),
    ("peak_rss_bytes", "peak RSS, process"),
    ("step_flops", "FLOPs of a step"),
    ("step_seconds", "step time"),
)


def content(shown: Shown) -> Mapping[str, Any] | None:
    """A line for each cell beside its baseline."""
    lines = [
        (group.title, member.label, [_stored(member), *_ratios(member)])
        for group in shown.groups
        for member in group.members
        if member.base is not None and not member.is_baseline
    ]
    if not lines:
        return None
    columns = ["inputs of treated layers, as stored", *(title for _, title in SCOPES)]
    return {"columns": columns, "lines": lines, "baseline": shown.baseline}


def _ratios(member: Member) -> list[Figure]:
    return [ratio_figure(member, metric) for metric, _ in SCOPES]


def _stored(member: Member) -> Figure:
    """Elements that the method says it stores of its layers' inputs, over all of them."""
    treated = member.cell.details_of("trace").treated
    stored = [e for e in (layer.stored_elements for layer in treated.values()) if e is not None]
    whole = [math.prod(layer.shape) for layer in treated.values() if layer.shape]
    is_complete = len(stored) == len(whole) == len(treated)
    if not is_complete or not sum(whole):
        return Figure("–", "", "the method tells of no stored elements")
    share = sum(stored) / sum(whole)
    fold = f"{1 / share:.1f} to 1" if 0 < share < 1 else ""
    meaning = (
        f"accounted: {sum(stored):,} of {sum(whole):,} elements of the inputs of "
        f"{len(treated)} treated layers, by the method's own formula"
    )
    return Figure(units.ratio(share), fold, meaning, share)


SECTION = Section(
    name="scopes",
    title="The same compression, scope by scope",
    text="Each figure as a multiple of the baseline's in the same run; below 1 is less. The first "
    "column is what papers account for, the others are what a board has to carry.",
    content=content,
)
