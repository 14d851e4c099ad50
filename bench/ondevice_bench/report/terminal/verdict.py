"""The answers of a run in the terminal: what to run, what it costs, and what is not proven."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ondevice_bench.analyse.groups import Group
from ondevice_bench.analyse.kept_accuracy import MethodAccuracy, kept_accuracy
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.report.accuracy_sentences import accuracy_sentences
from ondevice_bench.report.advice import answers
from ondevice_bench.report.cards import cards
from ondevice_bench.report.other_boards import other_boards
from ondevice_bench.report.sections.section import ReportData


@dataclass(frozen=True)
class Answers:
    """The sentences about one group of cells."""

    title: str
    sentences: tuple[str, ...]


def answers_of(summary: RunSummary, baseline: str | None = None) -> list[Answers]:
    """What the run says about accuracies, then what to run for each group of cells."""
    data = ReportData.from_summaries((summary,), baseline)
    parts = [part for group in data.groups for part in group.by_baseline]
    costs = [Answers(part.title, tuple(_about(part, data))) for part in parts]
    return [*_about_accuracy(summary, data.baseline), *costs]


def verdict_lines(found: Sequence[Answers]) -> list[str]:
    """Sentences that stand alone: each has the title of its group, if there are several groups."""
    return [
        f"{each.title}: {sentence}" if len(found) > 1 else sentence
        for each in found
        for sentence in each.sentences
    ]


def answer_lines(found: Sequence[Answers]) -> list[str]:
    """A list for each group, below its title."""
    return [
        line
        for each in found
        for line in (f"answer for {each.title}:", *(f"- {text}" for text in each.sentences))
    ]


def _about(part: Group, data: ReportData) -> Iterator[str]:
    """The answers of the cards, which boards they fit, and the methods that were not chosen."""
    found = verdict(part, data.goal, data.baseline, data.lost_accuracy)
    shown = cards(found, data.goal, part.limit_bytes)
    if found.obstacle:
        yield found.obstacle
    yield from answers(shown, data.goal, found.baseline)
    others = other_boards(part, shown)
    if others is not None:
        yield others.sentence
    yield from found.about_others


def _about_accuracy(summary: RunSummary, baseline: str) -> list[Answers]:
    """What methods do to the accuracy, if the run has trained them."""
    by_heading: dict[str, list[MethodAccuracy]] = {}
    for one in kept_accuracy(summary, baseline):
        by_heading.setdefault(one.heading, []).append(one)
    return [
        Answers(heading, tuple(accuracy_sentences(found, baseline)))
        for heading, found in by_heading.items()
    ]
