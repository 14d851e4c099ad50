"""`bench site` and `bench prune` through the command, and the pages in a real browser."""

import contextlib
import errno
import json
import os
import re
import shutil
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from playwright.sync_api import Error

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import compare
from ondevice_bench.analyse.summarise import summarise_content
from ondevice_bench.cli import prune
from ondevice_bench.errors import BadInput
from ondevice_bench.record import bundle
from ondevice_bench.record.store import Store
from ondevice_bench.running.workspace import locked
from ondevice_bench.site import pairs
from ondevice_bench.site.publish import publish
from ondevice_bench.validation import pi
from tests.e2e.browsing import DESK, PHONE, Visit
from tests.report.hostile import hostile_run
from tests.site.conftest import SLOW_FROM, content

RUNS = 24


def store(folder, numbers=range(RUNS)):
    path = folder / "bench-out" / "quick" / "results.sqlite"
    path.parent.mkdir(parents=True)
    with Store.create(path) as made:
        for number in numbers:
            each = content(number)
            made.add_finished(each.run, each.cells, each.records)
    return path


def test_boards_publish_into_one_site_and_each_call_needs_only_the_newest(bench, workplace):
    store(workplace, range(3))
    ended = bench("site", "-o", "site")
    assert ended.code == 0, ended.err
    first, last = ended.out.splitlines()
    assert first == "quick on x86, 02abcde against 01abcde: Not worse as far as it was decided"
    assert last == "site: site/index.html: 3 runs, 3 new; 3 of 3 pages written"
    shutil.rmtree(workplace / "bench-out")  # another job, that has the site and its own bundle
    bundle.write([content(0, profile="pi5", unit="0a1b2c3d4e5f")], workplace / "new/pi.bundle")
    ended = bench("site", "new", "-o", "site", "--json")
    assert ended.code == 0, ended.err
    said = ended.json()
    assert (said["runs"], said["added"], said["written"]) == (4, 1, 2)
    assert [card["board"] for card in said["newest"]] == ["x86", "pi5 (unit 0a1b2c3d4e5f)"]
    page = (workplace / "site/index.html").read_text()
    assert page.index("Newest verdicts") < page.index("Suites and boards")
    assert "3 runs" in page
    (workplace / "site/site.json").write_text("{}")
    ended = bench("site", "-o", "site")
    assert ended.code == 0
    assert ended.err == (
        "bench: site/site.json is JSON of something else: all pages are made again\n"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["empty"], "empty: neither a bundle (*.bundle) nor a store in it"),
        (["broken.bundle"], "broken.bundle: damaged, or not a bundle: "),
        (["broken.sqlite"], "broken.sqlite: not a store of bench"),
        (["-o", "taken"], "taken: is not a site of bench, and is not empty: it has 'letter'"),
        (["-o", "broken.sqlite"], "broken.sqlite: is a file, not the folder of a site"),
        (["-o", "fresh"], "no run to publish: "),
        (["other.bundle", "-o", "known"], "other.bundle: contradicts the site: "),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(bench, workplace, words, says):
    (workplace / "empty").mkdir()
    (workplace / "broken.bundle").write_text("x")
    (workplace / "broken.sqlite").write_text("x")
    (workplace / "taken").mkdir()
    (workplace / "taken/letter").write_text("dear")
    bundle.write([content(0)], workplace / "one.bundle")
    bundle.write([content(0, commit="another")], workplace / "other.bundle")
    publish([workplace / "one.bundle"], workplace / "known", lambda _: {})
    everything = sorted(workplace.rglob("*"))
    before = {p: p.read_bytes() for p in everything if p.is_file()}
    ended = bench("site", *words)
    assert ended.code == 2
    assert ended.err.startswith(f"bench: {says}")
    assert ended.err.count("\n") == 1
    assert sorted(workplace.rglob("*")) == everything
    assert {p: p.read_bytes() for p in everything if p.is_file()} == before


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    runs = [content(number) for number in range(RUNS)]
    bundle.write(runs, folder / "quick.bundle")
    bundle.write([content(0, profile="pi5"), content(0, suite="mine")], folder / "rest.bundle")
    publish([folder], folder / "site", lambda _: {})
    return folder / "site"


def counts_in(visit):
    text = visit.page.locator("#counts").inner_text()
    return {word: int(count) for count, word in re.findall(r"(\d+) ([a-z ]+)", text)}


