"""One sentence about each figure, made from its data. Tests cover them all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ondevice_bench import allocators, metrics, units
from ondevice_bench.analyse.choice import as_low, direction
from ondevice_bench.analyse.gradient import gradient_quality
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.verdict import about_as_low, first, listing
from ondevice_bench.report.judge import Judge
from ondevice_bench.stats import Estimate, is_too_wide

SENTENCES: Mapping[str, str] = {
    "front": "The best trade-offs{that} are {cells}.",
    "front of one": "{cells} is the best in both numbers{of}.",
    "front of medians": "By the medians, the best trade-offs{that} are {cells}.",
    "front of one median": "{cells} has the best medians of both numbers{of}.",
    "front of none": "None of these cells meets the goal.",
    "front of exact": "By the medians, no approximate method{that} has a lower {metric} than "
    "{cell}, which is exact.",
    "no approximate": "No approximate method meets the goal.",
    "own axes": "Full circles are the best trade-offs between the two chosen numbers.",
    "front unknown": "The effect of {cells} on the gradient is not known.",
    "front unproven": "It is not proven that {pair} differ in {metrics}.",
    "front all unproven": "It is not proven that neighbours on the grey line differ in {metrics}.",
    "front some unproven": "It is not proven that these neighbours on the grey line differ in "
    "{metrics}: {pairs}.",
    "lowest": "{cell} has the lowest {metric} here: {value}, {ratio} of {baseline}'s.",
    "lowest unproven": "{cell} has the lowest {metric} here: {value}. This is not proven.",
    "tensors": "{cell} has the fewest bytes of tensors at the peak of a step: {value}{ratio}.",
    "lowest is baseline": "{baseline} has the lowest {metric} here: {value}.",
    "lowest of the goal": "Of the cells that meet the goal, {cell} has the lowest {metric}: "
    "{value}.",
    "cannot tell": "It is not proven that {baseline} has a lower {metric} than {cells}.",
    "beyond tensors": "Beyond these tensors, the peak of the process has from {least} ({low}) to "
    "{most} ({high}).",
    "allocator": "The allocator may keep a part of this when its tensors are gone. To see how "
    "much, add “allocator: [{names}]” to the suite.",
    "largest part": "The largest part of {baseline} is {part}: {share} of {whole}.",
    "largest parts": "The largest parts of {baseline} are {parts}: {shares} of {whole}.",
    "limit": "The highest {metric} is {share} of the {limit} that a step may use here.",
    "stored": "The smallest stored share is {share} of the inputs of the changed layers: {cells}.",
    "same layers": "Compared: {cells}. They change the same layers, and the others do not.",
    "slower": "The last minute of {cell} is {ratio} times as slow as the first{interval}; "
    "{throttled}.",
    "faster": "The last minute of {cell} is faster than the first: a step takes {ratio} times as "
    "long{interval}; {throttled}.",
    "steady": "{cell} keeps its speed: in the last minute a step takes {ratio} times as long as in "
    "the first{interval}; {throttled}.",
    "not slower": "{cell} does not become slower: in the last minute a step takes {ratio} times as "
    "long as in the first{interval}; {throttled}.",
    "unsteady": "It is not certain whether {cell} keeps its speed: in the last minute a step takes "
    "{ratio} times as long as in the first{interval}; {throttled}.",
    "loading": "With {cell}, {longer} is the bottleneck: to load a batch takes {loading}, which is "
    "{share} of loading and training.",
    "latency": "{cell} takes {latency} for one example; 95 of 100 take at most {p95}.",
    "growth": "At batch {high}, {cell} has {ratio} the {metric} of batch {low}.",
    "least growth": "The least growth: {cells}, {ratio}.",
    "rank": "{cell}: {metric} {before} at {rule} {low}, {after} at {rule} {high}.",
    "roof": "By the median step times, {cell} comes nearest to the roof: {share} of it.",
    "roof of baseline": "{baseline} reaches {share}.",
    "cosine": "The lowest cosine of a single layer is {value}: {layer} with {cell}.",
    "cosine of all": "Below {limit} are {count} of its {layers} layers. Together they have "
    "{value}: layers with large gradients count most.",
    "peak in": "By the medians, {cell} needs the most memory of its step in {stage}.",
}
LISTED = 4
NEARLY = 0.9  # of the largest part: a part above it is named, too
MEETING, MEETS = " that meet the goal", " that meets the goal"


def on_the_front(
    best: Sequence[CellWithBaseline], noisy: Sequence[str], *, is_part: bool = False
) -> str:
    """The cells that no other cell beats, and what noise may hide. Places of `noisy` are medians.

    `is_part` says that other cells were left out, because they do not meet the goal.
    """
    if not best:
        return SENTENCES["front of none"] if is_part else ""
    several = "front of medians" if noisy else "front"
    one = "front of one median" if noisy else "front of one"
    text = SENTENCES[several if len(best) > 1 else one].format(
        cells=first([member.label for member in best], LISTED),
        that=MEETING if is_part else "",
        of=f" of those{MEETING}" if is_part else "",
    )
    unknown = [member.label for member in best if not gradient_quality(member).is_known]
    if unknown:
        text += "\n" + SENTENCES["front unknown"].format(cells=first(unknown, LISTED))
    return "\n".join([text, *_unproven(best, noisy)])


def _unproven(best: Sequence[CellWithBaseline], noisy: Sequence[str]) -> Iterator[str]:
    """The neighbours on a front whose order may be noise, a sentence for each set of them."""
    neighbours = list(pairwise(best))
    found: dict[tuple[str, ...], list[str]] = {}
    for metric in noisy:
        pairs = tuple(
            f"{one.label} and {other.label}"
            for one, other in neighbours
            if direction(replace(other, base=one.cell), metric) not in ("less", "more")
        )
        found.setdefault(pairs, []).append(metrics.BY_NAME[metric].noun)
    for pairs, nouns in found.items():
        words = {"metrics": listing(nouns), "pairs": _pairs(pairs)}
        if len(pairs) == 1:
            yield SENTENCES["front unproven"].format(pair=pairs[0], **words)
        elif pairs:
            is_all = len(pairs) == len(neighbours)
            kind = "front all unproven" if is_all else "front some unproven"
            yield SENTENCES[kind].format(**words)


def exact_is_lowest(
    best: CellWithBaseline,
    approximate: Sequence[CellWithBaseline],
    metric: str,
    *,
    is_part: bool = False,
) -> str:
    """The exact cell below all approximate ones, and those that may be as low."""
    if not approximate:
        return SENTENCES["no approximate"]
    text = SENTENCES["front of exact"].format(
        that=MEETS if is_part else "", metric=metrics.BY_NAME[metric].noun, cell=best.label
    )
    near = about_as_low(as_low(approximate, best, metric), metric)
    return "\n".join(filter(None, [text, near]))


def _pairs(labels: Sequence[str]) -> str:
    """The first few pairs. Their names have "and" already."""
    more = len(labels) - LISTED
    return "; ".join(labels[:LISTED]) + (f" and {more} more" if more > 0 else "")


def lowest(group: Group, metric: str, judge: Judge) -> str:
    """The cell with the lowest value of a metric, and the lowest one that meets the goal."""
    having = [member for member in group.members if metric in member.cell.estimates]
    described = metrics.BY_NAME[metric]

    def value(member: CellWithBaseline) -> float:
        return member.cell.estimates[metric].estimate

    def text(member: CellWithBaseline) -> str:
        return units.quantity(value(member), described.unit)

    of_all = _lowest(having, metric, judge)
    return "\n".join(
        filter(None, [of_all, of_all and of_goal(having, judge, noun_of(described), value, text)])
    )


def of_goal(
    members: Sequence[CellWithBaseline],
    judge: Judge,
    noun: str,
    value: Callable[[CellWithBaseline], float],
    text: Callable[[CellWithBaseline], str],
) -> str:
    """The lowest cell that meets the goal, if the lowest of all does not."""
    meeting = judge.meeting(members)
    if not meeting or not judge.why_outside(min(members, key=value)):
        return ""
    best = min(meeting, key=value)
    return SENTENCES["lowest of the goal"].format(cell=best.label, metric=noun, value=text(best))


def _lowest(having: Sequence[CellWithBaseline], metric: str, judge: Judge) -> str:
    """The cell with the lowest value of a metric, and those that may be as low."""
    if len(having) < 2:
        return ""
    best = min(having, key=lambda member: member.cell.estimates[metric].estimate)
    name = judge.names([best], LISTED)
    described, ratio = metrics.BY_NAME[metric], best.ratio(metric)
    values = {
        "metric": described.noun,
        "value": units.quantity(best.cell.estimates[metric].estimate, described.unit),
    }
    near = as_low(having, best, metric)  # a number that is too noisy may be lower, too
    if best.is_baseline:
        against = ((member, replace(member, base=best.cell)) for member in near)
        unclear = [member.label for member, each in against if direction(each, metric) == "unknown"]
        if unclear:
            return SENTENCES["cannot tell"].format(
                baseline=best.label, cells=first(unclear, LISTED), **values
            )
        text = SENTENCES["lowest is baseline"].format(baseline=name, **values)
        return _with_near(text, near, metric)
    if ratio is None:
        return ""
    if direction(best, metric) != "less":
        return SENTENCES["lowest unproven"].format(cell=name, **values)
    text = SENTENCES["lowest"].format(
        cell=name,
        ratio=units.ratio(ratio.estimate),
        baseline=next((m.label for m in having if m.cell is best.base), "the baseline"),
        **values,
    )
    return _with_near(text, near, metric)


def _with_near(text: str, near: Sequence[CellWithBaseline], metric: str) -> str:
    """The sentence, then the one about the cells that may be as low."""
    return " ".join(filter(None, [text, about_as_low(near, metric)]))


def fewest_tensors(
    members: Sequence[CellWithBaseline], total: Callable[[CellWithBaseline], float], judge: Judge
) -> str:
    """The cell with the shortest bar, its ratio to the baseline's, and the best for the goal."""
    if len(members) < 2:
        return ""
    best = min(members, key=total)
    base = next((each for each in members if each.cell is best.base), best)
    against = f", {units.ratio(total(best) / total(base))} of {base.label}'s"
    text = SENTENCES["tensors"].format(
        cell=judge.names([best], LISTED),
        value=units.mib(total(best)),
        ratio="" if base is best else against,
    )
    noun = "number of bytes"
    meeting = of_goal(members, judge, noun, total, lambda member: units.mib(total(member)))
    return "\n".join(filter(None, [text, meeting]))


