"""The content of a site: runs, bundles and pages with hashes, and the cards of the first page.

The manifest only saves work. The data is in the files of the runs. A manifest that is damaged,
edited or of another version of `bench` is made again from these files.

| version | since | what changed |
| --- | --- | --- |
| 1 | 0.2.0 | bundles, runs, boards, pages |
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

import ondevice_bench
from ondevice_bench import bounded_json
from ondevice_bench.declare.schema import StrictSchema, schema_of
from ondevice_bench.errors import BadInput
from ondevice_bench.files import require_regular

FILE_NAME = "site.json"
FORMAT, VERSION = "ondevice-bench site", 1
MAX_FILE = 64 << 20
_Sum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# no path leaves the site, and a page that is gone cannot be a file of data
_PATH = r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*){0,3}"
_Path = Annotated[str, Field(pattern=f"^{_PATH}$")]
_Page = Annotated[str, Field(pattern=rf"^{_PATH}\.html$")]


@dataclass(frozen=True)
class KnownRun:
    """A run of the site: its place in the order, its file with a hash, and its mark."""

    id: str
    commit: str
    created: str
    file: str
    sha256: str
    mark: str


@dataclass(frozen=True)
class Event:
    """A change in the history of a board, as the first page shows it. `tone` is its colour."""

    when: str
    tone: str
    text: str


@dataclass(frozen=True)
class Card:
    """The text on the first page about a suite on a board."""

    suite: str
    board: str
    title: str
    run: str
    commit: str
    created: str
    tone: str
    verdict: str
    counts: str
    against: str
    runs: int
    worse: int
    better: int
    page: str
    changed_runs: int
    events: list[Event]


@dataclass(frozen=True)
class KnownBoard:
    """A suite on a board: a hash of everything that its pages depend on, the pages, the card."""

    inputs: str
    pages: list[str]
    card: Card


@dataclass(frozen=True)
class Manifest:
    """The manifest. Keys: the folder of a board, the id of a run, the path of a page."""

    bundles: list[str] = field(default_factory=list)
    runs: dict[str, KnownRun] = field(default_factory=dict)
    boards: dict[str, KnownBoard] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The file of the manifest. Equal sites have equal files."""
        body = asdict(self)
        head = {"format": FORMAT, "version": VERSION, "bench": ondevice_bench.__version__}
        whole = {**head, "sum": _sum_of(body), **body}
        return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class ReadManifest:
    """A manifest, or why it cannot be used. Without a file, both are empty."""

    manifest: Manifest
    problem: str = ""


def read_manifest(site: Path) -> ReadManifest:
    """The manifest of this site."""
    path = site / FILE_NAME
    require_regular(path)
    try:
        if path.stat().st_size > MAX_FILE:
            return ReadManifest(Manifest(), "is too large")
        values = bounded_json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return ReadManifest(Manifest())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except bounded_json.TooMuch:
        return ReadManifest(Manifest(), "is too large")
    except (ValueError, RecursionError):
        return ReadManifest(Manifest(), "is not JSON")
    return _checked(values)


def _checked(values: Any) -> ReadManifest:
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        return ReadManifest(Manifest(), "is JSON of something else")
    version, bench = values.pop("version", None), values.pop("bench", None)
    if (version, bench) != (VERSION, ondevice_bench.__version__):
        return ReadManifest(Manifest(), "was written by another version of bench")
    if values.pop("sum", None) != _sum_of(values):
        return ReadManifest(Manifest(), "was changed by somebody else")
    try:
        _schema().model_validate_json(json.dumps(values))
    except ValueError:
        return ReadManifest(Manifest(), "is not complete")
    return ReadManifest(_adapter().validate_python(values))


def _sum_of(body: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(body, sort_keys=True, allow_nan=False)
    except (ValueError, RecursionError):
        return ""
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _adapter() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


@cache
def _schema() -> type[BaseModel]:
    """The schema of the file: its paths stay inside the site."""
    known: Any = schema_of(KnownRun, file=_Path, sha256=_Sum)
    card: Any = schema_of(Card, page=_Page)
    board: Any = schema_of(KnownBoard, pages=list[_Page], card=card)
    return schema_of(
        Manifest,
        StrictSchema,
        bundles=list[_Sum],
        runs=dict[str, known],
        boards=dict[_Path, board],
        pages=dict[_Page, _Sum],
    )
