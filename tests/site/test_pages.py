"""The pages: whatever a bundle says is text, each page is small, and any two runs have a page."""

import html
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings

from ondevice_bench.errors import BadInput
from ondevice_bench.record import run_json
from ondevice_bench.site import board_page, pairs, templates
from ondevice_bench.site.board_history import board_history
from ondevice_bench.site.index_page import index_page
from ondevice_bench.site.make_digest import digest_of
from ondevice_bench.site.places import Board
from tests.report.hostile import hostile_run
from tests.report.synthetic import SETTINGS
from tests.report.test_hostile import bundles
from tests.report.test_page import EVIL, is_well_formed
from tests.site.conftest import FAT_FROM, SLOW_FROM, content

CHECKPOINT = "mcunet/checkpoint/all/b8/s0"


def board_of(contents):
    digests = [digest_of(each) for each in contents]
    return board_history(Board.of(digests[0].run), digests, {})


@pytest.fixture(scope="module")
def board():
    return board_of([content(number) for number in range(30)])


@pytest.fixture(scope="module")
def drawn(board):
    return {path: data.decode() for path, data in board_page.board_pages(board)}


def data_of(page):
    return json.loads(re.search(r'id="pairs">(.*?)</script>', page, re.DOTALL)[1])


def test_the_verdict_comes_before_the_changes_and_these_before_the_trends(drawn):
    page = drawn["quick/x86/index.html"]
    places = [page.index(text) for text in ("<h2>Not worse", "What changed", "Trends", ">Runs<")]
    assert places == sorted(places)
    assert is_well_formed(page)
    assert page.count("<script") == 0
    slow = f"between <strong>{SLOW_FROM - 1:02}abcde</strong> and <strong>{SLOW_FROM:02}abcde"
    fat = f"between <strong>{FAT_FROM - 1:02}abcde</strong> and <strong>{FAT_FROM:02}abcde"
    assert page.index(slow) < page.index(fat)


def test_a_change_that_began_before_the_run_before_says_since_when():
    earlier, lacking, newest = (
        content(number) for number in (FAT_FROM - 2, FAT_FROM - 1, FAT_FROM)
    )
    traced = [r for r in lacking.records if (r.key.pass_name, r.key.cell) != ("trace", CHECKPOINT)]
    for record in newest.records:
        if record.key.cell == CHECKPOINT and record.key.pass_name == "trace":
            record.metrics["activation_bytes"] += 1
    its = board_of([earlier, replace(lacking, records=tuple(traced)), newest])
    page = next(iter(board_page.board_pages(its)))[1].decode()
    kinds = re.findall(r">(changed for the worse.*?)<", page)
    assert sorted(kinds) == [
        "changed for the worse",
        f"changed for the worse, somewhere since {FAT_FROM - 2:02}abcde",
    ]


def test_each_cell_has_a_trend_of_each_headline_with_its_changes(drawn):
    page = drawn["quick/x86/index.html"]
    drawings = re.findall(r'<svg class="spark".*?</svg>', page)
    assert len(drawings) == 6 * 3
    marked = [each for each in drawings if '<polygon class="worse"' in each]
    titles = sorted(re.search(r"<title>(.*?):", each)[1] for each in marked)
    assert titles == ["activations over 30 runs", "step over 30 runs"]
    points = re.search(r'<polyline points="([^"]*)"', drawings[0])[1].split()
    assert len(points) == 30


def test_a_run_that_has_not_ended_is_said_to_be_unfinished():
    run = content(1)
    running = replace(run, run=replace(run.run, finished=None))
    for runs in ([content(0), running], [running]):
        first = next(iter(board_page.board_pages(board_of(runs))))[1].decode()
        assert "<li>the newest run is not finished</li>" in first


def test_only_what_is_proven_has_a_colour(drawn):
    page = drawn["quick/x86/index.html"]
    classes = set(re.findall(r'class="(worse|better|warning)"', page))
    assert classes == {"worse", "warning"}  # a warning: what is not decided
    assert re.search(r"<h2>Not worse as far as it was decided</h2>", page)


@pytest.mark.parametrize("text", [EVIL, "\x1b[31m\u202e", "{{ 7 * 7 }}"])
def test_whatever_a_bundle_says_is_text_on_every_page(text):
    try:
        runs = [hostile_run(text, "r1"), hostile_run(text, "r2")]
        board = board_of(runs)
    except BadInput:
        pytest.fail("the site refuses what import accepts")
    for path, data in board_page.board_pages(board):
        page = data.decode()
        assert is_well_formed(page), path
        assert "<img" not in page.replace(html.escape(EVIL), "")
        assert page.count("<script") <= 2
        assert "\x1b" not in page
        assert "\u202e" not in page
        assert "49" not in re.findall(r"<h1>(.*?)</h1>", page)[0]
        assert re.match(r"[a-z0-9./-]+$", path)
    board_page.card_of(board)