def beyond_tensors(
    members: Sequence[CellWithBaseline], beyond: Callable[[CellWithBaseline], float]
) -> str:
    """The least and the most memory of a process that is in no tensor, and how to learn why.

    Another allocator shows how much of it is memory that the default one keeps.
    """
    if len(members) < 2 or min(map(beyond, members)) <= 0:
        return ""
    low, high = min(members, key=beyond), max(members, key=beyond)
    text = SENTENCES["beyond tensors"].format(
        low=low.label,
        high=high.label,
        least=units.mib(beyond(low)),
        most=units.mib(beyond(high)),
    )
    if any(member.cell.planned.cell.allocator not in allocators.DEFAULT for member in members):
        return text
    names = ", ".join((allocators.DEFAULT[-1], allocators.GIVES_BACK))
    return f"{text} {SENTENCES['allocator'].format(names=names)}"


def below_the_limit(group: Group, metric: str) -> str:
    """The largest value of a metric in bytes, as a share of the memory that a step may use."""
    having = [member for member in group.members if metric in member.cell.estimates]
    if not having or not group.limit_bytes:
        return ""
    most = max(member.cell.estimates[metric].estimate for member in having)
    share = most / group.limit_bytes
    return SENTENCES["limit"].format(
        metric=metrics.BY_NAME[metric].noun,
        limit=units.size(group.limit_bytes),
        share=units.percent(share),
    )