def counts_of(one, other):
    """The verdicts of `bench compare` on exact metrics, and how many it leaves out."""
    sides = [summarise_content(content(number)) for number in (one, other)]
    found = compare(*sides)
    exact = [each for each in found.differences if metrics.BY_NAME[each.metric].kind == "exact"]
    left_out = sum(
        name in cell.estimates for name in found.of_other_kernels for cell in sides[0].cells
    )
    return Counter(each.verdict for each in exact) + Counter({"not compared": left_out})


def test_the_first_page_and_any_two_runs_ask_for_nothing_but_themselves(browser, published):
    with Visit(browser, published / "index.html", viewport=DESK) as visit:
        assert visit.page.locator(".card").count() == 3
        visit.page.get_by_role("link", name="quick on x86").first.click()
        visit.page.get_by_role("link", name="Compare any two runs").click()
        pages = ("index.html", "quick/x86/index.html", "quick/x86/compare-1-1.html")
        visit.wait("document.querySelector('#counts')?.textContent !== ''")
        assert [each.partition("#")[0] for each in visit.requests] == [
            (published / page).as_uri() for page in pages
        ]
        for one, other in ((0, 1), (3, 12), (8, 9), (2, 22), (20, 23)):
            visit.page.get_by_label("earlier run").select_option(str(one))
            visit.page.get_by_label("later run").select_option(str(other))
            shown = counts_in(visit)
            expected = counts_of(one, other)
            for verdict in ("regressed", "improved", "unchanged", "not compared"):
                assert shown.get(verdict, 0) == expected[verdict], (one, other, verdict)
            assert shown.get("became worse", 0) == int(one < SLOW_FROM <= other)
            assert shown["no change proven"] == 12 - int(one < SLOW_FROM <= other)
            is_other_torch = one < 20 <= other
            assert visit.page.locator("#unlike").is_visible() == is_other_torch
        assert len(visit.requests) == len(pages)
        assert visit.complaints == []


def test_the_earlier_run_is_always_the_base_and_a_link_opens_the_same_pair(browser, published):
    path = published / "quick/x86/compare-1-1.html"
    with Visit(browser, path, viewport=PHONE) as visit:
        visit.page.get_by_label("earlier run").select_option("2")
        visit.page.get_by_label("later run").select_option("0")
        chosen = [visit.page.locator(f"#{name}").input_value() for name in ("earlier", "later")]
        assert chosen == ["0", "2"]
        assert "quick-x86-00/quick-x86-02" in visit.page.url
        visit.page.get_by_label("earlier run").select_option("15")
        visit.page.get_by_label("later run").select_option("16")
        row = visit.page.locator("#rows tr", has_text="wasi").last
        assert "became worse, between 15abcde and 16abcde: 1.1" in row.inner_text()
        assert "worse" in row.locator("td").last.get_attribute("class")
        url, words = visit.page.url, visit.page.locator("#counts").inner_text()
        visit.page.goto("about:blank")
        visit.page.goto(url)
        visit.wait("document.querySelector('#counts').textContent !== ''")
        assert visit.page.locator("#counts").inner_text() == words


