"""Asks a process of its own whether a method passes its checks: the parent imports no torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.host import Host, NoAnswer
from ondevice_bench.specs import registry
from ondevice_bench.specs.option import validate

TIMEOUT = 300.0


def check(host: Host, method: str, options: Sequence[str]) -> list[dict[str, Any]]:
    """Each check with its verdict; BadInput if the method cannot be tried at all."""
    given: dict[str, Any] = {}
    for name, value in map(_pair, options):
        if name in given:
            raise BadInput(f"--option {name}: is given twice, and the checks take one value")
        given[name] = value
    if ":" not in method:
        spec = registry.method(method)
        try:
            validate(spec.options, spec.one_of, given)
        except ValueError as error:
            raise BadInput(f"{method}: {error}") from None
    elif registry.is_own(method):
        try:
            registry.own_method(method, Path.cwd())
        except ValueError as error:
            raise BadInput(str(error)) from None
    try:
        (answer,) = host.ask("conformance", [{"method": method, "options": given}], TIMEOUT)
    except NoAnswer as error:
        raise BadInput(f"{method}: the checks {error}") from None
    if "error" in answer:
        raise BadInput(f"{method}: {answer['error']}")
    results: list[dict[str, Any]] = answer["results"]
    return results


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--option {text}: must be NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