def largest_part(
    group: Group, parts: Sequence[str], names: Mapping[str, str], whole: str = "the total"
) -> str:
    """The largest part of the baseline's total, and the parts that are nearly as large."""
    base = next((member for member in group.members if member.is_baseline), None)
    if base is None:
        return ""
    values = {n: base.cell.estimates[n].estimate for n in parts if n in base.cell.estimates}
    total = sum(values.values())
    if total <= 0:
        return ""
    largest = max(values.values())
    order = sorted(values, key=values.__getitem__, reverse=True)
    shares = {
        names[part]: f"{100 * values[part] / total:.0f} %"
        for part in order
        if values[part] >= NEARLY * largest
    }
    words = {"baseline": base.label, "whole": whole}
    if len(shares) > 1:
        parts, several = listing(list(shares)), listing(list(shares.values()))
        return SENTENCES["largest parts"].format(parts=parts, shares=several, **words)
    ((part, share),) = shares.items()
    return SENTENCES["largest part"].format(part=part, share=share, **words)


def noun_of(metric: metrics.Metric) -> str:
    """What the number of a cell is: the metric, or the median of a noisy one."""
    return metric.noun if metric.kind == "exact" else f"median {metric.noun}"


@dataclass(frozen=True)
class Growth:
    """A metric at the largest batch of a method, as a multiple of that at the smallest one."""

    low: int  # batches
    high: int
    ratio: Estimate | None


