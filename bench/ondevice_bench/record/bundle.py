"""Runs as one file, to move them from a board to another machine.

A bundle is a zip of JSON. `manifest.json` names every other member with its SHA-256. Each other
member is a run with its plan and its records, or the report of a validation of a board. A file is
checked completely before any of it is stored. A file that is not a bundle is bad input. The text of
only one member is in memory at a time.

| version | since | what changed |
| --- | --- | --- |
| 1 | 0.1.0 | runs with plan and records |
| 2 | 0.1.0 | perhaps `validation.json`; a bundle without it still has version 1 |
"""

import hashlib
import json
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

import ondevice_bench
from ondevice_bench.bounded_json import built_bytes
from ondevice_bench.declare.schema import Name
from ondevice_bench.errors import BadInput, first_line
from ondevice_bench.files import atomic_write, open_zip, require_regular
from ondevice_bench.record import run_json
from ondevice_bench.record.run_json import (
    ClosedSchema,
    RunContent,
    read_checked,
    read_run,
    require_small,
)

FORMAT, VERSION = "ondevice-bench bundle", 2
SUFFIX = ".bundle"
MAX_MEMBERS = 1000
MAX_UNPACKED = 128 << 20  # of text; a run of 1,000 cells had 10 to 82 MiB
MAX_FILE = MAX_UNPACKED
MAX_MANIFEST = 1 << 20
_MANIFEST, _VALIDATION = "manifest.json", "validation.json"
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    OSError,
)
_Sum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Member = Annotated[str, Field(pattern=r"^(runs/[1-9]\d{0,3}|validation)\.json$")]
_Words = Annotated[str, Field(max_length=4000)]


class _Manifest(ClosedSchema):
    format: Literal["ondevice-bench bundle"]
    version: Annotated[int, Field(ge=1)]
    bench: str
    members: dict[_Member, _Sum] = Field(min_length=1)


class _Proof(ClosedSchema):
    subject: Annotated[str, Field(pattern=r"^\w[\w -]*$", max_length=40)]
    outcome: Literal["passed", "failed", "absent"]
    observation: _Words


class _Validation(ClosedSchema):
    run: Name
    profile: Name
    machine: _Words
    validates_a_pi: bool
    conclusion: _Words
    proofs: Annotated[list[_Proof], Field(max_length=50)]


@dataclass(frozen=True)
class Bundle:
    """The runs of a bundle, and the report of a validation by one of them."""

    contents: tuple[RunContent, ...]
    validation: Mapping[str, Any] | None


def write(
    contents: Sequence[RunContent], path: Path, validation: Mapping[str, Any] | None = None
) -> None:
    """Write a bundle, completely or not at all. Equal runs give equal bytes.

    BadInput if `read` would refuse the bundle.
    """
    beside = 1 if validation is None else 2  # the manifest, and the report
    if len(contents) + beside > MAX_MEMBERS:
        raise BadInput(
            f"{path}: cannot be written: a bundle holds at most {MAX_MEMBERS - beside} runs, not "
            f"{len(contents)}: export fewer runs at a time"
        )
    members = {
        f"runs/{number}.json": json.dumps(content.to_dict(), sort_keys=True).encode()
        for number, content in enumerate(contents, start=1)
    }
    if validation is not None:
        members[_VALIDATION] = json.dumps(validation, sort_keys=True).encode()
    where = f"{path}: cannot be written"
    for number, content in enumerate(contents, start=1):
        _require_room(where, content, members[f"runs/{number}.json"])
    manifest = {
        "format": FORMAT,
        "version": 1 if validation is None else VERSION,
        "bench": ondevice_bench.__version__,
        "members": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    }
    whole = {_MANIFEST: json.dumps(manifest, sort_keys=True).encode(), **members}
    _require_not_large(where, sum(map(len, whole.values())))
    _content(where, members.items())
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as bundle:
        for name, data in whole.items():
            info = zipfile.ZipInfo(name)  # without the time of day
            info.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(info, data)


def read(path: Path) -> tuple[RunContent, ...]:
    """The runs of a bundle, checked; BadInput if it is not a bundle, or a damaged or newer one."""
    return read_all(path).contents


def read_all(path: Path) -> Bundle:
    """The same, with the report of a validation. The report alone proves nothing."""
    require_regular(path)
    try:
        if path.stat().st_size > MAX_FILE:
            raise BadInput(f"{path}: larger than {MAX_FILE >> 20} MiB, not a bundle")
        with open_zip(path) as bundle:
            return _content(str(path), _members(path, bundle))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except IsADirectoryError:
        raise BadInput(f"{path}: is a folder, not a bundle") from None
    except _DAMAGED as error:
        raise BadInput(f"{path}: damaged, or not a bundle: {first_line(error)}") from None


