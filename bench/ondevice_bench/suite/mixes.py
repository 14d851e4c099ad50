"""The mixes of a suite: where its file has their entries, and why one cannot be."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ondevice_bench.declare.document import Document
from ondevice_bench.errors import BadInput
from ondevice_bench.specs import composition, mix, trained
from ondevice_bench.suite.entries import ChoiceSchema
from ondevice_bench.suite.mix_schema import LABEL, MIX, MixSchema
from ondevice_bench.suite.suite import MethodChoice


def with_places(entries: Sequence[ChoiceSchema], document: Document) -> tuple[MethodChoice, ...]:
    """The methods of a suite. Those that are mixes know the places of their entries.

    BadInput has a line for each mix that cannot be.
    """
    choices: list[MethodChoice] = []
    problems: list[str] = []
    for number, entry in enumerate(entries):
        choice = entry.method()
        _, options = entry.name_and_options
        if isinstance(options, MixSchema):
            keys = [("methods", number, MIX, text) for text in options.entries]
            places = [f"{document.place(key)}: methods[{number}].{key[-1]}" for key in keys]
            choice = replace(choice, places=tuple(places))
            label = f"{document.place(('methods', number, MIX, LABEL))}: methods[{number}].{LABEL}"
            taken = [each.label for each in choices if each.label]
            problems += _problems(choice, label, taken)
        choices.append(choice)
    if problems:
        raise BadInput(*problems)
    return tuple(choices)


def _problems(choice: MethodChoice, label: str, taken: Sequence[str]) -> Iterator[str]:
    """Why the mix cannot be, with the place in the file. `label` is the place of its label."""
    entries = mix.entries_of(choice.name)
    refused = composition.mix_refusal(entries)
    if refused is not None:
        yield f"{choice.places[refused[0]]}: {refused[1]}"
        return
    for axis in choice.axes:
        layers, _, name = axis.name.partition("=")
        if name.endswith(f".{trained.RULE}"):
            place = [entry.layers for entry in entries].index(layers)
            yield (
                f"{choice.places[place]}: the rule `{trained.RULE}` has ranks for one method "
                "alone: give another rule in a mix"
            )
    if not choice.label:
        return
    if choice.label in taken:
        yield f"{label}: {choice.label!r} is the label of another mix"
    several = [axis for axis in choice.axes if len(axis.values) > 1]
    if several:
        name = several[0].name.partition("=")[2]
        yield (
            f"{label}: a mix with a label has one value for each option, but {name} has "
            f"{len(several[0].values)}: leave the label out"
        )
