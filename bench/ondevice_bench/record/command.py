"""The command of a run as a store keeps it: others may read a bundle."""

import re
import shlex
from collections.abc import Iterable

_ON = re.compile(r"'?--on[ =]'?[^\s@]+@[^\s']+'?")
_SCHEDULER = re.compile(r"'?--scheduler[ =]'?\w+://[^\s']+'?")
_FRESH = re.compile(r" --fresh(?= |$)|, fresh=True(?=[,)])")
_IN_A_CALL = re.compile(r"(?<=, on=')[^'@]+@[^']+(?=')")


def command_text(words: Iterable[str]) -> str:
    r"""The words as a command. A byte that is no UTF-8 becomes `\xe9`: no store can keep it."""
    text = shlex.join(words)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def continuing(command: str) -> str:
    """The command that continues the run of this one: `--fresh` would start another one."""
    return _FRESH.sub("", command)


def without_addresses(command: str) -> str:
    """The command without the address of a board or a scheduler. A name of `hosts.yaml` stays."""
    command = _IN_A_CALL.sub("BOARD", _ON.sub("--on BOARD", command))
    return _SCHEDULER.sub("--scheduler ADDRESS", command)
