"""What an answer leaves open, and the command that would decide it."""

import math
import shlex
from collections.abc import Iterable, Iterator

from ondevice_bench import units
from ondevice_bench.recommend.answer import Recommendation
from ondevice_bench.recommend.question import MOST_SEEDS, SEEDS
from ondevice_bench.recommend.race import confidence_of
from ondevice_bench.recommend.training import accuracy_text
from ondevice_bench.stats import fewest_pairs, order_ranks

MOST_NAMES = 4  # in a list


def few(names: Iterable[str]) -> str:
    """The first names, and the number of the others."""
    listed = list(names)
    shown = ", ".join(listed[:MOST_NAMES])
    more = len(listed) - MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def uncertain_lines(found: Recommendation) -> list[str]:
    """What is not sure, and the command that would decide it."""
    lines: list[str] = []
    if not found.is_decided:
        lines += _unfinished(found)
    elif found.open_rivals:
        lines += _open_rivals(found)
    if found.is_decided:
        lines += _accuracies(found)
    if found.at_the_edge:
        lines.append(
            f"uncertain: {few(found.at_the_edge)}: the chosen learning rate is the lowest or the "
            "highest of those tried; try more (`learning_rates` of the space)"
        )
    lines += [f"uncertain: {doubt}; see `bench doctor`" for doubt in found.doubts]
    if not found.place.is_here:
        lines.append(
            f"uncertain: the times are of this machine, {found.place.machine}, not of "
            f"{found.place.board}; `bench recommend --on BOARD` measures there"
        )
        if found.place.about_board:
            lines.append(f"uncertain: {found.place.about_board}")
    if found.trainings > 1 and not found.question.learns:
        lines.append(
            "uncertain: the space has several `train` settings, and their accuracy was not "
            "compared: give --min-accuracy, or one `train` in the space"
        )
    lines += _about_content(found)
    return lines


def _unfinished(found: Recommendation) -> Iterator[str]:
    if found.unreached:
        yield f"not measured, because no time was left: {few(found.unreached)}"
    command = found.place.command
    if found.next_training:
        yield f"the next training takes about {units.about(found.next_training)}"
        if 2 * found.next_training > found.budget:  # else the same command may never get further
            minutes = math.ceil(3 * found.next_training / 60)
            command = with_option(command, "--budget", f"{minutes}m")
    yield "uncertain until the search has ended; this command continues from here:"
    yield f"  {command}"


def _open_rivals(found: Recommendation) -> Iterator[str]:
    names = few([way.label for way in found.open_rivals])
    if found.question.is_of_training:
        left = 1 + sum(way.standing in ("open", "near") for way in found.rivals)
        needed = fewest_pairs(confidence_of(left))
        seeds = units.number_of(found.question.seeds, "seed")
        yield from _with_seeds(found, f"undecided: {names}: {seeds} did not decide", needed)
    elif found.question.repeats:
        yield f"uncertain: {names}: more rounds did not decide; `bench doctor` may say why"
    else:
        yield f"uncertain: {names}: the difference is too small for one reading of each"


def _accuracies(found: Recommendation) -> Iterator[str]:
    """The candidates that may or may not meet the limit of accuracy."""
    least = found.question.limits.min_accuracy
    said = []
    if found.is_accuracy_open and found.winner is not None and found.winner.accuracy is not None:
        said.append(
            f"whether {found.winner.label} meets --min-accuracy {least:g}, with "
            f"{accuracy_text(found.winner.accuracy)}"
        )
    if found.out_by_chance:
        names = few(found.out_by_chance)
        is_single = found.question.seeds == 1
        why = "one seed decides nothing" if is_single else "some of their seeds meet it"
        said.append(f"whether these are out, because {why}: {names}")
    if said:
        yield from _with_seeds(found, f"undecided: {'; '.join(said)}", found.question.seeds + 1)


def _with_seeds(found: Recommendation, what: str, needed: int) -> Iterator[str]:
    """The command with more seeds: at least `needed`, and enough for a narrower interval."""
    seeds = max(needed, _narrower(found.question.seeds))
    if seeds > MOST_SEEDS:
        yield f"{what}; longer trainings or more tests may decide it (`learning` of the space)"
        return
    yield f"{what}; more seeds may decide it:"
    yield f"  {with_option(found.place.command, '--seeds', str(seeds))}"


def _narrower(seeds: int) -> int:
    """The next number of seeds whose interval leaves out one more seed at each end."""
    if seeds < SEEDS:
        return SEEDS
    now = order_ranks(seeds)
    cut = -1 if now is None else now[0]
    return next(
        more
        for more in range(seeds + 1, 10 * seeds)
        if (ranks := order_ranks(more)) is not None and ranks[0] > max(cut, 0)
    )


def with_option(command: str, option: str, value: str) -> str:
    """The command with this value of the option. An earlier value is replaced."""
    words: list[str] = []
    old = iter(shlex.split(command))
    for word in old:
        if word == option:
            next(old, None)
        elif not word.startswith(f"{option}="):
            words.append(word)
    return shlex.join([*words, option, value])


def _about_content(found: Recommendation) -> Iterator[str]:
    limits = found.question.limits
    missing = [
        f"{option} in place of {what}"
        for option, what, is_made_up in (
            ("--weights FILE", f"{found.weights} weights", found.weights == "random"),
            ("--data folder:DIR", f"{found.data} data", found.data.startswith("synthetic")),
        )
        if is_made_up
    ]
    is_judged = limits.min_cosine is not None or found.question.learns
    if missing and is_judged:
        yield (
            "uncertain: the limits were not judged on your own training: give "
            f"{' and '.join(missing)}"
        )
