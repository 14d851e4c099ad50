"""An answer in the terminal: the winner, then the rivals, what is out, and the lines to paste."""

from collections.abc import Iterator, Sequence

from ondevice_bench import metrics, units
from ondevice_bench.analyse.gradient import cosine_text
from ondevice_bench.recommend.answer import Behind, Recommendation
from ondevice_bench.recommend.candidates import Cause, RuledOut
from ondevice_bench.recommend.doubts import MOST_NAMES, few, uncertain_lines
from ondevice_bench.recommend.question import PEAK, STEP
from ondevice_bench.recommend.rivals import Gain, RunnerUp, is_of_one_process
from ondevice_bench.recommend.training import accuracy_text
from ondevice_bench.recommend.way import Way
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.labels import with_reason
from ondevice_bench.terminal import Table

_OUT: dict[Cause, str] = {
    "memory": "by the memory limit of {memory}",
    "cosine": "by --min-cosine {cosine:g}",
    "accuracy": "by --min-accuracy {accuracy:g}",
    "target": "by --target {target:g}",
    "loss": "by a loss that is not a number",
    "failed": "because a process failed",
    "unmeasured": "because the goal could not be measured",
    "unsuitable": "because they do not suit this network",
}
_BEHIND = {
    "proven": "cost more, proven by rounds in turn",
    "early": "cost more in the first rounds (likely, not proven)",
    "guess": "cost more by a guess from a pilot of two steps, or from shapes",
}


def headline(found: Recommendation) -> list[str]:
    """The answer in a few lines."""
    goal = found.question.goal
    where = f"{found.model} on {found.place.board}"
    winner = found.winner
    if winner is None:
        why = "the budget ended before any candidate was known to meet the limits"
        return [f"{where}: no answer yet: {why}."]
    batch = f"batch {winner.cell.batch}"  # the label has it if candidates have several
    use = winner.label if winner.label.endswith(f" {batch}") else f"{winner.label}, {batch}"
    lines = [f"{where}: use {use}."]
    lines.append(f"  {_sureness(found)}")
    estimate = winner.estimates.get(goal.name)
    if estimate is not None:
        lines.append(f"  {goal.noun}: {_with_interval(goal.name, estimate)}{_each(found, winner)}")
    elif winner.cost is None:
        lines.append(
            f"  {goal.noun}: not measured yet; the choice is a guess from a pilot of two steps, or "
            "from shapes"
        )
    lines += [f"  {line}" for line in _other_figures(found, winner)]
    lines += [f"  {line}" for line in _limits(found, winner)]
    if not found.place.is_here:
        lines.append(f"  measured on {found.place.machine}, not on {found.place.board}")
    return lines


def rivals_table(found: Recommendation) -> Table | None:
    """The best rivals, and what each does better than the winner."""
    winner = found.winner
    if winner is None or not found.rivals:
        return None
    goal = found.question.goal
    each = found.compares_examples
    title = f"{goal.label} of one example" if each else goal.label
    noun = found.question.round_noun
    table = Table("runner-up", title, "× the winner's", "its advantage")
    for runner_up in found.runners_up:
        way = runner_up.way
        estimate = way.estimates.get(goal.name)
        value = "not measured"
        if estimate is not None:
            shown = estimate.estimate / way.cell.batch if each else estimate.estimate
            value = units.quantity(shown, goal.unit)
        table.add_row(way.label, value, _ratio(runner_up, noun), "; ".join(_buys(runner_up, goal)))
    return table


def rest_lines(found: Recommendation) -> list[str]:
    """What is out, what is not sure, and what the numbers mean."""
    return [*_ruled_out(found), *uncertain_lines(found), *_meaning(found)]


def paste_lines(found: Recommendation) -> list[str]:
    """The lines to paste, below a heading."""
    return ["To train in this way in your own script:", "", *found.paste] if found.paste else []


def _sureness(found: Recommendation) -> str:
    winner, goal = found.winner, found.question.goal
    assert winner is not None
    if not winner.meets_limits:
        return "Not sure: the budget ended before it was known whether it meets the limits."
    rounds = units.number_of(winner.rounds, found.question.round_noun)
    if not found.is_decided:
        better = [way for way in found.rivals if way.standing in ("open", "near")]
        open_ones = len(better) + len(found.unreached)
        others = f"{units.number_of(open_ones, 'candidate')} may still be better"
        if not open_ones:
            others = "all others are out, or cost more"
        when = f"after {rounds}" if winner.rounds else f"in the first {found.question.round_noun}"
        return f"The best so far: the budget ended {when}; {others}."
    near = [way.label for way in found.rivals if way.standing == "near"]
    unsure = [way.label for way in found.open_rivals]
    if not near and not unsure:
        return f"It had the lowest {_compared(found)} in {rounds}{_how(found)}."
    least = units.percent(goal.threshold)
    rivals = [f"{few(near)} by {least} at most, after {rounds}"] if near else []
    rivals += [f"{few(unsure)}: not decided by {rounds}"] if unsure else []
    return f"It had the lowest {_compared(found)}. These may be better: {'; '.join(rivals)}."


