"""The first screen: which method to choose, what it costs, and how sure that is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ondevice_bench import metrics, units
from ondevice_bench.analyse.epoch import Epoch, epoch_of
from ondevice_bench.analyse.gradient import MOMENTS, SHORT, cosine_text, gradient_quality
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.analyse.verdict import (
    PEAK,
    SLOWEST,
    STEP,
    Choice,
    Verdict,
    against_default,
    of_first_seed,
    verdict,
)
from ondevice_bench.record.model import Run
from ondevice_bench.report.gauge import Gauge, change, change_text, gauge
from ondevice_bench.report.quantities import Quantity, dash, quantity_of, ratio_quantity
from ondevice_bench.stats import is_too_wide
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.goal import Goal

Badge = Literal["proven", "not proven yet", "no gain", "unknown"]
# shown where they were measured, after the metrics that every run has
EXTRA = ("accuracy", "step_joules")
FLOOR = "runtime_floor_bytes"


@dataclass(frozen=True)
class Card:
    """The answer to one question: a method, its gain, its price, and the proof."""

    title: str
    method: str
    number: str  # the change against the baseline
    what: str  # the values behind the number
    price: tuple[str, ...]
    badge: Badge
    missing: str = ""  # what would prove it, or why there is no answer
    cell: str = ""
    is_noisy: bool = False  # the interval of the number is too wide to use it


@dataclass(frozen=True)
class _Question:
    """What a card answers, and what it says if there is no answer."""

    title: str
    metric: str
    choice: Choice | None
    none_better: str
    unknown: str


@dataclass(frozen=True)
class Row:
    """A line of the table to decide from. `is_folded`: another rank of the method stands above."""

    label: str
    cell: str
    gauges: tuple[Gauge, ...]
    gradient: Quantity
    is_gradient_low: bool
    extra: tuple[Quantity, ...]
    share: str  # of the memory that a step may use
    epoch: str  # the time of an epoch; empty if it is not known
    refusal: str
    beside: str = ""  # the ratios to the baseline under the default allocator, if it has another
    is_baseline: bool = False


@dataclass(frozen=True)
class Decision:
    """A group of cells, decided. Each element of `methods` has all ranks of one method."""

    title: str
    cards: tuple[Card, ...]
    methods: tuple[tuple[Row, ...], ...]
    columns: tuple[metrics.Metric, ...]
    extra: tuple[metrics.Metric, ...]
    sentences: tuple[str, ...]
    epoch: str  # what the time of an epoch is of, or why it is not known
    fit: str  # the command that says whether the workload fits another board; empty if none does
    floor: str  # the memory of torch itself, which peaks do not have; empty if it is not known
    seed: str  # the one that the numbers are of, if there are several


def decide(group: Group, run: Run, goal: Goal, baseline: str) -> Decision:
    """The cards and the table of a group of a run's cells."""
    limit = usable_memory(run)
    found = verdict(group, goal, baseline)
    members = of_first_seed(group)
    columns = tuple(dict.fromkeys((PEAK, STEP, "activation_bytes", goal.minimise)))
    extra = tuple(n for n in EXTRA if any(n in m.cell.estimates for m in members))
    extra = tuple(name for name in extra if name not in columns)
    rows = {m.label: _row(m, run, columns, extra, found) for m in members}
    return Decision(
        title=group.title,
        cards=_cards(found, goal, baseline, limit),
        methods=tuple(
            tuple(rows[member.label] for member in ranks)
            for ranks in _sorted(members, goal, found.refused)
        ),
        columns=tuple(metrics.BY_NAME[name] for name in columns),
        extra=tuple(metrics.BY_NAME[name] for name in extra),
        sentences=found.sentences,
        epoch=_about_epochs(epoch_of(run, members[0].cell)),
        fit=_fit(members[0].cell.planned.cell),
        floor=_floor(members),
        seed="" if len(members) == len(group.members) else _seed(members),
    )


def cards(group: Group, run: Run, goal: Goal, baseline: str) -> tuple[Card, ...]:
    """The cards alone."""
    return _cards(verdict(group, goal, baseline), goal, baseline, usable_memory(run))


def _cards(found: Verdict, goal: Goal, baseline: str, limit: int | None) -> tuple[Card, ...]:
    return tuple(
        _card(question, found, baseline, limit) for question in _questions(found, goal, baseline)
    )


def _questions(found: Verdict, goal: Goal, baseline: str) -> Iterable[_Question]:
    """Three questions. If the goal is one of the first two, the third one is another one."""
    is_asked = goal == Goal(goal.minimise, goal.min_cosine) and goal.minimise in (PEAK, STEP)
    for title, metric, choice in (
        ("Least memory", PEAK, found.by_memory),
        ("Fastest", STEP, found.by_time),
    ):
        of_goal = " (the goal)" if is_asked and metric == goal.minimise else ""
        yield _plain(f"{title}{of_goal}", metric, choice)
    if not is_asked:
        noun = metrics.BY_NAME[goal.minimise].noun
        yield _plain(f"Best for the goal: lowest {noun}", goal.minimise, found.by_goal)
        return
    longer = f"{(SLOWEST - 1) * 100:.0f} %"
    yield _Question(
        f"Least memory, at most {longer} slower",
        PEAK,
        found.by_both,
        f"No method saves memory with a step that is at most {longer} longer than {baseline}'s.",
        "No step time was measured, or all of them are too noisy to use.",
    )


def _plain(title: str, metric: str, choice: Choice | None) -> _Question:
    noun = metrics.BY_NAME[metric].noun
    return _Question(
        title,
        metric,
        choice,
        f"No method has a lower {noun} by more than the noise.",
        f"No method was compared by its {noun}.",
    )


