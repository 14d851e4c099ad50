"""The commands that the campaign ends. Each is a row, with what it must not break."""

import csv
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ondevice_bench.record import baseline, bundle
from ondevice_bench.record.foreign import foreign_runs
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.record.thinning import KeepRule, removable
from ondevice_bench.remote.installer import MARKER
from ondevice_bench.site import digest_file
from ondevice_bench.suite.load import load_suite
from tests.campaign.place import (
    MANY,
    bench,
    damage,
    history,
    make_history,
    problem_of,
    stored,
)
from tests.campaign.results import records_of, store_of
from tests.e2e.test_foreign_metrics import FILE
from tests.report.test_page import is_well_formed

# Makes what a command needs, and yields. Then yields each thing that is wrong with what it left.
Watch = Callable[[Path, random.Random], Iterator[str]]


def _nothing_more(_: Path, __: random.Random) -> Iterator[str]:
    yield ""


@dataclass(frozen=True)
class Verb:
    """A command, its longest time before the signal, and how much of the campaign it takes.

    `codes` are those of a command that nobody ends. The rules for every store hold for all commands.
    `watch` has those of one command.
    """

    name: str
    words: tuple[str, ...]
    seconds: float
    share: int = 1
    watch: Watch = _nothing_more
    codes: tuple[int, ...] = (0,)

    @property
    def title(self) -> str:
        """What the table says."""
        return f"`bench {self.name}` is ended"


def _file(name: str, read: Callable[[Path], object]) -> Watch:
    """The file is there and can be read, or it is not there."""

    def watch(place: Path, chance: random.Random) -> Iterator[str]:
        path = place / name
        if chance.random() < 0.5:
            path.unlink(missing_ok=True)
        yield ""
        if path.exists() and (problem := problem_of(read, path)):
            yield problem

    return watch


def _json(path: Path) -> None:
    json.loads(path.read_bytes())


