"""Readings of other tools. They are stored apart from our results, and never compared with them.

One file for each import, below `bench-out/foreign/`. Times are in seconds.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ondevice_bench import bounded_json
from ondevice_bench.declare.schema import StrictSchema
from ondevice_bench.errors import BadInput, first_line
from ondevice_bench.files import atomic_write, require_regular
from ondevice_bench.record import baseline
from ondevice_bench.record.run_json import MAX_BUILT
from ondevice_bench.record.store import OUT
from ondevice_bench.units import by_time, instant

FOLDER = "foreign"
PYTEST_BENCHMARK = "pytest-benchmark"
MAJOR = 5  # of pytest-benchmark: its JSON has no version of its own
VERSION = 1  # of our files
MAX_FILE = 64 << 20
MAX_BENCHMARKS = 100_000

_Text = Annotated[str, Field(min_length=1, max_length=1000)]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Foreign(BaseModel):
    """A part of a foreign file. Keys that we do not read are allowed."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, allow_inf_nan=False)


class _Stats(_Foreign):
    min: _Seconds
    median: _Seconds
    mean: _Seconds
    stddev: _Seconds
    rounds: Annotated[int, Field(ge=1)]


class _Benchmark(_Foreign):
    fullname: _Text
    stats: _Stats


class _Cpu(_Foreign):
    brand_raw: str = ""


class _Machine(_Foreign):
    machine: str
    system: str
    python_implementation: str
    python_version: str
    cpu: _Cpu = _Cpu()


class _Commit(_Foreign):
    id: str
    dirty: bool = False


class _PytestBenchmark(_Foreign):
    machine_info: _Machine
    commit_info: _Commit
    benchmarks: Annotated[list[_Benchmark], Field(max_length=MAX_BENCHMARKS)]
    datetime: _Text
    version: _Text


@dataclass(frozen=True)
class ForeignReading:
    """One benchmark of another tool, as that tool reported it."""

    benchmark: str
    median: float
    mean: float
    min: float
    stddev: float
    rounds: int


@dataclass(frozen=True)
class ForeignRun:
    """The readings of one file. `machine` has no name of a host."""

    tool: str
    tool_version: str
    created: str
    commit: str
    machine: str
    readings: tuple[ForeignReading, ...]


class _StoredReading(StrictSchema):
    benchmark: _Text
    median: _Seconds
    mean: _Seconds
    min: _Seconds
    stddev: _Seconds
    rounds: Annotated[int, Field(ge=1)]


class _Stored(StrictSchema):
    version: Literal[1]
    tool: _Text
    tool_version: _Text
    created: _Text
    commit: str
    machine: str
    readings: Annotated[list[_StoredReading], Field(max_length=MAX_BENCHMARKS)]


def is_foreign(path: Path) -> bool:
    """Whether the file is JSON, and so no bundle of ours."""
    require_regular(path)
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip()[:1] == b"{"
    except OSError:
        return False  # the reader of bundles says why


def read_pytest_benchmark(path: Path) -> ForeignRun:
    """The readings of a file of `pytest --benchmark-json`; BadInput if it is another file."""
    values = _json(path)
    if values.get("format") == baseline.FORMAT:
        raise BadInput(
            f"{path}: a baseline cannot be imported; compare with it: `bench compare {path} SUITE`"
        )
    version = values.get("version")
    if "benchmarks" not in values or not isinstance(version, str):
        raise BadInput(f"{path}: JSON of something else: give a bundle, or a file of {_HOW}")
    if version.partition(".")[0] != str(MAJOR):
        raise BadInput(
            f"{path}: written by {PYTEST_BENCHMARK} {version[:40]}; this bench reads version "
            f"{MAJOR}.x"
        )
    file = _checked(path, _PytestBenchmark, values)
    if not file.benchmarks:
        raise BadInput(f"{path}: no benchmark in it")
    names = [each.fullname for each in file.benchmarks]
    if len(set(names)) < len(names):
        raise BadInput(f"{path}: a benchmark appears twice")
    created = _in_utc(path, file.datetime)
    info = file.machine_info
    python = f"{info.python_implementation} {'.'.join(info.python_version.split('.')[:2])}"
    machine = ", ".join(filter(None, (info.cpu.brand_raw, info.machine, info.system, python)))
    return ForeignRun(
        PYTEST_BENCHMARK,
        version,
        created,
        file.commit_info.id + ("-dirty" if file.commit_info.dirty else ""),
        machine,
        tuple(
            ForeignReading(
                each.fullname,
                each.stats.median,
                each.stats.mean,
                each.stats.min,
                each.stats.stddev,
                each.stats.rounds,
            )
            for each in file.benchmarks
        ),
    )


def keep(run: ForeignRun, folder: Path) -> tuple[Path, bool]:
    """Store the readings in a file of the folder; the file, and whether it is new."""
    text = json.dumps({"version": VERSION, **asdict(run)}, indent=1, allow_nan=False) + "\n"
    data = text.encode()
    digest = hashlib.sha256(data).hexdigest()[:12]
    path = folder / f"{run.tool}-{digest}.json"
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return path, False  # a damaged file is written again
    with atomic_write(path) as file:
        file.write(data)
    return path, True


def foreign_runs(folder: Path = OUT / FOLDER) -> Iterator[tuple[Path, ForeignRun | BadInput]]:
    """The readings in each file of the folder, or why a file cannot be read."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield path, _stored(path)
        except BadInput as error:
            yield path, error


def _stored(path: Path) -> ForeignRun:
    file = _checked(path, _Stored, _json(path))
    readings = tuple(ForeignReading(**each.model_dump()) for each in file.readings)
    return ForeignRun(**{**file.model_dump(exclude={"version"}), "readings": readings})


def _in_utc(path: Path, text: str) -> str:
    """The time in UTC, so that texts sort by time. A time without a zone counts as UTC."""
    moment = instant(text)
    if moment is None:
        raise BadInput(f"{path}: datetime: no date, got {text[:40]!r}")
    return moment.isoformat(timespec="seconds")


_HOW = f"`pytest --benchmark-json` ({PYTEST_BENCHMARK} {MAJOR}.x)"


def _json(path: Path) -> dict[str, Any]:
    require_regular(path)
    try:
        if path.stat().st_size > MAX_FILE:
            raise BadInput(f"{path}: larger than {MAX_FILE >> 20} MiB")
        values = bounded_json.loads(path.read_bytes(), MAX_BUILT)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not JSON: {first_line(error)}") from None
    if not isinstance(values, dict):
        raise BadInput(f"{path}: JSON of something else")
    return values


def _checked(path: Path, schema: type[Any], values: dict[str, Any]) -> Any:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:200]
        raise BadInput(f"{path}: {where}: {first['msg'][:200]}") from None


def by_series(
    runs: Sequence[ForeignRun],
) -> dict[tuple[str, str, str], list[tuple[ForeignRun, ForeignReading]]]:
    """The readings by tool, benchmark and machine, the earliest first."""
    series: dict[tuple[str, str, str], list[tuple[ForeignRun, ForeignReading]]] = {}
    for run in sorted(runs, key=lambda each: by_time(each.created)):
        for reading in run.readings:
            key = (run.tool, reading.benchmark, run.machine)
            series.setdefault(key, []).append((run, reading))
    return series
