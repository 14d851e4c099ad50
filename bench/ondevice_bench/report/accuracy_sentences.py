"""What methods do to the accuracy, in sentences."""

from collections.abc import Callable, Sequence

from ondevice_bench.analyse.kept_accuracy import FINAL, MethodAccuracy, points
from ondevice_bench.stats import Estimate
from ondevice_bench.units import number_of

_POINTS = "one point of accuracy"
_ENOUGH = 6  # seeds for an interval of 95 %


def accuracy_sentences(found: Sequence[MethodAccuracy], baseline: str) -> list[str]:
    """Which methods keep the accuracy, which lose it, and which are not decided."""
    by_verdict: dict[str, list[MethodAccuracy]] = {}
    for one in found:
        by_verdict.setdefault(one.verdict, []).append(one)
    seeds = max(len(one.line.seeds) for one in found)
    proof = "with every seed" if seeds < _ENOUGH else "by the 95 % interval over seeds"
    told = [
        ("kept", f"At most {_POINTS} below {baseline}, {proof}"),
        ("lost", f"More than {_POINTS} below {baseline}, {proof}"),
        ("unsure", f"Not decided by {number_of(seeds, 'seed')}"),
        ("unknown", "Without a comparison"),
    ]
    sentences = [_of_baseline(one) for one in by_verdict.get("baseline", ())]
    sentences += [
        f"{words}: {'; '.join(map(_with_difference, by_verdict[verdict]))}."
        for verdict, words in told
        if verdict in by_verdict
    ]
    return sentences


def _of_baseline(one: MethodAccuracy) -> str:
    final = one.line.estimates.get(FINAL)
    if final is None:
        reasons = filter(None, [one.divergence, one.line.unavailable[FINAL]])
        return f"{one.label} has no accuracy: {'; '.join(reasons)}."
    diverged = f"; {one.divergence}" if one.diverged else ""
    return f"{one.label} reaches {percent(final.estimate)}{range_text(final, percent)}{diverged}."


def _with_difference(one: MethodAccuracy) -> str:
    if one.difference is None:
        reason = one.line.unavailable.get(FINAL, "the baseline has no accuracy")
        return f"{one.label} ({'; '.join(filter(None, [one.divergence, reason]))})"
    interval = range_text(one.difference, points)
    diverged = f"; {one.divergence}" if one.diverged else ""
    return f"{one.label} ({points(one.difference.estimate)} points{interval}{diverged})"


def range_text(each: Estimate, text: Callable[[float], str]) -> str:
    """The interval of an estimate after a comma; empty if there is none."""
    if each.lower is None or each.upper is None:
        return ""
    return f", {text(each.lower)} … {text(each.upper)}"


def percent(share: float) -> str:
    """A share in percent, with one decimal. It is never rounded up to 100 %."""
    shown = min(share, 0.999) if share < 1 else share
    return f"{shown:.1%}".replace("%", " %")
