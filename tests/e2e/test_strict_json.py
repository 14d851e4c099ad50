"""Each JSON that a command writes, read by a strict parser. The store has numbers that are none."""

import copy
import json
import random
import re
import zipfile
from dataclasses import replace

import pytest

from ondevice_bench.record.store import Store
from tests.report import synthetic

DATA = re.compile(r'<script type="application/json"[^>]*>(.*?)</script>', re.DOTALL)


def refuse(text):
    raise ValueError(f"{text} is no JSON")


def strict(text):
    return json.loads(text, parse_constant=refuse)


def store(workplace, odd):
    """Three runs. With `odd`, a curve has values as an earlier version may have stored them."""
    path = workplace / "bench-out" / "quick" / "results.sqlite"
    path.parent.mkdir(parents=True)
    cells = synthetic.cells()
    with Store.create(path) as made:
        for number in range(3):
            run = synthetic.run_of(
                f"quick-0{number}",
                commit=f"0{number}abcdef00",
                created=f"2026-03-0{number + 1}T00:00:00+00:00",
                finished=f"2026-03-0{number + 1}T00:10:00+00:00",
            )
            records = synthetic.of_history(random.Random(number), cells, run.id)
            hot = synthetic.sustained(cells[0], run.id)
            if odd:
                curve = copy.deepcopy(hot.details["sustained"])
                curve["columns"]["celsius"][3] = float("nan")
                curve["columns"]["watts"][4] = float("inf")
                hot = replace(hot, details={"sustained": curve})
            made.merge(run, synthetic.planned(cells), [*records, hot])


@pytest.mark.parametrize("odd", [False, True])
def test_all_that_is_written_is_strict_json(bench, workplace, odd):
    store(workplace, odd)
    for words in (
        ("compare", "quick-00", "quick-02", "--json"),
        ("history", "quick", "--json"),
        ("report", "quick", "--format", "json"),
    ):
        ended = bench(*words)
        assert ended.code in (0, 4, 5), ended.err
        strict(ended.out)
    ended = bench("report", "quick", "-o", "page.html")
    assert ended.code == 0, ended.err
    assert bench("site", "-o", "site").code == 0
    pages = [workplace / "page.html", *(workplace / "site").rglob("*.html")]
    blocks = [text for page in pages for text in DATA.findall(page.read_text())]
    assert len(blocks) > 3
    for text in blocks:
        strict(text)
    for path in (workplace / "site").rglob("*.json"):
        strict(path.read_text())


def test_a_bundle_refuses_numbers_that_are_none(bench, workplace):
    store(workplace, odd=True)
    ended = bench("export", "quick", "-o", "runs.bundle")
    assert ended.code == 2
    assert "is not a number of a bundle" in ended.err
    assert not (workplace / "runs.bundle").exists()


def test_a_bundle_and_a_baseline_are_strict_json(bench, workplace):
    store(workplace, odd=False)
    assert bench("export", "quick", "-o", "runs.bundle").code == 0
    with zipfile.ZipFile(workplace / "runs.bundle") as bundle:
        for name in bundle.namelist():
            if name.endswith(".json"):
                strict(bundle.read(name))
    assert bench("baseline", "save", "main", "quick").code == 0
    strict((workplace / "baselines" / "main.json").read_text())