def test_every_link_of_every_page_leads_to_a_page(drawn):
    for path, page in drawn.items():
        folder = path.rpartition("/")[0]
        for href in re.findall(r'<a href="([^"#]*)', page):
            target = f"{folder}/{href}"
            is_first_page = href == "../../index.html"
            assert is_first_page or target in drawn, (path, href)


def test_pages_of_many_runs_are_divided_so_that_each_pair_has_one(board, monkeypatch):
    monkeypatch.setattr(pairs, "MAX_BLOCK", 2_000)
    monkeypatch.setattr(pairs, "MOST_BLOCKS", 100)
    rows = pairs.rows_of(board)
    blocks = pairs.blocks_of(rows, len(board.runs))
    assert len(blocks) > 3
    assert [place for block in blocks for place in block] == list(range(len(board.runs)))
    drawn = {path: data.decode() for path, data in board_page.board_pages(board)}
    pages = {p: data_of(text) for p, text in drawn.items() if "compare" in p}
    assert len(pages) == len(blocks) * (len(blocks) + 1) // 2
    for one in range(len(board.runs)):
        for other in range(one, len(board.runs)):
            numbers = [next(n for n, b in enumerate(blocks) if x in b) for x in (one, other)]
            page = pages[f"quick/x86/{pairs.page_name(*numbers)}"]
            assert {one, other} <= {
                place for number in set(page["pair"]) for place in range(*page["blocks"][number])
            }
    newest = pairs.page_name(len(blocks) - 1, len(blocks) - 1)
    assert f'<a href="{newest}">Compare any two runs</a>' in drawn["quick/x86/index.html"]


def test_two_full_blocks_of_a_long_history_fit_into_a_page():
    count = 2_000
    runs = [replace(content(0).run, id=f"run-{n:05}", commit=f"{n:010x}") for n in range(count)]
    metric = "step_seconds"
    values = [
        {n: (0.012345 + n / 1e5 + row, f"{12.345 + n / 100 + row:.1f} ms") for n in range(count)}
        for row in range(48)
    ]
    rows = [pairs.Row("net", f"method {n}", metric, "", each, ()) for n, each in enumerate(values)]
    blocks = pairs.blocks_of(rows, count)
    assert len(blocks) > 3
    page = pairs.page_json(runs, rows, blocks, (0, 1))
    assert len(page.encode()) < templates.MAX_PAGE - 100_000  # for the rest of the page


def test_a_history_of_any_length_has_pages_that_are_small_enough():
    """Where nothing changes, one block has all runs: the list of the runs itself is long."""
    count = 30_000
    first_run = content(0).run
    runs = [replace(first_run, id=f"quick-20260101T000000Z-{n:010x}") for n in range(count)]
    values = dict.fromkeys(range(count), (1.0, "1.00 s"))
    rows = [pairs.Row("net", "vanilla", "step_seconds", "", values, ())]
    first = pairs.first_listed(runs)
    assert 0 < first < count - 1_000
    blocks = pairs.blocks_of(rows, count, first)
    assert blocks == [range(first, count)]
    page = pairs.page_json(runs, rows, blocks, (0, 0))
    assert len(page.encode()) < templates.MAX_PAGE - 100_000
    listed = json.loads(page)["runs"]
    assert [run[0] for run in listed] == [run.id for run in runs[first:]]


def test_software_that_differs_in_each_run_counts_for_the_length_of_the_list():
    first_run = content(0).run
    runs = [
        replace(first_run, id=f"r{n}", software={**first_run.software, "torch": f"2.{n}"})
        for n in range(5_000)
    ]
    first = pairs.first_listed(runs)
    rows = [pairs.Row("n", "m", "step_seconds", "", dict.fromkeys(range(5_000), (1.0, "1")), ())]
    page = pairs.page_json(runs, rows, pairs.blocks_of(rows, len(runs), first), (0, 0))
    assert pairs.MAX_LIST / 2 < len(page.encode()) < 2 * pairs.MAX_LIST


