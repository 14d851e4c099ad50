"""Frames: JSON with bytes behind it, on a stream between a desk and a board.

Standard library only. Both sides bound what they read before they read it.
"""

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ondevice_bench import bounded_json

# of the conversation between a desk and a board; raise it with every change of a question
VERSION = 1
# what a board writes first: all before it was printed by the shell there
MARK = b"\n\x00bench on a board\x00\n"
MOST_BYTES = 1 << 26  # of the JSON, and of the bytes behind it
CHUNK_BYTES = 1 << 20  # of a file
_HEADER = struct.Struct(">II")


class BadFrame(ValueError):
    """The bytes are no frame; the text says why."""


@dataclass(frozen=True)
class Frame:
    """One message: plain values, and bytes."""

    values: Mapping[str, Any]
    content: bytes = b""


def packed(values: Mapping[str, Any], content: bytes = b"") -> bytes:
    """The bytes of a frame; BadFrame if the other side would refuse it."""
    text = json.dumps(values).encode()
    if max(len(text), len(content)) > MOST_BYTES:
        raise BadFrame(f"a message is larger than {MOST_BYTES >> 20} MiB")
    return _HEADER.pack(len(text), len(content)) + text + content


def read_frame(read: Callable[[int], bytes]) -> Frame:
    """The next frame; `read` gives exactly the number of bytes that it is asked for."""
    lengths = _HEADER.unpack(read(_HEADER.size))
    if max(lengths) > MOST_BYTES:
        raise BadFrame(f"a message is larger than {MOST_BYTES >> 20} MiB")
    text, content = (read(length) for length in lengths)
    try:
        values = bounded_json.loads(text)
    except bounded_json.TooMuch as error:
        raise BadFrame(f"a message is too large: {error}") from None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise BadFrame(f"a message cannot be read: {text[:60]!r}")
    return Frame(values, content)
