"""Files of results: bundles, stores, baselines, sites, and readings of another tool."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.cli import names
from ondevice_bench.record import baseline, bundle, run_json
from ondevice_bench.record.foreign import ForeignRun, foreign_runs
from ondevice_bench.record.model import Record
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
from tests.campaign.calling import call
from tests.campaign.changes import bytes_changed, columns_changed, values_changed
from tests.campaign.inputs import Kind
from tests.e2e.test_foreign_metrics import FILE, STATS
from tests.report.test_hostile import draw_everything, made
from tests.report.test_page import is_well_formed
from tests.site.conftest import content as run_of_history

SITE, GOOD_SITE = Path("site"), Path("good-site")
LATEST = "quick/x86/data/quick-x86-02.json"
METHODS = ("vanilla", "svd", "wasi")
OLD, NEW = 8, 17  # SVD keeps more from the ninth run on, WASI is slower from the sixteenth on


def small(number: int) -> RunContent:
    """A run of a history, with three of its cells."""
    whole = run_of_history(number)
    cells = tuple(each for each in whole.cells if each.cell.method in METHODS)
    ids = {each.cell.id for each in cells}
    return RunContent(whole.run, cells, tuple(r for r in whole.records if r.key.cell in ids))


def store_of(path: Path, *contents: RunContent) -> bytes:
    """A new store of these runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with Store.create(path) as store:
        for each in contents:
            store.add_finished(each.run, each.cells, each.records)
    return path.read_bytes()


def records_of(path: Path) -> dict[str, tuple[Record, ...]]:
    """The records of each run of a store."""
    with Store.open(path) as store:
        return {run.id: store.records(run.id) for run in store.runs()}


def _content() -> RunContent:
    return run_json.read_run("good", json.dumps(made()).encode())


def _store(path: Path) -> bytes:
    return store_of(path, _content())


def _bundle(path: Path) -> bytes:
    bundle.write([_content()], path)
    return path.read_bytes()


def _baseline(path: Path) -> bytes:
    baseline.write(_content(), path)
    return path.read_bytes()


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


def _thin(path: Path, chance: random.Random) -> None:
    """Remove old runs. Each run that stays has its records, and one run stays at least."""
    before = records_of(path)
    call("prune", str(path), "--keep-last", str(chance.randint(1, 2)))
    after = records_of(path)
    assert after
    assert all(before[run] == records for run, records in after.items())


def _complete(path: Path, _: random.Random) -> None:
    """Complete the names of cells, as a shell does."""
    assert all(name.isprintable() for name in names.cells(""))


def _contradict_store(path: Path, _: random.Random) -> None:
    """Import the run into a store that has the good one. What was measured there stays."""
    here = Path("here/results.sqlite")
    store_of(here, _content())
    before = records_of(here)
    bundle.write([run_json.read_run(str(path), path.read_bytes())], Path("x.bundle"))
    try:
        call("import", "x.bundle", "--out", "here")
    finally:
        after = records_of(here)
        for run, records in before.items():
            good = [each for each in records if each.status == "ok"]
            assert all(each in after[run] for each in good), "a record is lost or changed"


def _make_site() -> None:
    """A site of three runs, and a bundle of the next run."""
    bundle.write([small(number) for number in range(3)], Path("three.bundle"))
    bundle.write([small(3)], Path("new.bundle"))
    call("site", "three.bundle", "--out", str(GOOD_SITE))


def _of_site(file: str) -> Callable[[Path], bytes]:
    def good(_: Path) -> bytes:
        _make_site()
        return (GOOD_SITE / file).read_bytes()

    return good


def _run_of_site(_: Path) -> bytes:
    _make_site()
    return json.dumps(small(2).to_dict()).encode()


def _manifest_changed(good: bytes, chance: random.Random) -> bytes:
    """The manifest with other values, and mostly with the sum of these values."""
    changed = values_changed(good, chance)
    if b"NaN" in changed or chance.random() < 0.3:
        return changed
    values = json.loads(changed)
    body = {key: values[key] for key in ("bundles", "runs", "boards", "pages") if key in values}
    text = json.dumps(body, sort_keys=True)
    values["sum"] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return json.dumps(values).encode()


def _published(name: str, chance: random.Random) -> None:
    """Bring the site up to date, twice. No file of a run is lost, and the second call has no work."""
    before = set(SITE.glob("*/*/data/*.json"))
    call("site", name, "--out", str(SITE))
    assert before <= set(SITE.glob("*/*/data/*.json")), "a run of the site is lost"
    again = json.loads(call("site", name, "--out", str(SITE), "--json"))
    assert (again["added"], again["grown"], again["written"]) == (0, 0, 0), again
    pages = sorted(SITE.rglob("*.html"))
    assert is_well_formed(chance.choice(pages).read_text(encoding="utf-8"))


