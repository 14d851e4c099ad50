"""A site is a function of its runs, and takes up nothing that contradicts it."""

import gc
import itertools
import json
import os
import random
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.record import bundle
from ondevice_bench.record.store import Store
from ondevice_bench.site import pairs
from ondevice_bench.site import publish as publishing
from ondevice_bench.site.digest import merged
from ondevice_bench.site.make_digest import digest_of
from ondevice_bench.site.manifest import FILE_NAME, _sum_of
from ondevice_bench.site.places import slug
from tests.site.conftest import content

SOME = [
    *((number, "quick", "x86", "") for number in range(3)),
    (0, "quick", "pi5", "0a1b2c3d4e5f"),
    (0, "quick", "pi5", "ffff00001111"),
    (0, "mine", "x86", ""),
]


def test_any_order_in_any_steps_gives_the_same_files_as_one_full_build(sites):
    paths = [sites.bundle(content(*each)) for each in SOME]
    sites.publish("whole", *paths)
    whole = sites.files("whole")
    dice = random.Random(3)
    for trial in range(4):
        dice.shuffle(paths)
        cut = dice.randrange(1, len(paths))
        for part in (paths[:cut], paths[cut:], paths[:1]):
            sites.publish(f"site{trial}", *part)
        assert sites.files(f"site{trial}") == whole
    together = sites.bundle(*(content(*each) for each in SOME))
    sites.publish("together", together)
    pages = {name: data for name, data in whole.items() if name != FILE_NAME}
    assert {n: d for n, d in sites.files("together").items() if n != FILE_NAME} == pages


def test_a_store_gives_the_same_pages_as_its_bundles(sites, tmp_path):
    runs = [content(number) for number in range(3)]
    with Store.create(tmp_path / "results.sqlite") as store:
        for each in runs:
            store.add_finished(each.run, each.cells, each.records)
    done = sites.publish("of-store", tmp_path / "results.sqlite")
    assert (done.added, done.runs) == (3, 3)
    sites.publish("of-bundles", *map(sites.bundle, runs))
    of_store, of_bundles = sites.files("of-store"), sites.files("of-bundles")
    assert of_store.pop(FILE_NAME) != of_bundles.pop(FILE_NAME)  # it names the bundles
    assert of_store == of_bundles
    again = sites.publish("of-store", tmp_path / "results.sqlite")
    assert (again.added, again.written) == (0, 0)


def test_a_file_that_cannot_be_read_is_left_out_unless_there_is_no_other(sites):
    good, bad = (sites.bundle(content(number)) for number in range(2))
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-40])
    done = sites.publish("site", bad, good)
    assert (done.added, [str(bad) in each for each in done.left_out]) == (1, [True])
    with pytest.raises(BadInput):
        sites.publish("site", bad)
    bad.write_bytes(whole)
    mended = sites.publish("site", bad, good)
    assert (mended.added, mended.left_out) == (1, ())


def test_boards_of_one_profile_are_told_apart_by_their_unit(sites):
    for each in SOME:
        sites.publish("site", sites.bundle(content(*each)))
    folders = {name.rpartition("/data/")[0] for name in sites.files("site") if "/data/" in name}
    assert len(folders) == 4
    page = sites.files("site")["index.html"].decode()
    assert "quick on pi5 (unit 0a1b2c3d4e5f)" in page
    assert "quick on pi5 (unit ffff00001111)" in page


def test_another_board_leaves_the_pages_of_the_first_alone(sites):
    sites.publish("site", *(sites.bundle(content(number)) for number in range(2)))
    before = sites.files("site")
    done = sites.publish("site", sites.bundle(content(0, profile="pi5")))
    changed = {name for name, data in sites.files("site").items() if before.get(name) != data}
    assert {name.rpartition("/")[0] for name in changed} == {"", "quick/pi5", "quick/pi5/data"}
    assert (done.added, done.written) == (1, 2)


def require_growth(sites, first, second):
    """The second bundle replaces the first, whichever comes first."""
    sites.publish("a", first)
    assert sites.publish("a", second).grown == 1
    sites.publish("b", second)
    assert sites.publish("b", first).grown == 0
    assert sites.files("a") == sites.files("b")