def _csv(path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert all(len(row) == len(head) for row in rows), "a line is not whole"


def _page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>"), "the page is not whole"
    is_well_formed(text)


def _import(place: Path, chance: random.Random) -> Iterator[str]:
    """Every run of the bundle is there whole, or not at all."""
    whole = {run: {r.key: r for r in each} for run, each in records_of(make_history(place)).items()}
    if not (place / "many.bundle").exists():
        bundle.write(history(), place / "many.bundle")
    if chance.random() < 0.5:
        shutil.rmtree(place / "bench-out/imported", ignore_errors=True)
    yield ""
    found: dict[str, dict[object, object]] = {}
    for (name, run, task), record in stored(place).items():
        if name == "imported":
            found.setdefault(run, {})[task] = record
    wrong = [run for run, records in found.items() if records != whole[run]]
    if wrong:
        yield f"a part of {wrong[0]} was imported"


def _import_foreign(place: Path, chance: random.Random) -> Iterator[str]:
    """The readings are there whole, or not at all."""
    folder = place / "foreign"
    (place / "foreign.json").write_text(json.dumps(FILE))
    if chance.random() < 0.5:
        shutil.rmtree(folder, ignore_errors=True)
    yield ""
    for path, run in foreign_runs(folder):
        if isinstance(run, Exception):
            yield f"{path.name}: {run}"


def _accept(place: Path, _: random.Random) -> Iterator[str]:
    """The baseline has the line or not. All else is as before."""
    make_history(place)
    path = place / "baselines/changed.json"
    baseline.write(history()[8], path)
    before = baseline.read(path)
    yield ""
    if problem := problem_of(baseline.read, path):
        yield problem
        return
    after = baseline.read(path)
    if (after.run, after.cells, after.records) != (before.run, before.cells, before.records):
        yield "the baseline has changed"
    if len(after.accepted) > 1:
        yield f"{len(after.accepted)} changes are accepted"


def _thin(place: Path, _: random.Random) -> Iterator[str]:
    """Old runs are removed, all or none. The others have their records."""
    before = records_of(make_history(place))
    baselines = (place / "baselines").glob("*.json")
    rule = KeepRule(last=2, needed=frozenset(baseline.read(path).run.id for path in baselines))
    with Store.open(place / MANY) as store:
        old = removable(store.runs_as_added(), rule, datetime.now(UTC))
    thinned = place / "thinned" / FILE_NAME
    shutil.rmtree(thinned.parent, ignore_errors=True)
    thinned.parent.mkdir()
    shutil.copy(place / MANY, thinned)
    yield ""
    if problem := damage(thinned):
        yield problem
        return
    after = records_of(thinned)
    if set(after) not in (set(before), set(before) - {run.id for run in old}):
        yield f"{len(before) - len(after)} runs were removed, and not {len(old)}"
    if any(after[run] != before.get(run) for run in after):
        yield "a record that was stored is lost or changed"


def _site(place: Path, chance: random.Random) -> Iterator[str]:
    """No run of the site is lost, each file of a run is whole, and the next call completes the site."""
    make_history(place)
    half, whole, made = (place / f"{name}-site" for name in ("half", "whole", "made"))
    if not whole.exists():
        store_of(place / "half" / FILE_NAME, *history()[:9])
        bench(place, "site", "half", "--out", half.name).check_returncode()
        bench(place, "site", "many", "--out", whole.name).check_returncode()
    start = chance.choice(("nothing", "half of it", "what is there"))
    if start != "what is there":
        shutil.rmtree(made, ignore_errors=True)
    if start == "half of it":
        shutil.copytree(half, made)
    before = {path.name for path in _runs_of(made)}
    goes_on = chance.random() < 0.3
    yield ""
    files = _runs_of(made)
    if gone := before - {path.name for path in files}:
        yield f"the site has lost {min(gone)}"
    for path in files:
        if problem := problem_of(lambda path: digest_file.read(str(path), path.read_bytes()), path):
            yield problem
    if goes_on:
        ended = bench(place, "site", "many", "--out", made.name)
        if ended.returncode:
            yield f"the next call fails: {ended.stderr[-300:]!r}"
            return
        yield from _differences(made, whole)


def _runs_of(site: Path) -> list[Path]:
    return sorted(site.glob("[!.]*/*/data/*.json"))


def _differences(site: Path, other: Path) -> Iterator[str]:
    one, two = (
        {p.relative_to(each): p.read_bytes() for p in each.rglob("*") if p.is_file()}
        for each in (site, other)
    )
    different = sorted(str(name) for name in one | two if one.get(name) != two.get(name))
    if different:
        yield f"after the next call, the site differs from a new one: {different[:3]}"


def _init(place: Path, _: random.Random) -> Iterator[str]:
    """A suite that is there is whole, and its schema is there."""
    suite, schema = (place / "suites" / name for name in ("made.yaml", "suite.schema.json"))
    for path in (suite, schema):
        path.unlink(missing_ok=True)
    yield ""
    if suite.exists():
        if problem := problem_of(lambda path: load_suite(str(path)), suite):
            yield problem
        if problem := problem_of(_json, schema):
            yield problem


def _new_method(place: Path, _: random.Random) -> Iterator[str]:
    """The file is whole, or not there."""
    path = place / "made.py"
    path.unlink(missing_ok=True)
    yield ""
    if path.exists() and (problem := problem_of(lambda p: compile(p.read_text(), p, "exec"), path)):
        yield problem


def _board_that_goes(place: Path, _: random.Random) -> Iterator[str]:
    """What is left of the files of `bench` on the board can still be removed."""
    folder = place / "there/board3"
    (folder / "env").mkdir(parents=True, exist_ok=True)
    for number in range(2_000):
        (folder / "env" / str(number)).touch()
    (folder / MARKER).touch()
    yield ""
    if folder.exists() and not (folder / MARKER).exists():
        yield "`bench board remove` does not know any more that the rest of the folder is its own"


CELL = "mcunet/vanilla/all/b1/s0"
SMALL = ("--model", "vit_b_32", "--option", "depth=1", "--option", "image_size=32", "--batch", "1")
SEARCH = ("--space", "./ways.yaml", "--memory-cap", "1G", "--budget", "60s", "-q")
CHANGE = ("changed", "svd", "activation_bytes", f"{MANY}@quick-x86-11")
VERBS = (
    # 3: an earlier worker was ended
    Verb("run", ("run", "killed.yaml", "-q"), 9, 6, codes=(0, 3)),
    Verb(
        "run, spawned workers",
        ("run", "spawned.yaml", "-q", "--out", "bench-out/killed"),
        12,
        3,
        codes=(0, 3),
    ),
    Verb("import", ("import", "many.bundle", "--out", "bench-out/imported"), 3, 3, _import),
    Verb(
        "import of pytest-benchmark's JSON",
        ("import", "foreign.json", "--out", "foreign"),
        1.5,
        watch=_import_foreign,
    ),
    Verb(
        "export",
        ("export", "killed", "--out", "made.bundle"),
        1.5,
        2,
        _file("made.bundle", bundle.read),
    ),
    *(
        Verb(
            f"export --format {form}",
            ("export", "killed", "--format", form, "--out", f"made-{form}.json"),
            1.5,
            watch=_file(f"made-{form}.json", _json),
            codes=(0, 6),
        )
        for form in ("bmf", "github-action-benchmark")
    ),
    Verb(
        "baseline save",
        ("baseline", "save", "made", "killed"),
        1.5,
        watch=_file("baselines/made.json", baseline.read),
    ),
    Verb(
        "baseline accept",
        ("baseline", "accept", *CHANGE, "--because", "it is meant", "--by", "somebody"),
        1.5,
        watch=_accept,
    ),
    Verb("report", ("report", "killed"), 3, 2, _file("bench-out/killed/report.html", _page)),
    Verb(
        "report as CSV",
        ("report", "killed", "--format", "csv", "--out", "made.csv"),
        1.5,
        watch=_file("made.csv", _csv),
    ),
    Verb("history", ("history", "killed"), 2, codes=(0, 5, 6)),
    Verb("compare", ("compare", "killed", "killed"), 2, codes=(0, 5, 6)),
    Verb("site", ("site", "many", "--out", "made-site"), 5, 4, _site),
    Verb("prune", ("prune", str(Path("thinned") / FILE_NAME), "--keep-last", "2"), 1.5, 3, _thin),
    Verb("list", ("list", "runs"), 1.2),
    Verb("plan", ("plan", "killed.yaml"), 5, 2),
    Verb("fit", ("fit", "--model", "mcunet", "--method", "vanilla"), 6),
    Verb("recommend", ("recommend", *SMALL, *SEARCH), 25, 4, codes=(0, 5)),
    Verb("show cell", ("show", "cell", CELL, "--run", "killed"), 1.5),
    Verb("show model", ("show", "model", "mcunet"), 5),
    Verb("show spectrum", ("show", "spectrum", "mcunet", "--weights", "random"), 6),
    Verb("doctor", ("doctor",), 3, codes=(0, 5)),
    Verb("account", ("account", "--model", "mcunet", "--method", "wasi", "--fraction", "0.1"), 4),
    Verb("claims", ("claims", "killed"), 5),
    Verb("check-method", ("check-method", "checkpoint"), 6),
    Verb(
        "ab",
        ("ab", "HEAD", "HEAD", "--suite", "killed.yaml", "--budget", "20s"),
        25,
        2,
        codes=(0, 5),
    ),
    Verb(
        "fleet run",
        ("fleet", "run", "lab.yaml", "--out", "bench-out/lab", "-q"),
        6,
        4,
        codes=(0, 3),
    ),
    Verb("fleet status", ("fleet", "status"), 3),
    Verb("board setup", ("board", "setup", "board2"), 3),
    Verb("board list", ("board", "list"), 1.2),
    Verb("board check", ("board", "check", "board2"), 3, codes=(0, 5)),
    Verb("board remove", ("board", "remove", "board3"), 1.5, watch=_board_that_goes),
    Verb(
        "board validate",
        ("board", "validate", "--on", "board1", "--out", "validated.bundle", "-q"),
        6,
        2,
        _file("validated.bundle", bundle.read),
        (0, 3, 5),
    ),
    Verb(
        "schema",
        ("schema", "suite", "--out", "made.schema.json"),
        1.5,
        watch=_file("made.schema.json", _json),
    ),
    Verb("init", ("init", "made"), 1.5, watch=_init),
    Verb("new-method", ("new-method", "made"), 1.2, watch=_new_method),
    Verb("completion", ("completion", "bash"), 1.2),
)
