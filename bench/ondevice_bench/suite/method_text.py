"""A method as text, on the command line: a name, or a mix as in `last:4=asi,all=lean+bias_only`."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.suite.entries import COMPOSE
from ondevice_bench.suite.mix_schema import MIX


def methods_in(text: str) -> tuple[str, ...]:
    """The methods that the text names."""
    return tuple(method for _, methods in _entries(text) for method in methods)


def as_entry(text: str, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The text as an entry of `methods` in a suite. `options` are those of each method."""
    entries: dict[str, Any] = {}
    for layers, methods in _entries(text):
        parts = [{method: options[method]} for method in methods]
        if layers in entries:
            raise BadInput(f"--method {text}: {layers!r} appears twice")
        entries[layers] = parts[0] if len(parts) == 1 else {COMPOSE: parts}
    return {MIX: entries} if _is_mix(text) else entries[""]


def _is_mix(text: str) -> bool:
    return "=" in text and not text.startswith((".", "/"))


def _entries(text: str) -> list[tuple[str, list[str]]]:
    """The layers and the methods of each entry. A method alone has no layers of its own."""
    if not _is_mix(text):
        return [("", [text])]
    pairs = (each.partition("=") for each in text.split(","))
    return [(layers.strip(), methods.strip().split("+")) for layers, _, methods in pairs]