def test_a_run_that_went_on_replaces_its_part_whichever_comes_first(sites):
    whole = content(0)
    part = replace(
        whole,
        run=replace(whole.run, finished=None),
        records=whole.records[: len(whole.records) // 2],
    )
    first, second = sites.bundle(part), sites.bundle(whole)
    require_growth(sites, first, second)
    assert sites.publish("a").added == 0


@pytest.mark.parametrize("kept", [1.0, 0.5])  # of the records of the new cells
def test_a_search_whose_plan_grew_replaces_its_part_whichever_comes_first(sites, kept):
    whole = content(0, finished=None, definition="larger")
    small = {item.cell.id for item in whole.cells[:3]}
    earlier = tuple(r for r in whole.records if r.key.cell in small)
    later = tuple(r for r in whole.records if r.key.cell not in small)
    ended = replace(whole.run, finished="2026-03-01T00:05:00+00:00", definition="smaller")
    part = replace(whole, run=ended, cells=whole.cells[:3], records=earlier)
    whole = replace(whole, records=(*earlier, *later[: int(kept * len(later))]))
    first, second = sites.bundle(part), sites.bundle(whole)
    require_growth(sites, first, second)
    extended = digest_of(replace(whole, records=earlier))  # nothing was measured since
    assert merged("x", digest_of(part), extended) == merged("x", extended, digest_of(part))
    lacking = sites.bundle(replace(whole, records=whole.records[1:]))
    with pytest.raises(BadInput, match="and lacks some that it has"):
        sites.publish("c", first, lacking)


def test_a_portion_of_a_fleet_that_was_measured_again_replaces_the_earlier_one(sites):
    """Half of it, then all of it on another board."""

    def on_board(unit, started, count):
        run = content(0, finished=None)
        records = run.records[:count]
        return replace(
            run,
            records=tuple(replace(r, started=started, details={"unit": unit}) for r in records),
        )

    count = len(content(0).records)
    first = sites.bundle(on_board("a", "2026-03-01T00:00:01+00:00", count // 2))
    second = sites.bundle(on_board("b", "2026-03-01T00:00:02+00:00", count))
    require_growth(sites, first, second)
    half, whole = (digest_of(bundle.read(path)[0]) for path in (first, second))
    older = tuple(  # as an earlier version of bench stored them
        replace(cell, processes={n: replace(p, unit="") for n, p in cell.processes.items()})
        for cell in half.cells
    )
    of_older = replace(half, cells=older, facts=replace(half.facts, settings={}))
    assert merged("x", of_older, whole) == whole
    without = replace(whole, facts=replace(whole.facts, settings={}))
    assert merged("x", without, whole) == merged("x", whole, without) == whole


def contradictions():
    run = content(0)
    other = replace(run.records[0], metrics={**run.records[0].metrics, "step_seconds": 9.0})
    yield replace(run, records=(other, *run.records[1:])), "another record of mcunet/vanilla"
    yield replace(run, run=replace(run.run, commit="other")), "another run has the id quick-x86-00"
    yield replace(run, cells=run.cells[::-1]), "another run has the id quick-x86-00"
    half = len(run.records) // 2
    yield replace(run, records=run.records[half:]), None  # it has less


@pytest.mark.parametrize(("changed", "says"), list(contradictions()))
def test_a_bundle_that_contradicts_the_site_is_one_line_and_changes_nothing(sites, changed, says):
    sites.publish("site", sites.bundle(content(0), content(1)))
    before = sites.files("site")
    path = sites.bundle(content(2), changed)
    if says is None:
        assert sites.publish("site", path).added == 1
        return
    with pytest.raises(BadInput) as caught:
        sites.publish("site", path)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: contradicts the site: ")
    assert says in line
    assert sites.files("site") == before


def test_two_parts_that_each_lack_something_are_refused(sites):
    run = content(0)
    sites.publish("site", sites.bundle(replace(run, records=run.records[:-1])))
    path = sites.bundle(replace(run, records=run.records[1:]))
    with pytest.raises(BadInput, match="publish the store or a bundle that has all of them"):
        sites.publish("site", path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text.replace('"runs": {', '"runs": {"x": 1,', 1), "was changed"),
        (lambda text: text.replace('"bench": "', '"bench": "0', 1), "by another version"),
        (lambda text: text[: len(text) // 2], "is not JSON"),
        (lambda text: "[1]", "is JSON of something else"),
        (lambda text: f"[{'[],' * 1_400_000}0]", "is too large"),
        (lambda text: None, "is missing"),
    ],
)
def test_a_manifest_that_is_not_ours_is_made_again_from_the_data(sites, damage, says):
    sites.publish("site", *(sites.bundle(content(number)) for number in range(2)))
    before = sites.files("site")
    path = sites.folder / "site" / FILE_NAME
    text = damage(path.read_text())
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    done = sites.publish("site")
    assert says in done.rebuilt
    after = sites.files("site")
    assert json.loads(after.pop(FILE_NAME))["runs"] == json.loads(before.pop(FILE_NAME))["runs"]
    assert after == before
    assert sites.publish("site").rebuilt == ""


def test_a_forged_manifest_removes_no_data(sites):
    sites.publish("site", sites.bundle(content(0)))
    values = json.loads((sites.folder / "site" / FILE_NAME).read_text())
    body = {key: values[key] for key in ("bundles", "runs", "boards", "pages")}
    assert values["sum"] == _sum_of(body)
    body["pages"][data_of(sites).relative_to(sites.folder / "site").as_posix()] = "0" * 64
    text = json.dumps({**values, **body, "sum": _sum_of(body)})
    (sites.folder / "site" / FILE_NAME).write_text(text)
    assert sites.publish("site", sites.bundle(content(1))).rebuilt == "is not complete"
    assert data_of(sites).exists()


def test_a_page_that_was_edited_is_written_again(sites):
    sites.publish("site", sites.bundle(content(0)))
    before = sites.files("site")
    for name in ("index.html", "quick/x86/index.html"):
        (sites.folder / "site" / name).write_text("edited")
    assert sites.publish("site").written == 2
    assert sites.files("site") == before


def test_a_machine_that_loses_its_power_loses_pages_at_most(sites, monkeypatch):
    """What is not on the disk before a rename may be empty then: pages are drawn again."""
    synced = set()

    def fsync(number):
        file = Path(os.readlink(f"/proc/self/fd/{number}"))
        assert file.stat().st_size, "all of it is written"
        synced.add(file.name)

    path = sites.bundle(content(0), content(0, profile="pi5"))
    monkeypatch.setattr(os, "fsync", fsync)
    sites.publish("site", path)
    whole = sites.files("site")
    lost = [name for name in whole if Path(name).name not in synced]
    assert lost
    assert {Path(name).suffix for name in lost} == {".html"}
    for name in lost:
        (sites.folder / "site" / name).write_bytes(b"")
    assert sites.publish("site").written == len(lost)
    assert sites.files("site") == whole


def data_of(sites):
    return sites.folder / "site" / "quick/x86/data/quick-x86-00.json"


def test_data_that_was_edited_is_refused_in_one_line(sites):
    sites.publish("site", sites.bundle(content(0)))
    path = data_of(sites)
    path.write_text(path.read_text().replace('"x86"', '"x87"', 1))
    with pytest.raises(BadInput, match="was changed by somebody else: restore it"):
        sites.publish("site", sites.bundle(content(1)))


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda v: v["run"].update(suite="../evil"), "run.suite: "),
        (lambda v: v["run"].update(suite="other"), "is not the file of its run"),
        (lambda v: v["run"].update(title="x" * 500), "run.title: "),
        (lambda v: v["cells"][0].update(rounds={}), "the rounds of a noisy metric are missing"),
        (lambda v: v["cells"][0].update(more=1), "cells.0.more: "),
        (lambda v: v["cells"][0]["estimates"].update(nonsense=[1.0]), "nonsense"),
        (lambda v: v["cells"].append(v["cells"][0]), "a cell is there twice"),
        (
            lambda v: v.update(version=4, later=1),
            "written by a newer bench (version 4, this one knows up to 3)",
        ),
    ],
)
def test_data_is_checked_when_it_is_read_again(sites, edit, says):
    sites.publish("site", sites.bundle(content(0)))
    (sites.folder / "site" / FILE_NAME).unlink()
    path = data_of(sites)
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))
    with pytest.raises(BadInput) as caught:
        sites.publish("site")
    (line,) = caught.value.lines
    assert says in line
    assert str(path) in line


