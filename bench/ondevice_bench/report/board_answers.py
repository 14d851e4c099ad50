"""The answers of one board: a method for each question, its cost, how sure it is, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.choice import PEAK, SLOWEST, STEP, Choice, direction
from ondevice_bench.analyse.gradient import gradient_quality
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.analyse.verdict import Verdict, about_as_low, first
from ondevice_bench.report.cards import (
    GRADIENT_UNKNOWN,
    Badge,
    Card,
    asks_for_both,
    cards,
    may_be,
    rests_on,
)
from ondevice_bench.report.gauge import ratio_text
from ondevice_bench.report.quantities import ratio_quantity
from ondevice_bench.stats import Estimate, is_too_wide
from ondevice_bench.suite.goal import Goal
from ondevice_bench.suite.labels import row_labels

DISTURBED = "times disturbed"
NO_FIT, MAYBE_NO_FIT = "does not fit", "may not fit"
STOP = "Stop other programs, and run again. They disturbed the times of {methods}"
SMALLER = "Use a smaller batch: `bench fit` computes which one fits"
OF_NOISE = ("Stop other programs", "Use a quieter machine")  # advice that `STOP` includes


@dataclass(frozen=True)
class Line:
    """A fact about an answer, and what makes it less sure."""

    text: str
    badges: tuple[str, ...] = ()


@dataclass(frozen=True)
class BoardAnswer:
    """The answer to a question: the method with the lowest number, or else the baseline."""

    question: str
    method: str  # its label; empty without an answer
    number: str  # its multiple of the baseline's value
    interval: str  # of the number
    badges: tuple[str, ...]  # of the number
    lines: tuple[Line, ...]
    proof: Badge  # of all that the answer says
    cell: str  # the id of the method's cell; empty if the answer is the baseline
    is_noisy: bool = False
    is_of_goal: bool = False

    @property
    def all_badges(self) -> tuple[str, ...]:
        """The badges of the number and of the lines."""
        return (*self.badges, *chain.from_iterable(line.badges for line in self.lines))


def answers(
    found: Verdict, goal: Goal, limit: int | None, members: Sequence[CellWithBaseline]
) -> tuple[BoardAnswer, ...]:
    """The answer to each question. `limit` is the memory that a step may use."""
    three = zip(cards(found, goal, limit), _choices(found, goal), rests_on(goal), strict=True)
    return tuple(
        replace(
            _of_method(card, choice, choice.member, limit)
            if choice is not None and choice.member is not None
            else _of_baseline(card, choice, decided_by, members, limit, found.baseline),
            is_of_goal=card.is_of_goal,
        )
        for card, choice, decided_by in three
    )


def next_steps(
    found: Verdict,
    goal: Goal,
    members: Sequence[CellWithBaseline],
    of_board: Sequence[BoardAnswer],
) -> tuple[str, ...] | None:
    """What makes the answers of a board surer; None if that is not known."""
    steps = [cure(choice) for choice in _choices(found, goal) if choice is not None]
    if those := [m.label for m in members if _is_disturbed(m.cell, (STEP,))]:
        others = (step for step in steps if not step.startswith(OF_NOISE))
        steps = [STOP.format(methods=first(those)), *others]
    if {NO_FIT, MAYBE_NO_FIT}.intersection(of_board[0].badges):
        steps.append(SMALLER)
    needed = tuple(dict.fromkeys(filter(None, steps)))
    has_all = all(each.proof != "unknown" for each in of_board)
    return needed if needed or has_all else None


def is_disturbed(member: CellWithBaseline, names: Sequence[str]) -> bool:
    """Whether others used the processors while one of the metrics of its ratio was measured."""
    return any(_is_disturbed(side, names) for side in (member.cell, member.base or member.cell))


def _is_disturbed(cell: CellSummary, names: Sequence[str]) -> bool:
    return any(metrics.BY_NAME[name].pass_name in cell.disturbed for name in names)


def _choices(found: Verdict, goal: Goal) -> tuple[Choice | None, ...]:
    third = found.by_both if asks_for_both(goal) else found.by_goal
    return found.by_memory, found.by_time, third


def cure(choice: Choice) -> str:
    """What to do, without the reason before it."""
    return "" if choice.proof == "proven" else choice.missing.partition(". ")[2]


def _of_method(
    card: Card, choice: Choice, member: CellWithBaseline, limit: int | None
) -> BoardAnswer:
    metric = choice.metric
    badges = ["proven" if direction(member, metric) == "less" else "not proven"]
    badges += [DISTURBED] if metric == STEP and is_disturbed(member, (STEP,)) else []
    badges += [GRADIENT_UNKNOWN] if card.unknown_gradient else []
    fit = _fit(member.cell, limit)
    quality = gradient_quality(member)
    facts = [
        _value(member.cell, metric),
        fit.text,
        quality.text if quality.is_known else "",
    ]
    near = about_as_low(choice.near, metric)
    is_open = choice.proof != "proven" and badges[0] == "proven"  # whether its step is short enough
    lines = [
        Line("; ".join(filter(None, facts))),
        *(_price(member, name, is_open=is_open) for name in (PEAK, STEP) if name != metric),
        *(Line(text) for text in (near, card.with_known_gradient) if text),
    ]
    ratio = choice.ratio
    interval = ratio_quantity(ratio, "").interval if ratio else ""
    return BoardAnswer(
        card.title,
        card.method,
        card.number,
        interval,
        (*badges, *fit.badges),
        tuple(lines),
        card.badge,
        card.cell,
        card.is_noisy,
    )


def _of_baseline(
    card: Card,
    choice: Choice | None,
    decided_by: Sequence[str],
    members: Sequence[CellWithBaseline],
    limit: int | None,
    baseline: str,
) -> BoardAnswer:
    """No method is lower, or the noise hides it: the baseline stays the answer."""
    if choice is None:
        peak = [_lowest_peak(members, limit)] if decided_by == (PEAK,) else []
        lines = (Line(card.missing), *filter(None, peak))
        return BoardAnswer(card.title, "", "", "", (card.badge,), lines, card.badge, "")
    base = next(member.base for member in members if member.base)
    fit = _fit(base, limit)
    rivals = choice.unclear or members
    disturbed = (DISTURBED,) if any(is_disturbed(each, decided_by) for each in rivals) else ()
    facts = [Line("; ".join(filter(None, (_value(base, choice.metric), fit.text))))]
    if choice.unclear:
        others = first([_with_ratio(member, choice.metric) for member in choice.unclear])
        facts.append(Line(f"{may_be(choice.metric)}: {others}", (card.badge, *disturbed)))
    own = card.badges if choice.unclear else (card.badge, *disturbed)
    return BoardAnswer(
        card.title, baseline, "1×", "", (*own, *fit.badges), tuple(facts), card.badge, ""
    )


def _with_ratio(member: CellWithBaseline, metric: str) -> str:
    """The method with the interval of what noise may hide.

    If its number is surely lower, noise hides whether its step is short enough.
    """
    ratio = member.ratio(metric)
    if ratio is None:
        return member.label
    if direction(member, metric) != "less":
        return f"{member.label} ({_interval(ratio)})"
    step = member.ratio(STEP)
    time = f", step time {_interval(step)}" if step and metric != STEP else ""
    return f"{member.label} ({units.ratio(ratio.estimate)}{time})"


def _interval(ratio: Estimate) -> str:
    """The interval of a ratio, or the ratio if it has none."""
    return ratio_quantity(ratio, "").interval or units.ratio(ratio.estimate)


def _lowest_peak(members: Sequence[CellWithBaseline], limit: int | None) -> Line | None:
    """The lowest peak where the baseline has none, for example because it ran out of memory."""
    measured = [member for member in members if PEAK in member.cell.estimates]
    if not measured or any(member.base for member in members):
        return None
    lowest = min(measured, key=lambda member: member.cell.estimates[PEAK].estimate)
    fit, gradient = _fit(lowest.cell, limit), gradient_quality(lowest).text
    return Line(f"lowest peak: {lowest.full_label}; {fit.text}; {gradient}", fit.badges)


def _price(member: CellWithBaseline, metric: str, *, is_open: bool) -> Line:
    """Another metric of the method as a multiple of the baseline's."""
    noun, ratio = metrics.BY_NAME[metric].noun, member.ratio(metric)
    disturbed = [DISTURBED] if metric == STEP and is_disturbed(member, (STEP,)) else []
    if ratio is None or is_too_wide(ratio):
        return Line(f"{noun} {ratio_text(member, metric)}", tuple(disturbed))
    text = f"{noun} {units.ratio(ratio.estimate)}"
    if direction(member, metric) != "unknown" and not is_open:
        return Line(text, tuple(disturbed))
    interval = ratio_quantity(ratio, "").interval
    text = f"{text} ({interval})" if interval else text
    asked = f"; at most {(SLOWEST - 1) * 100:.0f} % longer:" if is_open else ""
    return Line(f"{text}{asked}", ("not proven", *disturbed))


