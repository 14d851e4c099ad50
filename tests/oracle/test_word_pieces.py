"""Our word pieces beside those of the library tokenizers, with the vocabulary of MiniLM."""

import pytest

from ondevice_bench.data import word_pieces
from ondevice_bench.specs.data import WORD_PIECES, WORD_PIECES_FILE

TEXTS = (
    "Enter a valid IPv4 or IPv6 address.",
    "Syötä kelvollinen sähköpostiosoite.",
    "Café — naïve… 東京 is 100% ok™",
    "unaffable " * 40,
    "a" * 150,
    "\x00 tab\tnew\nline “q” $5+5=10 ~`^",
    "Straße ﬁx ½ İstanbul don't",
    "",
)


@pytest.mark.parametrize("text", TEXTS)
def test_they_are_the_same(text):
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is missing (tox -e oracle)")
    path = WORD_PIECES_FILE.path()
    if path is None:
        pytest.skip(f"{WORD_PIECES_FILE.distribution} is not installed (tox -e oracle)")
    theirs = tokenizers.Tokenizer.from_file(str(path.with_name("tokenizer.json")))
    theirs.enable_truncation(32)
    theirs.enable_padding(length=32)
    assert word_pieces.tokens(text, 32, WORD_PIECES) == theirs.encode(text).ids