def test_a_build_that_fails_leaves_the_site_as_it_was(sites, monkeypatch):
    sites.publish("site", sites.bundle(content(0)))
    before = sites.files("site")

    def fail(board):
        raise BadInput("no room")

    monkeypatch.setattr(publishing, "card_of", fail)
    with pytest.raises(BadInput, match="no room"):
        sites.publish("site", sites.bundle(content(1)))
    assert sites.files("site") == before


def killed_at(sites, site, path, count, step="replace"):
    """Publish in a process that is killed at the step of this number; False if it ends first."""
    child = os.fork()
    if child == 0:
        left, usual = [count], getattr(Path, step)

        def go_on_or_die(self, *words, **options):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return usual(self, *words, **options)

        setattr(Path, step, go_on_or_die)
        try:
            sites.publish(site, path)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_process_that_is_killed_between_any_two_files_is_made_good_by_the_next(sites):
    whole = content(0)
    part = sites.bundle(replace(whole, records=whole.records[:20]))
    more = sites.bundle(whole, content(1), content(0, profile="pi5"))
    sites.publish("whole", part, more)
    expected = sites.files("whole")
    kills = 0
    while True:
        site = f"killed{kills}"
        sites.publish(site, part)
        if not killed_at(sites, site, more, kills):
            break
        kills += 1
        done = sites.publish(site, more)
        assert done.rebuilt == ""
        assert sites.files(site) == expected
    assert kills == 8  # three files of data, four pages, the manifest