def _value(cell: CellSummary, metric: str) -> str:
    """The value, unless it is the peak, which stands where it fits."""
    return "" if metric == PEAK else _text(cell, metric)


def _text(cell: CellSummary, metric: str) -> str:
    return units.quantity(cell.estimates[metric].estimate, metrics.BY_NAME[metric].unit)


def _fit(cell: CellSummary, limit: int | None) -> Line:
    """Whether the peak is below the limit, with the whole of its interval."""
    peak = cell.estimates.get(PEAK)
    if peak is None:
        return Line("peak memory not measured")
    size = _text(cell, PEAK)
    if not limit:
        return Line(f"{size}; whether it fits is not known")
    most, share = max(peak.estimate, peak.upper or 0.0), units.share(peak.estimate, limit)
    if most <= limit:
        return Line(f"fits: {size}, {share}")
    if peak.estimate > limit:
        return Line(f"{size}, {share}", (NO_FIT,))
    return Line(f"{size}, up to {units.share(most, limit)}", (MAYBE_NO_FIT,))


def out_of_memory(cells: Sequence[CellSummary], workload: tuple[Any, ...]) -> str:
    """The methods that had too little memory for a workload on the board; empty without any."""
    those = [cell for cell in cells if cell.planned.cell.of_any_method == workload]
    labels = row_labels([cell.planned.cell for cell in those])
    found = [label for cell, label in zip(those, labels, strict=True) if cell.status == "oom"]
    return f"out of memory: {', '.join(found)}" if found else ""