def _card(question: _Question, found: Verdict, baseline: str, limit: int | None) -> Card:
    title, metric, choice = question.title, question.metric, question.choice
    noun = metrics.BY_NAME[metric].noun
    if choice is None:
        return Card(title, "–", "–", noun, (), "unknown", found.obstacle or question.unknown)
    member, ratio = choice.member, choice.ratio
    if member is None or ratio is None:
        return Card(title, baseline, "±0 %", noun, (), "no gain", question.none_better)
    assert member.base is not None
    own, base = (quantity_of(each, metric).estimate for each in (member.cell, member.base))
    share = f", {_share(member, limit)}" if metric == PEAK and limit else ""
    interval = ratio_quantity(ratio, "").interval
    ratio_text = f"{units.ratio(ratio.estimate)}{f' ({interval})' if interval else ''}"
    return Card(
        title=title,
        method=_name(member),
        number=change(ratio),
        what=f"{noun}: {own}, {baseline} {base}: {ratio_text}{share}",
        price=tuple(_price(member, metric)),
        badge="proven" if choice.proof == "proven" else "not proven yet",
        missing=choice.missing[:1].upper() + choice.missing[1:],
        cell=member.cell.id,
        is_noisy=is_too_wide(ratio),
    )


def _price(member: CellWithBaseline, metric: str) -> Iterable[str]:
    """What the method costs besides the metric it was chosen by."""
    for name in (PEAK, STEP):
        if name != metric:
            yield f"{metrics.BY_NAME[name].noun} {change_text(member, name)}"
    yield gradient_quality(member).text


def _row(
    member: CellWithBaseline,
    run: Run,
    columns: Sequence[str],
    extra: Sequence[str],
    found: Verdict,
) -> Row:
    limit = usable_memory(run)
    epoch = epoch_of(run, member.cell)
    return Row(
        label=_name(member),
        cell=member.cell.id,
        gauges=tuple(gauge(member, name) for name in columns),
        gradient=_gradient(member),
        is_gradient_low=member.label in found.too_far,
        extra=tuple(quantity_of(member.cell, name) for name in extra),
        share=_share(member, limit) if limit and PEAK in member.cell.estimates else "",
        epoch=_epoch(epoch),
        refusal=found.refused.get(member.label, ""),
        beside=against_default(member),
        is_baseline=member.is_baseline,
    )


def _epoch(epoch: Epoch) -> str:
    if epoch.seconds is None:
        return ""
    energy = epoch.joules and f" and {units.quantity(epoch.joules.estimate, 'joules')}"
    return f"an epoch takes {units.clock(epoch.seconds.estimate)}{energy or ''}"


def _gradient(member: CellWithBaseline) -> Quantity:
    """The lowest cosine, and all of them as its meaning."""
    quality = gradient_quality(member)
    if quality.is_exact:
        return Quantity("exact", "", "this method computes the gradient of plain training", 1.0)
    if quality.lowest is None:
        return dash(f"the gradient was not compared: {quality.why_unknown}")
    listing = "; ".join(f"{cosine_text(v)} {MOMENTS[name]}" for name, v in quality.cosines.items())
    others = ", ".join(f"{SHORT[name]}: {cosine_text(v)}" for name, v in quality.cosines.items())
    meaning = (
        f"the lowest cosine between its weight gradients and those of plain training: {listing}"
    )
    several = others if len(quality.cosines) > 1 else ""
    return Quantity(cosine_text(quality.lowest), several, meaning, quality.lowest)


def _seed(members: Sequence[CellWithBaseline]) -> str:
    seed = members[0].cell.planned.cell.seed
    return f"All numbers are of seed {seed}; the other seeds are in the table of every cell."


def _name(member: CellWithBaseline) -> str:
    """The label without the seed: a decision is about one seed."""
    return member.label.removesuffix(f" · seed {member.cell.planned.cell.seed}")


def _fit(cell: Cell) -> str:
    """The command for a model of ours. It would need the file of another one, and its options."""
    if "@" in cell.model or cell.model_options:
        return ""
    return f"bench fit --model {cell.model} --batch {cell.batch} --board pi5-2gb"


def _floor(members: Sequence[CellWithBaseline]) -> str:
    """The memory of a process that has only loaded torch."""
    floors = [m.cell.estimates[FLOOR].estimate for m in members if FLOOR in m.cell.estimates]
    return units.mib(min(floors)) if floors else ""


def _about_epochs(epoch: Epoch) -> str:
    if epoch.seconds is None:
        return f"The time of an epoch is not known: {epoch.reason}."
    return (
        f"An epoch is {epoch.steps:,} steps over {epoch.examples:,} examples. Its time is that of "
        "the steps alone."
    )


def _share(member: CellWithBaseline, limit: int) -> str:
    """The peak as a share of the memory that a step may use."""
    peak = member.cell.estimates[PEAK].estimate
    return f"{units.percent(peak / limit)} of {units.size(limit)}"


def _sorted(
    members: Sequence[CellWithBaseline], goal: Goal, refused: Mapping[str, str]
) -> list[list[CellWithBaseline]]:
    """The baseline, then the other methods: first those that meet the goal, the best one first."""

    def order(member: CellWithBaseline) -> tuple[bool, bool, float]:
        ratio = member.ratio(goal.minimise)
        value = float("inf") if ratio is None else ratio.estimate
        return not member.is_baseline, member.label in refused, value

    by_method: dict[str, list[CellWithBaseline]] = {}
    for member in sorted(members, key=order):
        by_method.setdefault(member.method, []).append(member)
    return list(by_method.values())
