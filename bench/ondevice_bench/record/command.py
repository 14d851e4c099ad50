"""The command of a run as a store keeps it: others may read a bundle."""

import re

_ON = re.compile(r"'?--on[ =]'?[^\s@]+@[^\s']+'?")


def without_addresses(command: str) -> str:
    """The command without the address of a board. A name of `hosts.yaml` stays."""
    return _ON.sub("--on BOARD", command)