def _how(found: Recommendation) -> str:
    """How sure it is that the others cost more."""
    defeats = [each.defeat for each in found.behind]
    labels = {each.label for each in found.behind}
    proven = defeats.count("proven")
    proven += sum(way.standing == "worse" and way.label not in labels for way in found.rivals)
    early, guessed = defeats.count("early"), defeats.count("guess")
    parts = [] if found.question.repeats else ["by one reading of each"]
    if found.question.repeats and proven:
        parts.append(f"proven against {proven} of them")
    if found.question.repeats and early:
        parts.append(f"likely against {early} of them, by the first rounds")
    if guessed:
        parts.append(f"{guessed} of them left out by a guess, without a reading")
    return f", {'; '.join(parts)}" if parts else ""


def _compared(found: Recommendation) -> str:
    """What was compared, and among how many candidates. The others are out, whatever they cost."""
    noun = found.question.goal.noun
    noun = f"{noun} of one example" if found.compares_examples else noun
    others = found.candidates - found.remaining
    out = f" ({others} more {'is' if others == 1 else 'are'} out)" if others else ""
    return f"{noun} among {units.number_of(found.remaining, 'candidate')}{out}"


def _each(found: Recommendation, winner: Way) -> str:
    """The cost of one example, if candidates of several batches are compared by it."""
    goal, batch = found.question.goal, winner.cell.batch
    if not found.question.is_by_example or batch == 1:
        return ""
    of_one = winner.estimates[goal.name].estimate / batch
    return f"; of one example {units.quantity(of_one, goal.unit)}"


def _other_figures(found: Recommendation, winner: Way) -> Iterator[str]:
    for name in (STEP, PEAK):
        estimate = winner.estimates.get(name)
        if name != found.question.goal.name and estimate is not None:
            yield f"{metrics.BY_NAME[name].noun}: {_with_interval(name, estimate)}"


def _limits(found: Recommendation, winner: Way) -> Iterator[str]:
    """The margin of the winner to each limit."""
    limits, margins = found.question.limits, found.margins
    limit = units.whole_mib(limits.memory_bytes)
    if "memory_bytes" in margins:
        peak = limits.memory_bytes - margins["memory_bytes"]
        if margins["memory_bytes"] >= 0:
            left = units.whole_mib(margins["memory_bytes"])
            share = units.percent(margins["memory_bytes"] / limits.memory_bytes)
            yield (
                f"memory: it ran under the limit of {limit}; its whole process took "
                f"{units.whole_mib(peak)}, so {left} ({share}) are left"
            )
        else:
            yield (
                f"memory: it ran under the limit of {limit}; its whole process took "
                f"{units.whole_mib(peak)}, but the limit does not count the code of libraries"
            )
    elif winner.tensor_bytes is not None:
        yield f"memory: {units.mib(winner.tensor_bytes)} of tensors by shapes; the limit is {limit}"
    if winner.is_exact:
        yield "gradient: that of plain training, by the method's definition"
    elif winner.cosine is not None and limits.min_cosine is not None:
        margin = f"{winner.cosine - limits.min_cosine:.2f} above the limit of {limits.min_cosine:g}"
        yield f"gradient: cosine {cosine_text(winner.cosine)}, {margin}"
    elif winner.cosine is not None:
        yield f"gradient: cosine {cosine_text(winner.cosine)}"
    else:
        yield "gradient: not compared with that of plain training"
    if limits.min_accuracy is not None and winner.accuracy is not None:
        above = winner.accuracy.estimate - limits.min_accuracy
        yield (
            f"accuracy: {accuracy_text(winner.accuracy)}, {above:.3f} above the limit of "
            f"{limits.min_accuracy:g}"
        )
    elif found.question.learns and winner.accuracy is not None:
        yield f"accuracy: {accuracy_text(winner.accuracy)}"
    if winner.rate is not None:
        yield f"learning rate: {winner.rate:g}, chosen on validation examples"


def _ratio(runner_up: RunnerUp, noun: str) -> str:
    if runner_up.ratio is None:
        return ""
    ratio = units.ratio(runner_up.ratio)
    if runner_up.bounds is None:
        return f"{ratio}\n{units.number_of(runner_up.way.rounds, noun)} only"
    lower, upper = runner_up.bounds
    bounds = f"{units.ratio(lower)} … {units.ratio(upper)}"
    return f"{ratio}\n{bounds}" if lower < upper else bounds