def _fresh_site() -> None:
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(GOOD_SITE, SITE)


def _use_file_of_site(path: Path, chance: random.Random) -> None:
    _fresh_site()
    shutil.copy(path, SITE / LATEST)
    if chance.random() < 0.7:  # without the manifest, its hash tells nothing
        (SITE / "site.json").unlink()
    _published(chance.choice(("three.bundle", "new.bundle")), chance)


def _use_manifest(path: Path, chance: random.Random) -> None:
    _fresh_site()
    shutil.copy(path, SITE / "site.json")
    _published("new.bundle", chance)


def _contradict_site(path: Path, chance: random.Random) -> None:
    """Publish another run with the name of one that the site has."""
    _fresh_site()
    bundle.write([run_json.read_run(str(path), path.read_bytes())], Path("x.bundle"))
    _published("x.bundle", chance)


def _foreign(_: Path) -> bytes:
    slower = {name: 2 * value for name, value in STATS.items()}
    benchmarks = [FILE["benchmarks"][0], {"fullname": "test_a.py::test_b", "stats": slower}]
    return json.dumps({**FILE, "benchmarks": benchmarks}).encode()


def _kept_foreign(path: Path) -> bytes:
    Path("foreign.json").write_bytes(_foreign(path))
    call("import", "foreign.json", "--out", "good-foreign")
    (path,) = Path("good-foreign").iterdir()
    return path.read_bytes()


def _use_foreign(path: Path, _: random.Random) -> None:
    """Import it twice, and show it."""
    shutil.rmtree("bench-out", ignore_errors=True)
    call("import", str(path))
    assert "already here" in call("import", str(path))
    for _, run in foreign_runs():
        assert isinstance(run, ForeignRun), f"what was imported cannot be read: {run}"
    call("history")


def _show_foreign(_: Path, __: random.Random) -> None:
    call("history")


def _accepted(_: Path) -> bytes:
    """A baseline with two accepted changes, and a store with the run that has them."""
    baseline.write(small(OLD), Path("x.json"))
    store_of(Path("runs.sqlite"), small(OLD), small(NEW))
    for cell, metric in (("svd", "activation_bytes"), ("wasi", "step_seconds")):
        _accept(cell, metric)
    return Path("x.json").read_bytes()


def _accept(cell: str, metric: str) -> None:
    new = f"runs.sqlite@{small(NEW).run.id}"
    why = ("--because", "it is meant", "--by", "somebody")
    call("baseline", "accept", "x.json", cell, metric, new, *why)


def _accepted_changed(good: bytes, chance: random.Random) -> bytes:
    """The baseline with other lines of what was accepted."""
    values: dict[str, Any] = json.loads(good)
    part = json.dumps({"accepted": values.pop("accepted")}).encode()
    changed = values_changed(part, chance)[1:-1]
    return json.dumps(values).encode()[:-1] + (b", " + changed if changed else b"") + b"}"


def _use_accepted(path: Path, _: random.Random) -> None:
    """Compare with it, and accept one change again."""
    call("compare", str(path), f"runs.sqlite@{small(NEW).run.id}")
    _accept("wasi", "step_seconds")
    baseline.read(path)


RESULTS = (
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
    Kind(
        "changes that a baseline accepts: values",
        "x.json",
        _accepted,
        _accepted_changed,
        _use_accepted,
    ),
    Kind(
        "a store that is thinned: values of columns",
        "x.sqlite",
        lambda path: store_of(path, *map(small, range(4))),
        columns_changed,
        _thin,
    ),
    Kind(
        "a store whose cells are completed: bytes",
        "bench-out/quick/results.sqlite",
        _store,
        bytes_changed,
        _complete,
    ),
    Kind(
        "a run that contradicts the store: values",
        "x.json",
        lambda _: json.dumps(made()).encode(),
        values_changed,
        _contradict_store,
    ),
    Kind(
        "a run that contradicts a site: values",
        "x.json",
        _run_of_site,
        values_changed,
        _contradict_site,
    ),
    Kind(
        "a run's file in a site: values",
        "x.json",
        _of_site(LATEST),
        values_changed,
        _use_file_of_site,
    ),
    Kind(
        "the manifest of a site: values",
        "x.json",
        _of_site("site.json"),
        _manifest_changed,
        _use_manifest,
    ),
    Kind("a file of pytest-benchmark: values", "x.json", _foreign, values_changed, _use_foreign),
    Kind("a file of pytest-benchmark: bytes", "x.json", _foreign, bytes_changed, _use_foreign),
    Kind(
        "readings of pytest-benchmark that are kept: values",
        "bench-out/foreign/x.json",
        _kept_foreign,
        values_changed,
        _show_foreign,
    ),
)
