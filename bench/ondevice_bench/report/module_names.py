"""Short names of the modules of a network, and the lines that they take in a box."""

import re
from collections import defaultdict
from collections.abc import Iterable

# a line ends after a dot or a space; if the name does not fit then, after an underscore, too. A
# number stays with the word before it
_ENDS = [re.compile(rf"[^{ends}]*(?:[{ends}]\d+(?![^{ends}]))*[{ends}]?") for ends in (". ", "._ ")]


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Each name without the words that tell nothing apart. No two names become the same.

    Such a word is the only one that follows its beginning, whatever the numbers in it are. The
    first word and all numbers stay.
    """
    words_of = {name: name.split(".") for name in names}
    following: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for words in words_of.values():
        for at, word in enumerate([*words, ""]):  # the empty word: a name ends here
            following[_beginning(words, at)].add(word)
    return {
        name: ".".join(
            word
            for at, word in enumerate(words)
            if at == 0 or word.isdigit() or len(following[_beginning(words, at)]) > 1
        )
        for name, words in words_of.items()
    }


def _beginning(words: list[str], count: int) -> tuple[str, ...]:
    return tuple("0" if word.isdigit() else word for word in words[:count])


def in_lines(name: str, letters: int, most: int) -> tuple[str, ...]:
    """The name in at most `most` lines of at most `letters` letters; empty if it does not fit."""
    for pieces in _ENDS:
        lines = [""]
        for piece in pieces.findall(name):
            if len(lines[-1]) + len(piece) <= letters:
                lines[-1] += piece
            else:
                lines.append(piece)
        if len(lines) <= most and all(0 < len(line) <= letters for line in lines):
            return tuple(lines)
    return ()
