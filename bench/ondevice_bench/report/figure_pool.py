"""The figures of a page as data. What they have in common is stored only once.

A figure is a tree of mappings. A mapping is packed as `[shape, child, …]`. The shape has all that
is constant, and the keys of the children. Figures of the same plot differ in the children alone. A
child is the index of an array, a packed mapping, or `{"*": […]}` with several packed mappings.

plotly reads texts as a subset of HTML. Names come from results, so each text of a figure is
escaped, and only templates may have markup. A template holds words of ours alone; the names in it
are references, such as `%{y}`.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from ondevice_bench import strict_json
from ondevice_bench.report.plotly_builder import Canvas

TEMPLATE = "hovertemplate"
META = "meta"  # numbers from which the page's script finds a front
DIGITS, META_DIGITS = 4, 7  # a tooltip shows four
LARGE = 1e9  # whole numbers below have no power of ten


class FigurePool:
    """The shapes and the arrays of all figures that were packed so far."""

    def __init__(self) -> None:
        self._shapes: dict[str, int] = {}
        self._arrays: dict[str, int] = {}

    @property
    def shapes(self) -> list[str]:
        """Each shape as JSON: what is constant, and the keys of the children."""
        return list(self._shapes)

    @property
    def arrays(self) -> list[str]:
        """Each array as JSON."""
        return list(self._arrays)

    def pack(self, canvas: Canvas) -> list[Any]:
        """The figure as plain values, which need this pool."""
        return self._mapping(canvas.plain(), DIGITS)

    def _mapping(self, values: Mapping[str, Any], digits: int) -> list[Any]:
        constant = {key: _plain(key, each) for key, each in values.items() if _is_constant(each)}
        children = {key: each for key, each in values.items() if key not in constant}
        shape = _index(self._shapes, _json([constant, list(children)]))
        packed = (
            self._child(each, META_DIGITS if key == META else digits)
            for key, each in children.items()
        )
        return [shape, *packed]

    def _child(self, value: Any, digits: int) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, digits)
        if any(isinstance(item, Mapping) for item in value):
            return {"*": [self._mapping(item, digits) for item in value]}
        return _index(self._arrays, _json(_short(value, digits)))


def _is_constant(value: Any) -> bool:
    """Whether there is no array within."""
    if isinstance(value, Mapping):
        return all(_is_constant(each) for each in value.values())
    return not _is_array(value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "tolist") or (isinstance(value, Sequence) and not isinstance(value, str))


def _plain(key: str, value: Any) -> Any:
    """The value with its texts escaped. Only a template has markup."""
    if isinstance(value, Mapping):
        return {name: _plain(name, each) for name, each in value.items()}
    return html.escape(value, quote=False) if isinstance(value, str) and key != TEMPLATE else value


def _short(value: Any, digits: int) -> Any:
    """Arrays with the digits that a screen shows, and with escaped texts."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if _is_array(value):
        return [_short(item, digits) for item in value]
    if isinstance(value, float):
        rounded = float(f"{value:.{digits}g}")
        return int(rounded) if abs(rounded) < LARGE and rounded.is_integer() else rounded
    return _plain("", value)


def _index(places: dict[str, int], text: str) -> int:
    return places.setdefault(text, len(places))


def _json(value: Any) -> str:
    return strict_json.text_of(value, separators=(",", ":"), ensure_ascii=False)
