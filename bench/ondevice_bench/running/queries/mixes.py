"""Asking whether the mixes of a suite find their layers, before anything runs."""

from dataclasses import asdict
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.user_models import ask_of_networks, every_options
from ondevice_bench.specs import mix, registry
from ondevice_bench.suite.suite import MethodChoice, Suite


def require_layers(host: Host, suite: Suite) -> None:
    """BadInput with a line for each entry of a mix that finds layers in none of the models.

    A model that has layers for some entries only is not an error: its cells are skipped.
    """
    mixes = [choice for choice in suite.methods if mix.is_mix(choice.name)]
    if not mixes:
        return
    requests = _requests(host, suite, [_choices(each) for each in mixes])
    answers = ask_of_networks(host, "mixes", requests)
    found = [answer["reasons"] for answer in answers if "error" not in answer]
    lines: list[str] = []
    for number, choice in enumerate(mixes):
        for place, text in enumerate(choice.places):
            reasons = [each[number].get(str(place)) for each in found]
            if reasons and all(reasons):
                lines.append(f"{text}: {reasons[0]}")
    if lines:
        raise BadInput(*lines)


def _choices(choice: MethodChoice) -> list[str]:
    """The layers of each entry with a method of its own for them. The rest comes last."""
    return [
        entry.layers
        for entry in mix.entries_of(choice.name)
        if not all(registry.method(name).is_of_network for name in entry.methods)
    ]


def _requests(host: Host, suite: Suite, mixes: list[list[str]]) -> list[dict[str, Any]]:
    specs = [(registry.model(choice.name), choice) for choice in suite.models]
    return [
        {
            "model": host.code(spec.implementation),
            "options": options,
            "layout": None if spec.is_own else asdict(spec.layout),
            "mixes": mixes,
        }
        for spec, choice in specs
        for options in every_options(choice)
    ]
