"""The line for a search in which no candidate meets the limits: it names the nearest one."""

from collections.abc import Mapping, Sequence

from ondevice_bench import units
from ondevice_bench.analyse.gradient import cosine_text
from ondevice_bench.recommend.candidates import RuledOut
from ondevice_bench.recommend.question import Question
from ondevice_bench.suite.labels import with_reason


def nothing_meets(
    question: Question, ruled_out: Sequence[RuledOut], labels: Mapping[str, str]
) -> str:
    """Why there is no answer: the candidate that comes nearest to a limit, and by how much."""
    short = [(gap, each) for each in ruled_out if (gap := _shortfall(question, each)) is not None]
    if not short:
        by_reason: dict[str, list[str]] = {}
        for each in ruled_out:
            by_reason.setdefault(each.reason, []).append(labels[each.name])
        reasons = (with_reason(", ".join(names), reason) for reason, names in by_reason.items())
        return f"no candidate can be measured: {'; '.join(reasons)}"
    _, nearest = min(short, key=lambda pair: pair[0])
    count = units.number_of(len(ruled_out), "candidate")
    return f"none of {count} meets the limits: {_nearest(question, nearest, labels[nearest.name])}"


def _shortfall(question: Question, out: RuledOut) -> float | None:
    """How far a candidate is beyond its limit, as a share of the limit."""
    limits = question.limits
    if out.value is None:  # its tensors fit, but the whole step does not
        return 0.0 if out.cause == "memory" else None
    if out.cause == "memory":
        return out.value / limits.memory_bytes - 1
    if out.cause == "cosine" and limits.min_cosine is not None:
        return (limits.min_cosine - out.value) / (abs(limits.min_cosine) or 1)
    if out.cause == "accuracy" and limits.min_accuracy:
        return (limits.min_accuracy - out.value) / limits.min_accuracy
    if out.cause == "target" and question.target:
        return (question.target - out.value) / question.target
    return None


def _nearest(question: Question, out: RuledOut, label: str) -> str:
    limits = question.limits
    if out.value is None:
        return (
            f"the nearest is {label}: its tensors fit, but its step ran out of memory under the "
            f"limit of {units.mib(limits.memory_bytes)}"
        )
    if out.cause == "memory":
        return (
            f"the least memory is that of {label}: {units.mib(out.value)} of tensors alone; "
            f"the limit is {units.mib(limits.memory_bytes)}"
        )
    if out.cause == "cosine":
        return (
            f"the nearest is {label} with cosine {cosine_text(out.value, limits.min_cosine)}; "
            f"the limit is {limits.min_cosine:g} (--min-cosine)"
        )
    if out.cause == "target":
        return f"the nearest is {label}: {out.reason}; the target is {question.target:g} (--target)"
    return (
        f"the nearest is {label} with {out.reason}; "
        f"the limit is {limits.min_accuracy:g} (--min-accuracy)"
    )
