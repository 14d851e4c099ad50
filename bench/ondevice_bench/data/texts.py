"""Short texts with labels: the user's own, or sentences of Django in ten languages."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import TypeAlias

import numpy

from ondevice_bench.data import word_pieces
from ondevice_bench.data.batch import NoBatch, require_classes
from ondevice_bench.data.split import Arrays, Draw
from ondevice_bench.data.text_files import text_files
from ondevice_bench.specs.data import LANGUAGES, DataSource, catalogs
from ondevice_bench.specs.inputs import Inputs, Tokens
from ondevice_bench.units import MIB, mib

LARGEST = 64 * MIB  # of one file
LEAST_WORDS = 3  # of a sentence

Labelled: TypeAlias = tuple[str, str]  # label and text


def texts(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Random texts of the user's. The label is a word in the file, or the name of the folder."""
    assert source.path is not None
    found = list(labelled(source.path))
    if not found:
        raise NoBatch(
            f"{source.path}: has no texts: a file has lines LABEL<TAB>TEXT, a folder CLASS/*.txt"
        )
    return _batch(str(source.path), found, inputs, draw)


def languages(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Random sentences. The label is the language."""
    return _batch("languages", sentences(), inputs, draw)


def labelled(path: Path) -> Iterator[Labelled]:
    """The texts of a file or of a folder, with their labels."""
    if path.is_dir():
        for file in sorted(text_files(path)):
            yield file.parent.name, _read(file)
        return
    for number, whole in enumerate(StringIO(_read(path)), 1):  # a text may have other line ends
        line = whole.rstrip("\n")
        label, tab, text = line.partition("\t")
        if not tab or not label.strip() or not text.strip():
            raise NoBatch(f"{path}:{number}: must be LABEL<TAB>TEXT, got {line[:40]!r}")
        yield label.strip(), text.strip()


def sentences() -> list[Labelled]:
    """The sentences of each language, without those that several languages have."""
    found = [
        (language, sentence)
        for language in LANGUAGES
        for sentence in dict.fromkeys(
            translation
            for catalog in catalogs(language)
            for translation in _translations(catalog)
            if len(translation.split()) >= LEAST_WORDS and not set("%{<\n") & set(translation)
        )
    ]
    count = Counter(sentence for _, sentence in found)
    return [(language, sentence) for language, sentence in found if count[sentence] == 1]


def _batch(name: str, found: Sequence[Labelled], inputs: Inputs, draw: Draw) -> Arrays:
    assert isinstance(inputs, Tokens)
    labels = sorted({label for label, _ in found})
    require_classes(name, len(labels), inputs.classes)
    numbers = {label: number for number, label in enumerate(labels)}
    picked = [found[place] for place in draw.chosen(len(found))]
    rows = [word_pieces.tokens(text, inputs.length, inputs.vocabulary) for _, text in picked]
    return {
        "inputs": numpy.array(rows, dtype=numpy.int64).reshape(-1, inputs.length),
        "targets": numpy.array([numbers[label] for label, _ in picked], dtype=numpy.int64),
    }


def _translations(catalog: Path) -> Iterator[str]:
    """The translations in a file of gettext, without uncertain ones and plurals."""
    for entry in _read(catalog).split("\n\n"):
        lines = entry.splitlines()
        if any(line.startswith("#,") and "fuzzy" in line for line in lines):
            continue
        fields: dict[str, str] = {}
        name = ""
        for line in lines:
            if not line.startswith("#"):
                keyword, quote, quoted = line.partition('"')
                name = keyword.strip() or name
                fields[name] = fields.get(name, "") + _plain(quote + quoted, catalog)
        if fields.get("msgid") and "msgid_plural" not in fields:  # the head has an empty one
            yield fields.get("msgstr", "")


def _plain(quoted: str, catalog: Path) -> str:
    """The text of a string in quotes, which gettext writes as Python does."""
    try:
        return str(ast.literal_eval(quoted)) if quoted else ""
    except (ValueError, SyntaxError) as error:
        raise NoBatch(f"{catalog}: is not a file of gettext: {error}") from None


def _read(file: Path) -> str:
    try:
        if (size := file.stat().st_size) > LARGEST:
            raise NoBatch(f"{file}: takes {mib(size)}, more than {mib(LARGEST)}")
        return file.read_text(encoding="utf-8-sig")  # a mark of spreadsheets is not part of a label
    except OSError as error:
        raise NoBatch(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NoBatch(f"{file}: is not text in UTF-8") from None
