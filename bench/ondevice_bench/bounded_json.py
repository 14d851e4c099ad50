"""Reads JSON from unknown sources: it checks the memory of all values before it makes any."""

import json
from typing import Any

MOST_BYTES = 128 << 20  # of the values of one message
# bytes of memory for each of these marks in a text: a list, an object, a value in one of them
_BYTES_OF_A_VALUE = {"[": 64, "{": 232, ",": 40}


class TooMuch(ValueError):
    """The values of a text would take too much memory."""


def built_bytes(text: str | bytes) -> int:
    """An estimate of the memory of the values, by the marks between them."""
    if isinstance(text, str):
        return sum(text.count(mark) * size for mark, size in _BYTES_OF_A_VALUE.items())
    return sum(text.count(mark.encode()) * size for mark, size in _BYTES_OF_A_VALUE.items())


def loads(text: str | bytes, most: int = MOST_BYTES) -> Any:
    """The values of a text; TooMuch or another ValueError if they cannot be read."""
    if built_bytes(text) > most:
        raise TooMuch(f"its values would take more than {most >> 20} MiB of memory")
    return json.loads(text)
