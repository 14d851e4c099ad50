"""Names with a hash of a file of the user's code: `net.py:net@1a2b3c4d`.

The hash says which version of the file it is. It says nothing about data or weights.
"""

import re

_WITH_HASH = re.compile(r"(?P<name>.+\.py:\w+|transformers:.+)@(?P<digest>[0-9a-f]{8})")


def split(name: str) -> tuple[str, str]:
    """The name without the hash, and the hash; it is empty if the name has none."""
    found = _WITH_HASH.fullmatch(name)
    return (found["name"], found["digest"]) if found else (name, "")


def file_of(name: str) -> str:
    """The file in a name without hash: `net.py` of `net.py:net`."""
    before, _, after = name.rpartition(":")
    return after if before == "transformers" else before
