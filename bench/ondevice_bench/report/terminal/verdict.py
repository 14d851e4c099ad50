"""The conclusions of a run in the terminal."""

from collections.abc import Callable, Iterator, Sequence

from ondevice_bench.analyse.groups import Group
from ondevice_bench.analyse.kept_accuracy import MethodAccuracy, kept_accuracy
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.verdict import Verdict, verdict
from ondevice_bench.report.accuracy_sentences import accuracy_sentences
from ondevice_bench.report.advice import with_more_time
from ondevice_bench.report.cards import cards, without_repeats
from ondevice_bench.report.other_boards import other_boards
from ondevice_bench.report.sections.section import ReportData


def verdict_lines(summary: RunSummary, baseline: str | None = None) -> list[str]:
    """The sentences of each group of cells, each with the group's name."""
    return _lines(summary, baseline, lambda found: found.sentences)


def short_verdict_lines(summary: RunSummary, baseline: str | None = None) -> list[str]:
    """The choice for each group, and the method with the lowest peak if it is not the choice."""
    return _lines(summary, baseline, lambda found: found.headlines)


def _lines(
    summary: RunSummary, baseline: str | None, chosen: Callable[[Verdict], Sequence[str]]
) -> list[str]:
    data = ReportData.from_summaries((summary,), baseline)
    costs = [
        f"{part.title}: {sentence}"
        for group in data.groups
        for part in group.by_baseline
        for sentence in _about(part, data, chosen)
    ]
    return [*_accuracy_lines(summary, data.baseline), *costs]


def _about(
    part: Group, data: ReportData, chosen: Callable[[Verdict], Sequence[str]]
) -> Iterator[str]:
    """The chosen sentences, the answer of the third card, and whether it fits other boards."""
    found = verdict(part, data.goal, data.baseline, data.lost_accuracy)
    yield from chosen(found)
    shown = cards(found, data.goal, part.limit_bytes)
    if more_time := with_more_time(without_repeats(shown), data.goal):
        yield more_time
    others = other_boards(part, shown)
    if others is not None:
        yield others.sentence


def _accuracy_lines(summary: RunSummary, baseline: str) -> list[str]:
    """What methods do to the accuracy, if the run has trained them."""
    by_heading: dict[str, list[MethodAccuracy]] = {}
    for one in kept_accuracy(summary, baseline):
        by_heading.setdefault(one.heading, []).append(one)
    return [
        f"{heading}: {sentence}"
        for heading, found in by_heading.items()
        for sentence in accuracy_sentences(found, baseline)
    ]