def wait_for_run(visit, place):
    """Wait until the page of this run shows it: the browser may go to another page meanwhile."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(Error):
            shown = visit.page.evaluate(
                "[location.hash, document.querySelector('#counts').innerText]"
            )
            if f"quick-x86-{place:02}" in shown[0] and shown[1]:
                return
        visit.page.wait_for_timeout(20)
    pytest.fail(visit.page.url)


def test_runs_of_two_blocks_are_compared_on_the_page_of_both(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "MAX_BLOCK", 2_000)
    monkeypatch.setattr(pairs, "MOST_BLOCKS", 100)
    bundle.write([content(number) for number in range(RUNS)], tmp_path / "quick.bundle")
    publish([tmp_path], tmp_path / "site", lambda _: {})
    pages = sorted((tmp_path / "site/quick/x86").glob("compare-*.html"))
    assert len(pages) > 3
    with Visit(browser, pages[-1], viewport=DESK) as visit:
        for one, other in ((0, RUNS - 1), (0, 1), (8, RUNS - 2)):
            for name, place in (("later", other), ("earlier", one)):
                visit.page.get_by_label(f"{name} run").select_option(str(place))
                wait_for_run(visit, place)
            assert visit.page.url.endswith(f"quick-x86-{one:02}/quick-x86-{other:02}")
            shown, expected = counts_in(visit), counts_of(one, other)
            assert shown.get("regressed", 0) == expected["regressed"]
            assert shown["unchanged"] == expected["unchanged"]
        assert visit.complaints == []


def test_the_parts_of_many_cells_show_the_same_two_runs(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "MAX_PART", 2_600)
    bundle.write([content(number) for number in range(RUNS)], tmp_path / "quick.bundle")
    publish([tmp_path], tmp_path / "site", lambda _: {})
    found = Counter()
    with Visit(browser, tmp_path / "site/quick/x86/compare-1-1.html", viewport=DESK) as visit:
        visit.page.get_by_label("earlier run").select_option("3")
        wait_for_run(visit, 3)
        for number in range(3):
            if number:
                visit.page.locator("a.part").nth(number - 1).click()
                visit.page.wait_for_url(f"**/compare-1-1-part-{number + 1}.html#**")
                wait_for_run(visit, 3)
            found.update(counts_in(visit))
        assert visit.complaints == []
    assert found["regressed"] == counts_of(3, RUNS - 1)["regressed"]
    assert found["unchanged"] == counts_of(3, RUNS - 1)["unchanged"]


def test_the_latest_runs_of_a_history_that_is_too_long_for_a_list_are_compared(
    browser, tmp_path, monkeypatch
):
    monkeypatch.setattr(pairs, "MAX_LIST", 1_500)
    bundle.write([content(number) for number in range(RUNS)], tmp_path / "quick.bundle")
    publish([tmp_path], tmp_path / "site", lambda _: {})
    with Visit(browser, tmp_path / "site/quick/x86/compare-1-1.html", viewport=DESK) as visit:
        places = (
            visit.page.get_by_label("earlier run")
            .locator("option")
            .evaluate_all("options => options.map((option) => Number(option.value))")
        )
        assert places == sorted(places, reverse=True)
        assert max(places) == RUNS - 1
        first = min(places)
        assert first > 0
        visit.page.get_by_label("earlier run").select_option(str(first))
        wait_for_run(visit, first)
        found = counts_in(visit)
        assert found["regressed"] == counts_of(first, RUNS - 1)["regressed"]
        assert found["unchanged"] == counts_of(first, RUNS - 1)["unchanged"]
        assert visit.complaints == []


def test_a_noisy_metric_that_another_machine_measured_is_not_missing(browser, tmp_path):
    other = {**content(0).run.machine, "kernel": "7"}
    bundle.write([content(0), content(1, machine=other)], tmp_path / "quick.bundle")
    publish([tmp_path], tmp_path / "site", lambda _: {})
    with Visit(browser, tmp_path / "site/quick/x86/compare-1-1.html", viewport=DESK) as visit:
        found = counts_in(visit)
        assert visit.complaints == []
    assert found == {"unchanged": counts_of(0, 1)["unchanged"], "not compared": 12}


@pytest.mark.parametrize(
    "name", ["index.html", "quick/x86/index.html", "quick/x86/compare-1-1.html"]
)
def test_pages_fit_a_phone(browser, published, name):
    with Visit(browser, published / name, viewport=PHONE) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert visit.complaints == []


LOADS = (
    '<span style="background-image:url(http://127.0.0.1:9/a)">a</span>'
    '<a href="http://127.0.0.1:9/b">b</a><img src="http://127.0.0.1:9/c">'
)


def test_a_site_of_a_foreign_bundle_asks_for_nothing_and_links_to_nothing(browser, tmp_path):
    bundle.write([hostile_run(LOADS, "r1"), hostile_run(LOADS, "r2")], tmp_path / "foreign.bundle")
    publish([tmp_path / "foreign.bundle"], tmp_path / "site", lambda _: {})
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= 3
    for path in pages:
        with Visit(browser, path) as visit:
            for box in visit.page.locator("#all").all():
                box.check()
            names_cells = path != tmp_path / "site" / "index.html"
            assert visit.page.locator("main", has_text=LOADS[:30]).count() == int(names_cells)
            assert visit.page.locator("a[href*='//'], img, [style*='url(http']").count() == 0
            assert [each.partition("#")[0] for each in visit.requests] == [path.as_uri()]
            assert visit.complaints == []


def test_a_store_is_thinned_after_a_look_and_keeps_baselines_and_the_newest(bench, workplace):
    path = store(workplace, range(12))
    assert bench("baseline", "save", "main", "quick@quick-x86-02").code == 0
    size = path.stat().st_size
    looked = bench("prune", "--keep-last", "3", "--dry-run")
    assert looked.code == 0, looked.err
    assert looked.out.startswith(
        "bench-out/quick/results.sqlite: would remove 8 of 12 runs, about "
    )
    assert "quick-x86-02" not in looked.out
    assert "quick-x86-00" in looked.out
    assert path.stat().st_size == size
    done = bench("prune", "quick", "--keep-last", "3", "--json").json()
    (row,) = done["stores"]
    assert len(row["removed"]) == 8
    assert row["file_bytes_after"] < row["file_bytes_before"] == size
    with Store.open(path) as left:
        assert [run.id[-2:] for run in left.runs()] == ["02", "09", "10", "11"]
    assert bench("prune", "--keep-last", "3").out == (
        "bench-out/quick/results.sqlite: nothing to remove: all of 4 runs stay\n"
    )
    assert bench("history", "quick", "--metric", "activation_bytes").code == 0


def test_a_store_that_cannot_be_read_saves_all_others(bench, workplace):
    path = store(workplace, range(3))
    other = workplace / "bench-out/zz/results.sqlite"
    other.parent.mkdir()
    other.write_bytes(b"no store " * 500)
    before = path.read_bytes()
    ended = bench("prune", "--keep-last", "1")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert path.read_bytes() == before


def test_prune_says_none_for_a_run_without_a_commit(workplace, capsys):
    with Store.create(store(workplace, ())) as made:
        for each in (content(0, commit="nocommit"), content(1)):
            made.add_finished(each.run, each.cells, each.records)
    prune.prune(None, 1, 0, prune.BASELINES, dry_run=True, as_json=False)
    printed = capsys.readouterr().out
    assert re.search(r"quick-x86-00 .* none ", printed)
    assert "nocommit" not in printed


def test_a_store_keeps_its_size_while_a_run_measures_into_it(workplace, capsys):
    path = store(workplace, range(12))
    size = path.stat().st_size
    with locked(path.parent):
        prune.prune(None, 3, 0, prune.BASELINES, dry_run=False, as_json=False)
    assert path.stat().st_size == size
    assert "could not be made smaller: a run measures into this folder" in capsys.readouterr().err
    with Store.open(path) as left:
        assert len(left.runs()) == 3


def test_a_folder_of_baselines_that_cannot_be_read_keeps_all_runs(workplace, monkeypatch):
    path = store(workplace, range(3))
    (workplace / "baselines").mkdir()

    def refusing(look):
        def looked(folder):
            if Path(folder).name == "baselines":
                raise PermissionError(errno.EACCES, "Permission denied", str(folder))
            return look(folder)

        return looked

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    with pytest.raises(BadInput, match="baselines: cannot be read: Permission denied; no run was"):
        prune.prune(None, 1, 0, prune.BASELINES, dry_run=False, as_json=True)
    with Store.open(path) as kept:
        assert len(kept.runs()) == 3


def test_the_run_that_validates_a_pi_stays(workplace, monkeypatch, capsys):
    store(workplace, range(4))
    monkeypatch.setattr(pi, "validated_pis", lambda: (SimpleNamespace(run=content(1).run),))
    prune.prune(None, 1, 0, prune.BASELINES, dry_run=True, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)["stores"]
    assert [each["run"][-2:] for each in row["removed"]] == ["00", "02"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "say what to keep: --keep-last 30, --keep-weekly 52, or both"),
        (["--keep-last", "-1"], "--keep-last: must be 0 or more, got -1"),
        (["quik", "--keep-last", "1"], "unknown suite or store 'quik'; did you mean 'quick'?"),
        (["--keep-last", "1", "--baselines", "no"], "--baselines: no: no such folder"),
        (["--keep-last", "1"], "baselines/x.json:1: not JSON, so not a baseline"),
    ],
)
def test_bad_input_of_prune_is_one_line_and_removes_nothing(bench, workplace, words, says):
    path = store(workplace, range(3))
    (workplace / "baselines").mkdir()
    (workplace / "baselines/x.json").write_text("no")
    before = path.read_bytes()
    ended = bench("prune", *words)
    assert ended.code == 2
    assert ended.err.startswith(f"bench: {says}")
    if "not a baseline" in says:
        assert "no run was removed" in ended.err
        assert "remove this file" in ended.err
    assert ended.err.count("\n") == 1
    assert path.read_bytes() == before
