"""The command of a run as a store keeps it: others may read a bundle."""

import re

_ON = re.compile(r"'?--on[ =]'?[^\s@]+@[^\s']+'?")
_SCHEDULER = re.compile(r"'?--scheduler[ =]'?\w+://[^\s']+'?")


def without_addresses(command: str) -> str:
    """The command without the address of a board or a scheduler. A name of `hosts.yaml` stays."""
    return _SCHEDULER.sub("--scheduler ADDRESS", _ON.sub("--on BOARD", command))