def _content(place: str, members: Iterable[tuple[str, bytes]]) -> Bundle:
    """What the members hold, checked; BadInput if anything in them is wrong."""
    contents: list[RunContent] = []
    validation, built = None, 0
    for name, data in members:
        where = f"{place}: {name}"
        built = require_small(place, data, built)
        if name == _VALIDATION:
            validation = read_checked(where, _Validation, data)
        else:
            contents.append(read_run(where, data))
    ids = [content.run.id for content in contents]
    if len(set(ids)) < len(ids):
        raise BadInput(f"{place}: holds the same run twice")
    if validation is not None and validation["run"] not in ids:
        raise BadInput(
            f"{place}: {_VALIDATION}: is about {validation['run']!r}, which is not in the bundle"
        )
    return Bundle(tuple(contents), validation)


def _members(path: Path, bundle: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """The members that the manifest names. Sums must match, and no other member may exist."""
    infos = bundle.infolist()
    names = [info.filename for info in infos]
    if _MANIFEST not in names:
        raise BadInput(f"{path}: a zip of something else, not a bundle")
    if len(names) > MAX_MEMBERS or len(set(names)) < len(names):
        raise BadInput(f"{path}: too many members, or one twice: not a bundle")
    for info in infos:
        is_supported = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if not is_supported or info.flag_bits & 1:
            raise BadInput(f"{path}: {info.filename!r}: not packed like a bundle")
    _require_not_large(path, sum(info.file_size for info in infos))
    if bundle.getinfo(_MANIFEST).file_size > MAX_MANIFEST:
        raise BadInput(f"{path}: {_MANIFEST} is too large: not a bundle")
    manifest = read_checked(f"{path}: {_MANIFEST}", _Manifest, bundle.read(_MANIFEST))
    if manifest["version"] > VERSION:
        raise BadInput(
            f"{path}: written by a newer bench (bundle version {manifest['version']}, this one "
            f"knows up to {VERSION}): upgrade ondevice-bench"
        )
    sums: dict[str, str] = manifest["members"]
    if set(sums) | {_MANIFEST} != set(names):
        raise BadInput(f"{path}: its members are not the ones in its manifest")
    for name in sorted(sums, key=_number):
        data = bundle.read(name)
        if hashlib.sha256(data).hexdigest() != sums[name]:
            raise BadInput(f"{path}: {name}: its SHA-256 is not the one in the manifest")
        yield name, data


def _require_not_large(where: object, size: int) -> None:
    """BadInput for more text than a bundle may hold."""
    if size > MAX_UNPACKED:
        raise BadInput(
            f"{where}: holds {size >> 20} MiB of text, and a bundle at most {MAX_UNPACKED >> 20}: "
            "export fewer runs at a time"
        )


def _require_room(where: str, content: RunContent, text: bytes) -> None:
    """BadInput for a run that no bundle can hold, with its largest part and what works instead."""
    is_long = len(text) > MAX_UNPACKED
    if not is_long and built_bytes(text) <= run_json.MAX_BUILT:
        return
    most = f"a bundle holds at most {MAX_UNPACKED >> 20} MiB"
    if not is_long:
        most = f"its values take more than {run_json.MAX_BUILT >> 20} MiB of memory"
    part, size = _largest_part(content)
    raise BadInput(
        f"{where}: run {content.run.id} alone has {len(text) >> 20} MiB of text, and {most}. Its "
        f"largest part is {part}, {size >> 20} MiB. No part can be left out. Copy its store "
        "instead: `bench report`, `compare`, `history` and `site` read a store of any machine"
    )


def _largest_part(content: RunContent) -> tuple[str, int]:
    """The part of the records that takes the most text, and its length."""
    lengths: Counter[str] = Counter({"its plan": len(json.dumps(content.to_dict()["cells"]))})
    for record in content.records:
        of_pass = f"of the pass {record.key.pass_name}"
        lengths[f"the samples {of_pass}"] += len(json.dumps(record.samples))
        lengths[f"the output {of_pass}"] += len(record.output)
        for name, value in record.details.items():
            lengths[f"the detail {name!r} {of_pass}"] += len(json.dumps(value))
    return lengths.most_common(1)[0]


def _number(name: str) -> int:
    return int("0" + "".join(c for c in name if c.isascii() and c.isdigit())[:9])
