"""Where the lines of a text on the page may end."""

import re

_UNITS = "%|[KMG]iB|bytes?|[mµ]?s|min|points?|examples/s|times"
_BEFORE_UNIT = re.compile(rf"(?<=\d) (?=(?:{_UNITS})(?![\w/]))")


def unbroken(text: str) -> str:
    """The text with no line end between a number and its unit, or within an interval."""
    return _BEFORE_UNIT.sub("\u00a0", text).replace(" … ", "\u00a0…\u00a0")
