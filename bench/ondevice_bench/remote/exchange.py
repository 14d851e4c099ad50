"""A question to a board, and its answer."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench.protocol.frames import Frame
from ondevice_bench.remote.link import Link
from ondevice_bench.running.hosts.host import Tick, no_tick

ANSWER_SECONDS = 60.0  # for a question that measures nothing


class Refused(Exception):
    """The board cannot do what it was asked; the text says why."""


def exchange(
    link: Link, question: Mapping[str, Any], seconds: float = ANSWER_SECONDS, tick: Tick = no_tick
) -> Frame:
    """The answer to a question; Refused if it is an error."""
    link.send(question)
    return next_answer(link, seconds, tick)


def next_answer(link: Link, seconds: float = ANSWER_SECONDS, tick: Tick = no_tick) -> Frame:
    """What the board says next; Refused if it is an error."""
    frame = link.receive(seconds, tick)
    if "error" in frame.values:
        raise Refused(str(frame.values["error"])[:500])
    return frame
