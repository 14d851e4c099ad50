"""Files of every kind, each with a few random changes: what is read is drawn, or refused in a line."""

import json
import os
import random
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy

from ondevice_bench.analyse.summary import summarise
from ondevice_bench.data import readers, tensorfile
from ondevice_bench.data.batch import NoBatch
from ondevice_bench.data.split import Draw
from ondevice_bench.errors import BenchError
from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.record import baseline, bundle, run_json
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
from ondevice_bench.report.layout import load_layout
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.inputs import Images
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from ondevice_bench.terminal import UNSAFE, error_line
from tests.campaign.changes import (
    bytes_changed,
    columns_changed,
    values_changed,
    words_changed,
)
from tests.campaign.tally import Tally
from tests.report.test_hostile import draw_everything, made

ROOT = Path(__file__).parents[2]
SECONDS = 20  # that one file may take
LONGEST = 1_000  # characters of a line that refuses
BOARD = Board("x86", memory_gib=8.0)


@dataclass(frozen=True)
class Kind:
    """A kind of file: a good one, a way to change it, and what reads it."""

    name: str
    file: str
    good: Callable[[Path], bytes]
    change: Callable[[bytes, random.Random], bytes]
    use: Callable[[Path, random.Random], None]


def try_inputs(kind: Kind, count: int, seed: int) -> Tally:
    """Change and read the file so many times."""
    tally = Tally(kind.name)
    with tempfile.TemporaryDirectory() as folder, _in(Path(folder)):
        good = kind.good(Path("good"))
        for number in range(count):
            chance = random.Random(f"{seed} {number}")
            Path(kind.file).write_bytes(kind.change(good, chance))
            with _deadline():
                ending, failure = _ending(kind, chance)
            tally.endings[ending] += 1
            if failure:
                tally.failures.append(f"{kind.name}: seed {seed}, number {number}: {failure}")
    return tally


def _ending(kind: Kind, chance: random.Random) -> tuple[str, str]:
    try:
        kind.use(Path(kind.file), chance)
    except (BenchError, NoBatch, tensorfile.NoTensorFile) as error:
        lines = map(error_line, getattr(error, "lines", (str(error),)))
        bad = [line for line in lines if UNSAFE.search(line) or len(line) > LONGEST]
        return "refused", f"a line that cannot be printed: {bad[0][:200]!r}" if bad else ""
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "failed", f"{type(error).__name__}: {str(error)[:300]}"
    return "read", ""


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class TooSlow(BaseException):
    """A file took longer than it may."""


@contextmanager
def _deadline() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TooSlow(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _content() -> RunContent:
    return run_json.read_run("good", json.dumps(made()).encode())


def _store(path: Path) -> bytes:
    content = _content()
    with Store.create(path) as store:
        store.merge(content.run, content.cells, content.records)
    return path.read_bytes()


def _bundle(path: Path) -> bytes:
    bundle.write([_content()], path)
    return path.read_bytes()


def _baseline(path: Path) -> bytes:
    baseline.write(_content(), path)
    return path.read_bytes()


def _declared(name: str) -> Callable[[Path], bytes]:
    return lambda _: (ROOT / name).read_bytes()


def _npz(path: Path) -> bytes:
    images = numpy.arange(10 * 8 * 8 * 3, dtype=numpy.uint8).reshape(10, 8, 8, 3)
    with path.open("wb") as file:
        numpy.savez_compressed(file, images=images, labels=numpy.arange(10))
    return path.read_bytes()


def _tensors(path: Path) -> bytes:
    tensors = {"a": numpy.ones((2, 12), numpy.float32), "b": numpy.ones(3, numpy.int64)}
    tensorfile.write(path, tensors, {"key": "value"})
    return path.read_bytes()


def _reply(_: Path) -> bytes:
    samples = {"step_seconds": [0.5, 0.25]}
    result = PassResult({"step_seconds": 0.5}, samples, {"joules": "no chip"}, {"notes": ["x"]})
    return Reply("ok", result=result).to_text().encode()


def _drawn(content: RunContent, chance: random.Random) -> None:
    """Import the run into a store, as `bench import` does, and draw it."""
    path = Path("imported.sqlite")
    path.unlink(missing_ok=True)
    with Store.create(path) as store:
        store.merge(content.run, content.cells, content.records)
        store.merge(content.run, content.cells, content.records)
    _draw_store(path, chance)


def _draw_store(path: Path, chance: random.Random) -> None:
    with Store.open(path) as store:
        summaries = [summarise(store, run) for run in store.runs()]
    for summary in summaries:
        draw_everything(summary, chance.choice(["text"] * 8 + ["hardware", "regression"]))


def _use_bundle(path: Path, chance: random.Random) -> None:
    for content in bundle.read(path):
        _drawn(content, chance)


def _use_run(path: Path, chance: random.Random) -> None:
    _drawn(run_json.read_run(str(path), path.read_bytes()), chance)


def _use_baseline(path: Path, chance: random.Random) -> None:
    _drawn(baseline.read(path), chance)


def _use_suite(path: Path, _: random.Random) -> None:
    plan(load_suite(f"./{path}"), BOARD)


def _use_npz(path: Path, _: random.Random) -> None:
    source = DataSource("npz", path=path)
    readers.npz(source, Images(3, 8, 10), Draw(4, numpy.random.default_rng(0)))


def _use_tensors(path: Path, _: random.Random) -> None:
    tensorfile.metadata(path)
    tensorfile.shapes(path)
    tensorfile.read(path)


def _use_reply(path: Path, _: random.Random) -> None:
    try:
        Reply.from_text(path.read_text(encoding="utf-8", errors="replace"))
    except ValueError as error:
        raise BenchError(str(error)) from None


def _void(_: object) -> None:
    """Nothing of it is needed: it was read."""


KINDS = (
    Kind("a bundle: bytes", "x.bundle", _bundle, bytes_changed, _use_bundle),
    Kind(
        "a run of a bundle: values",
        "x.json",
        lambda _: json.dumps(made()).encode(),
        values_changed,
        _use_run,
    ),
    Kind("a store: bytes", "x.sqlite", _store, bytes_changed, _draw_store),
    Kind("a store: values of columns", "x.sqlite", _store, columns_changed, _draw_store),
    Kind("a baseline: values", "x.json", _baseline, values_changed, _use_baseline),
    Kind("a suite: words", "x.yaml", _declared("suites/quick.yaml"), words_changed, _use_suite),
    Kind(
        "a suite: bytes", "x.yaml", _declared("suites/regression.yaml"), bytes_changed, _use_suite
    ),
    Kind(
        "a profile: words",
        "x.yaml",
        _declared("hardware/pi5.yaml"),
        words_changed,
        lambda path, _: _void(load_profile(f"./{path}")),
    ),
    Kind(
        "a layout: words",
        "x.yaml",
        _declared("reports/layouts/run.yaml"),
        words_changed,
        lambda path, _: _void(load_layout(f"./{path}")),
    ),
    Kind(
        "claims: words",
        "x.yaml",
        _declared("reports/claims.yaml"),
        words_changed,
        lambda path, _: _void(load_published(path)),
    ),
    Kind("an npz file: bytes", "x.npz", _npz, bytes_changed, _use_npz),
    Kind("a safetensors file: bytes", "x.safetensors", _tensors, bytes_changed, _use_tensors),
    Kind("a worker's reply: values", "x.txt", _reply, values_changed, _use_reply),
)
