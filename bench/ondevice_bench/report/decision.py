"""The first screen: the cards of a workload, and the table to decide from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ondevice_bench import metrics, units
from ondevice_bench.analyse.choice import PEAK, STEP
from ondevice_bench.analyse.epoch import epoch_of
from ondevice_bench.analyse.gradient import (
    FIRST,
    MOMENTS,
    ORIGINAL,
    SHORT,
    GradientQuality,
    cosine_text,
    diverges,
    gradient_quality,
)
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.verdict import Verdict, against_default, verdict
from ondevice_bench.passes import TIME
from ondevice_bench.record.model import Run
from ondevice_bench.report.advice import advice
from ondevice_bench.report.cards import Card, about_badges, about_noise, cards, without_repeats
from ondevice_bench.report.gauge import Gauge, gauge
from ondevice_bench.report.method_words import MethodWords, about_methods, about_options
from ondevice_bench.report.other_boards import OtherBoards, other_boards
from ondevice_bench.report.quantities import Quantity, quantity_of
from ondevice_bench.report.shares import floor_text, share_of
from ondevice_bench.specs import composition, registry
from ondevice_bench.stats import is_too_wide
from ondevice_bench.suite.cell import Cell, Train
from ondevice_bench.suite.goal import Goal

# shown where they were measured, after the metrics that every run has
EXTRA = ("accuracy", "step_joules")
SHORT_EPOCH = 10.0  # seconds


@dataclass(frozen=True)
class Row:
    """A line of the table to decide from. `is_folded`: another rank of the method stands above."""

    label: str
    cell: str
    gauges: tuple[Gauge, ...]
    gradient: Quantity
    is_gradient_low: bool
    accuracy: Quantity | None  # over all seeds; None if the cell was not trained
    extra: tuple[Quantity, ...]
    share: str  # of the memory that a step may use
    pace: str  # the time of an epoch, or else examples in a second; empty without a step time
    refusal: str
    is_disturbed: bool  # whether other programs or a quota took processors from the step
    is_imprecise: bool  # whether a process ended before its median was as precise as asked for
    beside: str = ""  # the ratios to the baseline under the default allocator, if it has another
    is_baseline: bool = False


@dataclass(frozen=True)
class Decision:
    """Cells with one baseline, decided. Each element of `methods` has all ranks of one method."""

    title: str
    baseline: str  # its label
    shared: str  # the options that labels leave out
    layers: str  # the layers that labels leave out
    about_shared: str  # what these options mean
    about: tuple[MethodWords, ...]  # what the methods do
    advice: tuple[str, ...]  # what to run
    cards: tuple[Card, ...]
    badges: tuple[tuple[str, str], ...]  # those of the cards, and their meanings
    other_boards: OtherBoards | None  # None if the peak of the baseline is not known
    order: str  # how the rows are sorted
    methods: tuple[tuple[Row, ...], ...]
    columns: tuple[metrics.Metric, ...]
    has_accuracy: bool  # whether a method was trained
    has_gradients: bool  # whether the gradient of a method is known
    has_uncompressed: bool  # whether a gradient is also compared with the network before the method
    has_exact: bool  # whether the gradient of a method is exact by design
    about_exact: str  # what this does not cover
    extra: tuple[metrics.Metric, ...]
    sentences: tuple[str, ...]
    epoch: str  # what the time of an epoch is of, or why it is not known
    fit: str  # the command that says whether the workload fits another board; empty if none does
    floor: str  # the memory of torch itself, which peaks do not have; empty if it is not known
    seed: str  # the one that the numbers are of, if there are several

    @property
    def are_all_imprecise(self) -> bool:
        """Whether one sentence about imprecise step times is true of all rows."""
        rows = [row for rows in self.methods for row in rows]
        return len(rows) > 1 and all(row.is_imprecise for row in rows)

    @property
    def no_answer(self) -> str:
        """The reason why no card has an answer, if there is one reason for all of them."""
        reasons = {card.missing if card.badge == "unknown" else "" for card in self.cards}
        return reasons.pop() if len(reasons) == 1 else ""


def decide(
    group: Group,
    run: Run,
    goal: Goal,
    baseline: str,
    lost_accuracy: Mapping[str, str] | None = None,
    accuracy: Mapping[str, Quantity] | None = None,
    *,
    has_shares: bool = True,
) -> tuple[Decision, ...]:
    """The cards and the table of a group of a run's cells, for each baseline.

    `lost_accuracy` says which cells do not keep the accuracy, and why. `accuracy` has that of each
    trained cell. `has_shares` says whether peaks have their shares of what a step may use.
    """
    seed = _seed(group, has_accuracy=bool(accuracy))
    limit = group.limit_bytes if has_shares else None
    return tuple(
        _decision(
            part,
            run,
            verdict(part, goal, baseline, lost_accuracy),
            goal,
            accuracy or {},
            seed,
            limit,
        )
        for part in group.by_baseline
    )


def _decision(
    group: Group,
    run: Run,
    found: Verdict,
    goal: Goal,
    trained: Mapping[str, Quantity],
    seed: str,
    limit: int | None,
) -> Decision:
    """The cards and the table of cells with one baseline. Shares are of `limit`."""
    members = group.members
    planned = [member.cell.planned.cell for member in members]
    columns = tuple(dict.fromkeys((PEAK, STEP, "activation_bytes", goal.minimise)))
    extra = tuple(n for n in EXTRA if any(n in m.cell.estimates for m in members))
    extra = tuple(name for name in extra if name not in columns)
    rows = {m.label: _row(m, run, limit, columns, extra, found, trained) for m in members}
    shown = cards(found, goal, limit)
    answers = without_repeats(shown)
    noise = about_noise(goal, max(member.run_drift for member in members))
    qualities = [gradient_quality(member) for member in members if not member.is_baseline]
    return Decision(
        title=group.title,
        baseline=found.baseline,
        shared=group.shared,
        layers=group.layers,
        about_shared=about_options(planned, group.shared),
        about=about_methods(planned),
        has_accuracy=any(row.accuracy for row in rows.values()),
        has_gradients=any(
            row.gradient.value is not None for row in rows.values() if not row.is_baseline
        ),
        has_uncompressed=any(
            not quality.is_exact and ORIGINAL in _shown_moments(quality) for quality in qualities
        ),
        has_exact=any(quality.is_exact for quality in qualities),
        about_exact=_about_exact(planned),
        advice=advice(shown, goal, found.baseline),
        cards=answers,
        badges=about_badges(answers, found.baseline, noise),
        other_boards=other_boards(group, shown),
        order=_order(members, goal, found),
        methods=tuple(
            tuple(rows[member.label] for member in ranks)
            for ranks in _sorted(members, goal, found.refused)
        ),
        columns=tuple(metrics.BY_NAME[name] for name in columns),
        extra=tuple(metrics.BY_NAME[name] for name in extra),
        sentences=found.sentences,
        epoch=_about_epochs(run, members),
        fit=_fit(members[0].cell.planned.cell),
        floor=floor_text(member.cell for member in members),
        seed=seed,
    )


def _row(
    member: CellWithBaseline,
    run: Run,
    limit: int | None,
    columns: Sequence[str],
    extra: Sequence[str],
    found: Verdict,
    accuracy: Mapping[str, Quantity],
) -> Row:
    return Row(
        label=member.label,
        cell=member.cell.id,
        gauges=tuple(gauge(member, name) for name in columns),
        gradient=_gradient(member),
        is_gradient_low=member.label in found.too_far and not diverges(member.cell),
        accuracy=accuracy.get(member.cell.id),
        extra=tuple(quantity_of(member.cell, name) for name in extra),
        share=share_of(member, limit) if limit and PEAK in member.cell.estimates else "",
        pace=_pace(run, member),
        refusal=found.refused.get(member.label, ""),
        is_disturbed=TIME in member.cell.disturbed and STEP in member.cell.estimates,
        is_imprecise=member.cell.is_imprecise,
        beside=against_default(member),
        is_baseline=member.is_baseline,
    )


def _pace(run: Run, member: CellWithBaseline) -> str:
    """How fast the training is, in words of the data."""
    epoch, step = epoch_of(run, member.cell), member.cell.estimates.get(STEP)
    if step is None or step.estimate <= 0 or is_too_wide(step):
        return ""
    if epoch.seconds is not None:
        joules = (
            None if epoch.joules is None or is_too_wide(epoch.joules) else epoch.joules.estimate
        )
        energy = "" if joules is None else f" and {units.quantity(joules, 'joules')}"
        return f"an epoch takes {_epoch_text(epoch.seconds.estimate)}{energy}"
    return f"{units.quantity(member.cell.planned.cell.batch / step.estimate, '')} examples/s"


def _epoch_text(seconds: float) -> str:
    """The time of an epoch. The whole seconds of a clock say too little of a short one."""
    return units.seconds(seconds) if seconds < SHORT_EPOCH else units.clock(seconds)


def _gradient(member: CellWithBaseline) -> Quantity:
    """The lowest cosine, and all of them as its meaning."""
    quality = gradient_quality(member)
    if quality.is_exact:
        return Quantity("exact", quality.rests_on, _exact_meaning(quality), 1.0)
    if quality.lowest is None:
        return Quantity("unknown", "", f"the gradient was not compared: {quality.why_unknown}")
    listing = "; ".join(f"{cosine_text(v)} {MOMENTS[name]}" for name, v in quality.cosines.items())
    shown = _shown_moments(quality)
    others = ", ".join(f"{SHORT[name]}: {text}" for name, text in shown.items())
    meaning = (
        f"the lowest cosine between its weight gradients and those of plain training: {listing}"
    )
    several = others if len(shown) > 1 else ""
    return Quantity(cosine_text(quality.lowest), several, meaning, quality.lowest)


def _shown_moments(quality: GradientQuality) -> Mapping[str, str]:
    """The cosines as text. Before a method that keeps the weights, the network is the same."""
    texts = {name: cosine_text(value) for name, value in quality.cosines.items()}
    if texts.get(ORIGINAL) == texts.get(FIRST):
        texts.pop(ORIGINAL, None)
    return texts


def _about_exact(cells: Sequence[Cell]) -> str:
    """What `exact` means for batch-norm: plain training of this run may freeze it."""
    if not all(cell.train.freeze_bn for cell in cells):
        return ""
    sliced = any("microbatch" in composition.names(cell.method) for cell in cells)
    text = "Batch-norm, where the network has it, is frozen in this run, also in plain training."
    of_slices = (
        " Where it trains, each slice of microbatch has its own statistics: no exact gradient."
    )
    return text + of_slices if sliced else text


def _exact_meaning(quality: GradientQuality) -> str:
    """What `exact` means, with the cosine that was measured all the same."""
    text = "by design, this method computes the gradient of plain training, up to rounding"
    if quality.lowest is None:
        return text
    return f"{text}; the lowest measured cosine is {units.quantity(quality.lowest, '')}"


def _seed(group: Group, *, has_accuracy: bool) -> str:
    """Which seed the numbers are from, and which cells are missing for it. Empty for one seed."""
    seeds = {member.cell.planned.cell.seed for member in group.members}
    if len(seeds) < 2:
        return ""
    seed = group.of_first_seed.members[0].cell.planned.cell.seed
    but = " but the accuracy" if has_accuracy else ""
    text = (
        f"All numbers{but} are of seed {seed}, here and in the plots. The table of every cell has "
        "the other seeds."
    )
    others = group.only_in_other_seeds
    return f"{text} Not measured with seed {seed}: {', '.join(others)}." if others else text


def _fit(cell: Cell) -> str:
    """The command, if the name of the model is enough. Others need a file, options or a size.

    It answers for float32 and an optimizer without state, so it is only for cells of this kind.
    """
    usual, train = Train(), cell.train
    if cell.model not in registry.models() or cell.model_options or cell.dtype != "float32":
        return ""
    if (train.optimizer, train.momentum) != (usual.optimizer, usual.momentum):
        return ""
    return f"bench fit --model {cell.model} --batch {cell.batch} --board pi5-2gb"


def _about_epochs(run: Run, members: Sequence[CellWithBaseline]) -> str:
    """What an epoch is. A cell without a step time, such as a baseline out of memory, has none."""
    with_step = (member for member in members if STEP in member.cell.estimates)
    epoch = epoch_of(run, next(with_step, members[0]).cell)
    if epoch.seconds is None:
        return f"The time of an epoch is not known: {epoch.reason}."
    return (
        f"An epoch is {epoch.steps:,} steps over {epoch.examples:,} examples. Its time is that of "
        "the steps alone."
    )


def _order(members: Sequence[CellWithBaseline], goal: Goal, found: Verdict) -> str:
    """How the rows are sorted, in words; empty if there are less than two to sort."""
    compared = [m for m in members if m.ratio(goal.minimise) is not None]
    if len(compared) < 3 or not any(member.is_baseline for member in compared):
        return ""
    lowest = f"the lowest {metrics.BY_NAME[goal.minimise].noun} first"
    if not found.refused:
        return f"{found.baseline}; then the other methods, {lowest}"
    return f"{found.baseline}; then the methods that meet the goal, {lowest}; then the others"


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
