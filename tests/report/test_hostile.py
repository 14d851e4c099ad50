"""What import accepts, reports draw: a bundle may say anything that its schema allows."""

import json
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ondevice_bench.analyse.compare import compare
from ondevice_bench.analyse.groups import with_baseline
from ondevice_bench.analyse.history import HistoryQuery
from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.errors import BadInput, BenchError
from ondevice_bench.record import run_json
from ondevice_bench.record.store import Store
from ondevice_bench.report import page
from ondevice_bench.report.terminal.bundle import bundle_row
from ondevice_bench.report.terminal.cell import cell_lines, cell_table
from ondevice_bench.report.terminal.comparison import comparison_lines
from ondevice_bench.report.terminal.csv_lines import csv_lines
from ondevice_bench.report.terminal.formats import formatted
from ondevice_bench.report.trackers import FORMATS
from tests.report import synthetic
from tests.report.test_page import is_well_formed

EXACT = ("activation_bytes", "step_flops", "forward_live_peak_bytes")
ID = "mcunet/asi(fraction=0.125)/all/b8/s0"


def made():
    """A run of two cells, as the JSON of a bundle."""
    cells = synthetic.cells()[:2]
    finding = {"subject": "load", "level": "warning", "said": "x", "effect": "y", "cure": "z"}
    run = synthetic.run_of(
        settings={
            **synthetic.SETTINGS,
            "goal": {"minimise": "step_flops", "min_cosine": 0.5},
            "doctor": [finding],
            "budget_seconds": 9.0,
            "emulated": False,
        }
    )
    content = run_json.RunContent(
        run, tuple(synthetic.planned(cells)), tuple(synthetic.records(cells))
    )
    return json.loads(json.dumps(content.to_dict()))


def leaves(value, path=()):
    """The path of every value within."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))


GOOD = made()
SPOTS = [path for path in leaves(GOOD) if path]
# what reports read first: figures, settings and details
TELLING = [path for path in SPOTS if {"details", "settings", "metrics", "samples"} & set(path)]
TEXTS = st.text(max_size=12) | st.sampled_from(["</script>", "\x00\x1b[31m\r\x7f\x85", "a/b"])
NUMBERS = (
    st.sampled_from([0, -1, 0.0, -0.5, 1e300, -1e300, 5e-324, 2**62, 2**53 + 1])
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
IDS = (
    TEXTS
    | st.sampled_from(["x/y", "////b1/s0", "a/b/c/b1/s0/"])
    | st.from_regex(r"\A[a-z]{1,3}/[a-z<]{1,3}/[a-z/]{1,5}/b[0-9]{1,3}/s[0-9]\Z")
)


def like(value):
    """Another value of the same type."""
    match value:
        case bool():
            return st.just(not value)
        case str():
            return TEXTS
        case int() | float():
            return NUMBERS
        case list():
            return st.lists(st.sampled_from(value), max_size=4) if value else st.just([])
        case dict():
            named = st.tuples(TEXTS, st.sampled_from([*value.values(), 0.5])).map(lambda x: [x])
            return st.sampled_from([*value, ""]).flatmap(
                lambda lost: named.map(
                    lambda new: {k: v for k, v in value.items() if k != lost} | dict(new)
                )
            )
        case _:
            return st.none()


@st.composite
def bundles(draw):
    """The JSON of a run with some values changed, mostly to others of the same type."""
    values = deepcopy(GOOD)
    if draw(st.integers(0, 4)) == 0:
        name = draw(IDS)
        values["cells"][1]["definition"]["id"] = name
        for record in values["records"]:
            record["cell"] = name if record["cell"] == ID else record["cell"]
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from(TELLING) | st.sampled_from(SPOTS))
        place = values
        try:
            for step in way:
                place = place[step]
            place[last] = draw(ANYTHING if draw(st.integers(0, 5)) == 0 else like(place[last]))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    return values


def draw_everything(summary, which):
    """The page with one of its layouts, or what the verbs print."""
    older = replace(summary, run=replace(summary.run, id="older"))
    match which:
        case "hardware":
            text = page.render([summary, summary], "hardware")
            assert text.count("</script>") == text.count("<script") <= 6
            assert is_well_formed(text)
        case "regression":
            query = HistoryQuery(metrics=EXACT)
            assert is_well_formed(page.render([summary, older], "regression", query=query))
        case _:
            for form in ("md", "text", "json"):
                formatted([summary], form)
            list(csv_lines((summary.run, cell) for cell in summary.cells))
            comparison_lines(compare(older, summary))
            for tracker in FORMATS.values():
                with suppress(BenchError):  # no cell was measured, or a name is too long
                    json.dumps(tracker(summary).content, allow_nan=False)
            for cell in summary.cells:
                cell_table(with_baseline(summary, cell)), cell_lines(cell)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@settings(max_examples=80)
@given(bundles(), st.sampled_from(["hardware", "regression", "text", "text"]))
def test_whatever_a_bundle_says_is_refused_or_drawn(folder, values, which):
    try:
        found = run_json.read_run("x", json.dumps(values).encode())
    except BadInput:
        return
    path = folder / "results.sqlite"
    path.unlink(missing_ok=True)
    with Store.create(path) as store:
        store.merge(found.run, found.cells, found.records)
        assert store.merge(found.run, found.cells, found.records) == 0
    with Store.open(path) as store:
        summary = summarise(store, store.run(found.run.id))
    bundle_row(found)
    draw_everything(summary, which)