def test_a_process_that_is_killed_before_it_removes_a_page_leaves_it_to_the_next(
    sites, monkeypatch
):
    monkeypatch.setattr(pairs, "MAX_BLOCK", 1)  # a block for each run
    monkeypatch.setattr(pairs, "MOST_BLOCKS", 1)
    first, more = sites.bundle(content(0), content(1)), sites.bundle(content(2))
    sites.publish("whole", first, more)
    expected = sites.files("whole")
    sites.publish("site", first)
    gone = sites.files("site").keys() - expected.keys()
    assert gone
    assert killed_at(sites, "site", more, 0, "unlink")
    assert gone <= sites.files("site").keys()
    sites.publish("site", more)
    assert sites.files("site") == expected


def test_a_run_that_is_in_two_files_of_data_is_refused(sites):
    sites.publish("site", sites.bundle(content(0)))
    other = content(0, suite="mine")
    other = replace(other, run=replace(other.run, id=content(0).run.id))
    other = replace(other, records=tuple(replace(r, run=other.run.id) for r in other.records))
    sites.publish("other", sites.bundle(other))
    shutil.copytree(sites.folder / "other/mine", sites.folder / "site/mine")
    with pytest.raises(BadInput, match="contradicts the site: another run has the id"):
        sites.publish("site")


def test_files_of_others_stay_and_a_folder_of_others_is_refused(sites, tmp_path):
    sites.publish("site", sites.bundle(content(0)))
    (tmp_path / "site/CNAME").write_text("example")
    sites.publish("site", sites.bundle(content(1)))
    assert (tmp_path / "site/CNAME").read_text() == "example"
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter.txt").write_text("dear")
    with pytest.raises(BadInput, match="is not a site of bench, and is not empty: it has 'letter"):
        sites.publish("home", sites.bundle(content(2)))


def test_a_pipe_with_the_name_of_a_bundle_is_one_line(sites):
    path = sites.bundle(content(0))
    os.mkfifo(path.with_name("pipe.bundle"))  # to open it would wait for ever
    (line,) = sites.publish("site", path.parent).left_out
    assert "pipe.bundle: is not a regular file" in line


def test_one_process_at_a_time_writes_a_site(sites):
    path = sites.bundle(content(0))
    writing = pytest.raises(BadInput, match="another `bench site` is writing it")
    with publishing._locked(sites.folder / "site"), writing:
        sites.publish("site", path)
    assert sites.publish("site", path).added == 1


def test_runs_of_bench_ab_are_left_out(sites):
    pair = content(1)
    pair = replace(pair, run=replace(pair.run, origin="ab"))
    assert sites.publish("site", sites.bundle(content(0), pair)).runs == 1


NAMES = ["quick", "Quick", "a b", "a-b", "..", ".", "a/b", "-", "", "ä", "a" * 200, "x.html"]


def test_different_names_have_different_places_that_are_safe():
    names = [*NAMES, *map(slug, NAMES)]
    for one, other in itertools.combinations(dict.fromkeys(names), 2):
        assert slug(one) != slug(other), (one, other)
    for name in names:
        assert slug(name).strip(".") == slug(name) != ""
        assert set(slug(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


def test_a_link_out_of_the_site_is_refused_and_nothing_is_written(sites):
    sites.publish("site", sites.bundle(content(0)))
    outside = sites.folder / "outside"
    outside.mkdir()
    (sites.folder / "site/mine").symlink_to(outside)
    before = sites.files("site")
    with pytest.raises(BadInput, match="a link leads out of the site"):
        sites.publish("site", sites.bundle(content(1), content(0, suite="mine")))
    assert sites.files("site") == before
    assert list(outside.iterdir()) == []


def test_the_settings_of_the_caller_s_memory_are_as_before(sites):
    before = gc.get_threshold()
    sites.publish("site", sites.bundle(content(0)))
    assert gc.get_threshold() == before


def test_a_folder_of_another_tool_with_a_file_of_the_same_name_stays_as_it_is(sites):
    folder = sites.folder / "site"
    folder.mkdir()
    (folder / FILE_NAME).write_text('{"title": "my blog"}')
    (folder / "index.html").write_text("mine")
    before = sites.files("site")
    with pytest.raises(BadInput, match="is not a site of bench"):
        sites.publish("site", sites.bundle(content(0)))
    assert sites.files("site") == before