def test_the_pages_list_the_runs_that_can_be_chosen_and_link_to_no_other(board, monkeypatch):
    monkeypatch.setattr(pairs, "MAX_LIST", 1_500)
    first = pairs.first_listed(board.runs)
    assert 1 < first < len(board.runs) - 2
    drawn = {path: data.decode() for path, data in board_page.board_pages(board)}
    text = drawn["quick/x86/compare-1-1.html"]
    page = data_of(text)
    assert f"{first} earlier runs are left out" in text
    assert (page["first"], page["blocks"]) == (first, [[first, len(board.runs)]])
    assert [run[0] for run in page["runs"]] == [run.id for run in board.runs[first:]]
    for row in page["rows"]:
        assert min(values_of(page, row), default=first) >= first
    index = drawn["quick/x86/index.html"]
    assert index.count(">with the run before</a>") == len(board.runs) - first - 1


def test_runs_of_other_time_zones_are_in_the_order_of_their_instants():
    moments = ("2026-03-02T01:30:00+02:00", "2026-03-01T23:45:00+00:00", "2026-03-02T01:00:00.5")
    runs = [content(number) for number in range(3)]
    board = board_of(
        replace(each, run=replace(each.run, created=moment))
        for each, moment in zip(runs, moments, strict=True)
    )
    assert [run.id[-2:] for run in board.runs] == ["00", "01", "02"]
    page = next(iter(board_page.board_pages(board)))[1].decode()
    shown = re.findall(r'<td class="when">([^<]*)</td>', page)
    assert shown == ["2026-03-02 01:00", "2026-03-01 23:45", "2026-03-01 23:30"]


def values_of(page, row):
    """The texts of a row by the place of the run, unpacked in another way than by the script."""
    places = [p for number in dict.fromkeys(page["pair"]) for p in range(*page["blocks"][number])]
    numbers = [
        number
        for count, number in zip(row[5][::2], row[5][1::2], strict=True)
        for _ in range(count)
    ]
    assert len(numbers) == len(places)
    return {p: row[4][n] for p, n in zip(places, numbers, strict=True) if n >= 0}


def test_the_data_of_the_comparison_is_every_value_of_every_run(board, drawn):
    page = data_of(drawn["quick/x86/compare-1-1.html"])
    assert [run[0] for run in page["runs"]] == [run.id for run in board.runs]
    labels = {metric[0]: place for place, metric in enumerate(page["metrics"])}
    checked = 0
    for row in page["rows"]:
        assert row[6] == [] or not page["metrics"][row[2]][2]  # an exact metric needs none
        if row[2] != labels["activations"] or page["texts"][row[1]] != "svd fraction=0.25":
            continue
        for place, (number, text) in values_of(page, row).items():
            kept = 33 * 2**20 + (4 if place >= FAT_FROM else 0)
            assert number == kept
            assert f"({kept:,} bytes)" in text
            checked += 1
    assert checked == 30
    (change,) = (row[6][0] for row in page["rows"] if row[2] == labels["step"] and row[6])
    before, after, tone, said = change
    assert (before, after, tone) == (SLOW_FROM - 1, SLOW_FROM, "worse")
    assert said.startswith("became worse, between 15abcde and 16abcde: ")


def test_software_and_kernels_of_each_run_are_told_apart(board, drawn):
    page = data_of(drawn["quick/x86/compare-1-1.html"])
    torch = [page["software"][run[3]]["torch"] for run in page["runs"]]
    assert torch == [run.software["torch"] for run in board.runs]
    assert len({run[5] for run in page["runs"]}) == 2
    assert len({run[4] for run in page["runs"]}) == 1


def test_a_page_of_two_runs_has_the_settings_that_a_change_may_come_from():
    caps = (1 << 30, 2 << 30, 2 << 30)
    runs = [
        content(n, settings={**SETTINGS, "memory_cap_bytes": cap}).run for n, cap in enumerate(caps)
    ]
    row = pairs.Row("n", "m", "step_seconds", "", {0: (1.0, "1")}, ())
    page = json.loads(pairs.page_json(runs, [row], [range(3)], (0, 0)))
    found = [page["settings"][run[6]] for run in page["runs"]]
    assert found == [{"memory_cap_bytes": str(cap)} for cap in caps]
    assert len(page["settings"]) == 2


def test_a_page_that_would_be_too_large_is_refused_in_one_line(board, monkeypatch):
    monkeypatch.setattr(templates, "MAX_PAGE", 10_000)
    with pytest.raises(BadInput, match=r"^quick/x86/index.html: its page would have more than"):
        list(board_page.board_pages(board))


def test_many_cells_have_their_trends_on_several_pages(board, monkeypatch):
    monkeypatch.setattr(board_page, "MOST_CELLS", 4)
    drawn = {path: data.decode() for path, data in board_page.board_pages(board)}
    counts = {p: text.count('<svg class="spark"') for p, text in drawn.items() if "<svg" in text}
    assert counts == {"quick/x86/index.html": 12, "quick/x86/trends-2.html": 6}
    assert '<strong>1–4</strong> · <a href="trends-2.html">5–6</a>' in drawn["quick/x86/index.html"]


