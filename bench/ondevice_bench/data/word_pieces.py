"""Texts as tokens: word pieces of BERT for networks with its vocabulary, bytes for all others."""

import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from string import punctuation

from ondevice_bench.data.batch import NoBatch
from ondevice_bench.specs.data import WORD_PIECES, WORD_PIECES_FILE

LONGEST = 100  # a longer word is unknown, as in BERT
_IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F))
_PAD, _UNKNOWN, _BEGIN, _END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"


def tokens(text: str, length: int, vocabulary: int) -> list[int]:
    """The text as `length` tokens: cut, or filled up at its end."""
    if vocabulary != WORD_PIECES:
        return list(text.encode()[:length].ljust(length, b"\0"))
    path = WORD_PIECES_FILE.path()
    assert path is not None  # the source has refused otherwise
    known = _vocabulary(path)
    found = [piece for word in _words(text) for piece in _pieces(word, known)]
    whole = [_BEGIN, *found[: length - 2], _END]
    return [known[piece] for piece in (*whole, *[_PAD] * (length - len(whole)))]


@cache
def _vocabulary(path: Path) -> Mapping[str, int]:
    """Each piece with its number: the line of the file."""
    try:
        pieces = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NoBatch(f"{path}: is not a list of word pieces: {error}") from None
    known = {piece: number for number, piece in enumerate(pieces)}
    if len(pieces) != WORD_PIECES or not {_PAD, _UNKNOWN, _BEGIN, _END} <= known.keys():
        raise NoBatch(f"{path}: is not a list of {WORD_PIECES} word pieces")
    return known


def _words(text: str) -> Iterator[str]:
    """The words and marks of a text, small and without accents."""
    word = ""
    for character in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(character)
        if kind == "Mn":
            continue
        is_alone = kind[0] == "P" or character in punctuation or _is_ideograph(character)
        if is_alone or kind[0] in "ZC":
            yield from filter(None, [word])
            word = ""
            if is_alone:
                yield character
        else:
            word += character
    yield from filter(None, [word])


def _is_ideograph(character: str) -> bool:
    """Whether it is a Chinese character: each is a word of its own."""
    return any(first <= ord(character) <= last for first, last in _IDEOGRAPHS)


def _pieces(word: str, known: Mapping[str, int]) -> list[str]:
    """The longest piece at the beginning, then the longest after it, and so on."""
    found: list[str] = []
    begin = 0
    while begin < len(word):
        mark = "##" if begin else ""
        ends = range(len(word), begin, -1)
        end = next((end for end in ends if f"{mark}{word[begin:end]}" in known), None)
        if end is None or len(word) > LONGEST:
            return [_UNKNOWN]
        found.append(f"{mark}{word[begin:end]}")
        begin = end
    return found