def growth(by_method: Mapping[str, Growth], metric: metrics.Metric) -> str:
    """How much a metric grows with the first method. An exact one has the least growth, too."""
    usable = {
        name: (each, each.ratio)
        for name, each in by_method.items()
        if each.ratio is not None and not is_too_wide(each.ratio)
    }
    if not usable:
        return ""
    leading, (shown, ratio) = next(iter(usable.items()))
    text = SENTENCES["growth"].format(
        low=shown.low,
        high=shown.high,
        metric=noun_of(metric),
        cell=leading,
        ratio=_with_interval(ratio),
    )
    if metric.kind != "exact":
        return text
    alike = {
        name: of_other.estimate
        for name, (each, of_other) in usable.items()
        if (each.low, each.high) == (shown.low, shown.high)
    }
    least = units.ratio(min(alike.values()))
    same = [name for name, each in alike.items() if units.ratio(each) == least]
    if leading in same:
        return text
    return f"{text}\n{SENTENCES['least growth'].format(cells=first(same, LISTED), ratio=least)}"


def _with_interval(ratio: Estimate) -> str:
    """A ratio, with its interval if it has one."""
    text = units.ratio(ratio.estimate)
    if ratio.basis == "exact" or ratio.lower is None or ratio.upper is None:
        return text
    return f"{text} ({units.ratio(ratio.lower)} … {units.ratio(ratio.upper)})"


def ranks(
    ends: Mapping[tuple[str, str], tuple[tuple[float, float], tuple[float, float]]],
    noun: str,
    text: Callable[[float], str],
) -> str:
    """What the lowest and the highest value of a rule give, for each method and rule."""
    return "\n".join(
        SENTENCES["rank"].format(
            cell=cell,
            rule=rule,
            low=f"{low:g}",
            high=f"{high:g}",
            metric=noun,
            before=text(before),
            after=text(after),
        )
        for (cell, rule), ((low, before), (high, after)) in list(ends.items())[:LISTED]
    )


def near_the_roof(shares: Sequence[tuple[CellWithBaseline, float]]) -> str:
    """The cell that comes nearest to the roof, and the baseline if it is another cell."""
    if not shares:
        return ""
    best, share = max(shares, key=lambda each: each[1])
    text = SENTENCES["roof"].format(cell=best.label, share=units.percent(share))
    of_base = [each for each in shares if each[0].is_baseline and each[0] is not best]
    others = (
        SENTENCES["roof of baseline"].format(baseline=member.label, share=units.percent(part))
        for member, part in of_base
    )
    return "\n".join((text, *others))