def test_many_cells_are_compared_part_by_part_and_no_cell_is_lost(board, monkeypatch):
    whole = data_of(
        next(p.decode() for path, p in board_page.board_pages(board) if "compare" in path)
    )
    monkeypatch.setattr(pairs, "MAX_PART", 2_600)
    drawn = {path: data.decode() for path, data in board_page.board_pages(board)}
    names = [path.rpartition("/")[2] for path in drawn if "compare" in path]
    assert names == ["compare-1-1.html", *(f"compare-1-1-part-{n}.html" for n in range(2, 4))]
    found = [data_of(drawn[f"quick/x86/{name}"]) for name in names]
    assert [each["suffix"] for each in found] == ["", "-part-2", "-part-3"]
    cells = [{each["texts"][row[1]] for row in each["rows"]} for each in found]
    assert sum(map(len, cells)) == len(set().union(*cells)) == 6
    assert sum(len(each["rows"]) for each in found) == len(whole["rows"])
    for number, name in enumerate(names):
        page = drawn[f"quick/x86/{name}"]
        assert re.findall(r'class="part" href="([^"]*)"', page) == [
            each for each in names if each != name
        ]
        assert f"<strong>{number * 2 + 1}–{number * 2 + 2}</strong>" in page


def test_only_the_latest_blocks_have_pages_and_the_page_says_how_many_runs_are_left_out(
    board, monkeypatch
):
    monkeypatch.setattr(pairs, "MAX_BLOCK", 4_000)
    monkeypatch.setattr(pairs, "MOST_BLOCKS", 2)
    blocks = pairs.blocks_of(pairs.rows_of(board), len(board.runs))
    first = blocks[-2].start
    assert first > 1
    drawn = {path: data.decode() for path, data in board_page.board_pages(board)}
    pages = {path: text for path, text in drawn.items() if "compare" in path}
    assert len(pages) == 3
    for text in pages.values():
        assert f"{first} earlier runs are left out" in text
        assert data_of(text)["first"] == first
    index = drawn["quick/x86/index.html"]
    assert index.count(">with the run before</a>") == len(board.runs) - first - 1


def test_a_board_with_too_much_to_say_says_less_of_everything(board, monkeypatch):
    whole = next(iter(board_page.board_pages(board)))[1]
    monkeypatch.setattr(templates, "MAX_PAGE", len(whole) - 1)
    path, page = next(iter(board_page.board_pages(board)))
    assert path == "quick/x86/index.html"
    assert len(page) < len(whole)
    assert is_well_formed(page.decode())


def test_of_many_machines_the_latest_are_drawn(monkeypatch):
    monkeypatch.setattr(board_page, "MOST_MACHINES", 2)
    runs = [content(number) for number in range(5)]
    board = board_of(
        replace(each, run=replace(each.run, machine={**each.run.machine, "kernel": str(number)}))
        for number, each in enumerate(runs)
    )
    page = next(iter(board_page.board_pages(board)))[1].decode()
    assert "x86, kernel 4" in page
    assert "x86, kernel 2" not in page.partition('id="trends"')[2].partition('id="runs"')[0]
    assert page.count("3 earlier machines are left out") == 18


def test_two_machines_of_one_board_have_series_of_their_own():
    runs = [content(number) for number in range(4)]
    other = {**runs[0].run.machine, "kernel": "7"}
    board = board_of(
        [*runs[:2], *(replace(each, run=replace(each.run, machine=other)) for each in runs[2:])]
    )
    drawn = {path: data.decode() for path, data in board_page.board_pages(board)}
    page = drawn["quick/x86/index.html"]
    assert "x86, kernel 6" in page
    assert "x86, kernel 7" in page
    assert board.verdict.outcome is not None
    rows = data_of(drawn["quick/x86/compare-1-1.html"])["rows"]
    assert len({(row[0], row[1], row[2], row[3]) for row in rows}) == len(rows)


@settings(max_examples=60)
@given(bundles())
def test_whatever_a_bundle_says_is_refused_or_published(values):
    try:
        found = run_json.read_run("x", json.dumps(values).encode())
        first = digest_of(found)
    except BadInput:
        return
    other = digest_of(replace(content(1), run=replace(found.run, id="other")))
    board = board_history(Board.of(found.run), [first, other], {})
    for path, page in board_page.board_pages(board):
        assert is_well_formed(page.decode()), path
    assert is_well_formed(index_page([board_page.card_of(board)]).decode())