def _buys(runner_up: RunnerUp, goal: metrics.Metric) -> list[str]:
    """What the rival does better than the winner, in words."""
    bought = [_gain(gain) for gain in runner_up.gains]
    if runner_up.way.standing == "near":
        most = units.percent(goal.threshold)
        bought.append(f"perhaps a lower {goal.noun}, by {most} at most")
    if not runner_up.way.meets_limits:
        bought.append("its limits were not measured")
    return bought or ["nothing that was measured"]


def _gain(gain: Gain) -> str:
    if gain.rivals is None or gain.winners is None:
        return "the exact gradient"
    match gain.name:
        case "memory":
            scope = " (one process)" if gain.is_of_one_process else ""
            return f"{units.mib(gain.winners - gain.rivals)} less memory{scope}"
        case "tensors":
            return f"{units.mib(gain.winners - gain.rivals)} less memory in tensors, by shapes"
        case "step_seconds":
            scope = " (one process)" if gain.is_of_one_process else ""
            return f"{units.ratio(gain.rivals / gain.winners)} the step time{scope}"
        case "cosine":
            return f"cosine {cosine_text(gain.rivals)} instead of {cosine_text(gain.winners)}"
        case _:
            scope = " (one seed)" if gain.is_of_one_process else ""
            return f"{gain.name} {gain.rivals:.3f} instead of {gain.winners:.3f}{scope}"


def _ruled_out(found: Recommendation) -> list[str]:
    limits = found.question.limits
    words = {
        "memory": units.whole_mib(limits.memory_bytes),
        "cosine": limits.min_cosine or 0.0,
        "accuracy": limits.min_accuracy or 0.0,
        "target": found.question.target or 0.0,
    }
    lines = []
    for cause, title in _OUT.items():
        group = [each for each in found.ruled_out if each.cause == cause]
        if group:
            shown = "; ".join(_reasons(group, found))
            lines.append(f"out {title.format(**words)} ({len(group)}): {shown}")
    behind = _BEHIND | ({"early": "cost more"} if found.question.goal.kind == "exact" else {})
    for defeat, title in behind.items():
        beaten = [each for each in found.behind if each.defeat == defeat]
        if beaten:
            lines.append(f"{title} ({len(beaten)}): {few(map(_beaten, beaten))}")
    return lines


def _reasons(group: Sequence[RuledOut], found: Recommendation) -> Iterator[str]:
    """Each reason once, with its candidates. Those nearest to the limit come first."""
    by_reason: dict[str, list[str]] = {}
    for each in sorted(group, key=_distance):
        by_reason.setdefault(each.reason, []).append(found.labels[each.name])
    reasons = list(by_reason.items())
    for reason, names in reasons[:MOST_NAMES]:
        yield with_reason(few(names), reason)
    if len(reasons) > MOST_NAMES:
        yield f"and {len(reasons) - MOST_NAMES} more (--json has all)"


def _distance(out: RuledOut) -> float:
    """A number that orders candidates by their distance from the limit that they miss."""
    if out.value is None:
        return 0.0
    return out.value if out.cause == "memory" else -out.value


def _beaten(each: Behind) -> str:
    return each.label if each.ratio is None else f"{each.label} {units.ratio(each.ratio)}"


def _meaning(found: Recommendation) -> list[str]:
    """What the numbers mean, and where the records are."""
    lines = []
    if found.compares_examples:
        lines.append(
            "candidates of different batches are compared by the cost of one example; a larger "
            "batch also takes fewer updates in an epoch"
        )
    elif len(found.batches) > 1:
        lines.append("batches differ: the smallest needs the least memory with any method")
    if found.question.learns:
        tests = "test examples"
        if found.tested_on:
            tests = units.number_of(found.tested_on, "test example")
        lines.append(
            f"the accuracy is on {tests} after a short training, with a learning rate that was "
            "chosen on validation examples; exact methods with the same updates share one training"
        )
    store = f"{found.place.store}@{found.place.run}"
    lines.append(f"{found.measured} new records; their page: bench report {store}")
    return lines


def _with_interval(name: str, estimate: Estimate) -> str:
    unit = metrics.BY_NAME[name].unit
    value = units.quantity(estimate.estimate, unit)
    if estimate.lower is None or estimate.upper is None:
        what = "seed" if "seed" in estimate.basis else "process"
        return f"{value} (one {what}: no interval)"
    if estimate.lower == estimate.upper:
        return value
    scope = " in one process" if is_of_one_process(estimate) else ""
    return f"{value} ({units.interval(estimate.lower, estimate.upper, unit)}{scope})"
