"""The page as a reader meets it: the answer on the first screen, on a phone, on paper, by ear."""

import re
import time
import unicodedata
from dataclasses import replace

import html5lib
import pytest
from axe_playwright_python.sync_playwright import Axe
from pypdf import PdfReader

from ondevice_bench.report.module_names import in_lines
from ondevice_bench.report.page import write_report
from tests.e2e.browsing import DESK, PHONE, Visit
from tests.report import synthetic
from tests.summaries import stored_summary

PAPER = 720  # pixels of CSS between the margins of A4

OF_COLOURS = ["color-contrast", "link-in-text-block"]  # the rules of axe that read colours


def test_the_first_screen_has_the_three_cards(desk):
    cards = desk.page.locator(".decision:not([hidden]) .card")
    assert cards.count() == 3
    for card in cards.all():
        box = card.bounding_box()
        assert box["y"] + box["height"] <= DESK["height"]
        assert len(card.locator(".card-number").inner_text()) > 1
        assert card.locator(".badge").inner_text() in {
            "proven",
            "not proven",
            "no gain",
            "unknown",
        }
    fits = desk.page.locator(".decision:not([hidden]) .lead", has_text=" fits a board of ")
    box = fits.bounding_box()
    assert box["y"] + box["height"] <= DESK["height"]
    assert " a board of 1 GB and more: " in fits.inner_text()


def test_figures_that_nobody_has_scrolled_to_wait_and_keep_their_place(browser, whole):
    drawn = "[...document.querySelectorAll('.plot')].filter(p => p._fullData).length"
    heights = "[...document.querySelectorAll('.plot')].map(p => p.offsetHeight)"
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.clock.install()  # nothing that waits for a timer begins
    page.goto(whole.as_uri())
    assert page.evaluate(drawn) <= 2
    before = page.evaluate(heights)
    page.clock.run_for(60_000)
    assert page.evaluate(drawn) == len(before) > 10
    assert page.evaluate(heights) == pytest.approx(before, abs=1)
    context.close()


def test_a_phone_shows_the_decision_and_folds_the_rest(phone):
    page = phone.page
    size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    width, height = page.evaluate(size)
    assert width <= PHONE["width"]
    assert height < 6000
    assert page.locator("details.fold[open]").count() == 0
    memory = page.get_by_role("heading", name="Where the memory is")
    memory.click()
    phone.wait("document.getElementById('figure-by-kernel').offsetHeight > 100")
    assert page.evaluate(size)[0] <= PHONE["width"]
    layers = page.get_by_role("heading", name="Layer by layer")
    layers.click()
    columns = (
        "(p => [p.data[0].x.length, p.querySelectorAll('.xtick text').length])"
        "(document.getElementById('figure-stored-shares'))"
    )
    asked, named = page.evaluate(columns)
    assert asked == named > 3
    kept = (
        "fitToScreen({data: [], layout: {font: {}, margin: {l: 0, r: 0}, legend: {}, height: 0,"
        " yaxis: {categoryarray: ['name']}, annotations: [{text: 'limit'}]}}, 300)"
        ".layout.annotations.map(each => each.text)"
    )
    assert page.evaluate(kept) == ["limit", "name"]
    assert phone.complaints == []
    for heading in (layers, memory):
        heading.click()  # as the other tests of this page need it


def violations(page):
    """What axe finds with all folds open. The dark scheme changes nothing but colours."""
    closed = page.evaluate_handle("[...document.querySelectorAll('details:not([open])')]")
    closed.evaluate("all => all.forEach(each => { each.open = true; })")
    found = []
    for scheme, rules in (("light", {}), ("dark", {"runOnly": OF_COLOURS})):
        page.emulate_media(color_scheme=scheme)
        # all that passes would take three times as long
        options = {"resultTypes": ["violations"], **rules}
        violated = Axe().run(page, options=options).response["violations"]
        found += [(scheme, each["id"], each["nodes"][0]["html"][:200]) for each in violated]
    page.emulate_media(color_scheme="light")
    closed.evaluate("all => all.forEach(each => { each.open = false; })")
    return found


@pytest.mark.parametrize("screen", ["desk", "phone"])
def test_axe_has_no_complaint(request, screen):
    assert violations(request.getfixturevalue(screen).page) == []


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_claims_are_read_without_a_mouse_and_fit(browser, page_of_claims, viewport):
    with Visit(browser, page_of_claims, viewport=viewport) as visit:
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert page.locator(".claims tbody tr").count() == 4
        first = page.locator(".waits").first
        first.locator("summary").focus()
        page.keyboard.press("Enter")
        assert "--weights vit_b_32=PATH" in first.locator("pre").inner_text()
        assert violations(page) == []
        page.evaluate("beforePrint()")  # nobody opens a fold on paper
        assert page.locator(".waits:not([open])").count() == 0
        page.evaluate("afterPrint()")
        assert page.locator(".waits[open]").count() == 1
        assert visit.complaints == []


def test_marks_of_a_claim_are_in_the_order_of_its_numbers(browser, page_of_claims):
    with Visit(browser, page_of_claims, viewport=DESK) as visit:
        row = visit.page.locator(".claims tbody tr", has_text="computed-only")
        said = " ".join(row.locator(".three").inner_text().split())
        assert said.startswith("published 2.0× computed 2.00× measured 1.25×")
        middles = [
            box["x"] + box["width"] / 2
            for name in ("measured", "published", "computed")
            for box in [row.locator(f".strip .{name}").bounding_box()]
        ]
        assert middles[0] < middles[1] == pytest.approx(middles[2], abs=0.6)


def test_the_page_is_valid_html(whole, page_of_claims):
    for page in (whole, page_of_claims):
        text = re.sub(
            r'<script type="text/plain" id="page-plotly">.*?</script>',
            "",
            page.read_text(),
            flags=re.DOTALL,
        )
        html5lib.HTMLParser(strict=True).parse(text)


def layout_of(folder, *sections):
    """A layout with these sections alone: what they draw is there sooner."""
    layout = folder / "some.yaml"
    layout.write_text(f"schema: 1\ntitle: Some\nsections: [{', '.join(sections)}]\n")
    return str(layout)


def lines_of(page):
    """The words of a page of paper, each with its height above the foot, the lowest last."""
    found = []

    def visit(text, matrix, place, *_):
        if text.strip():
            height = matrix[1] * place[4] + matrix[3] * place[5] + matrix[5]
            found.append((height, unicodedata.normalize("NFKC", text).strip()))

    page.extract_text(visitor_text=visit)
    return sorted(found, reverse=True)


def test_no_page_of_paper_ends_with_a_heading(desk, tmp_path):
    headings = {text.strip() for text in desk.page.locator("h1, h2, h3").all_inner_texts()}
    desk.page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    pages = [lines_of(page) for page in PdfReader(tmp_path / "page.pdf").pages]
    assert 2 < len(pages) < 13  # 14 if figures are as high as on a screen
    assert [lines[-1][1] for lines in pages if lines[-1][1] in headings] == []
    words = {text for lines in pages for _, text in lines}
    assert {"Decision", "Trade-offs", "Environment"} <= words


@pytest.mark.parametrize(("section", "head"), [("table", "status"), ("scopes", "as stored")])
def test_the_head_of_a_table_is_on_each_of_its_pages_and_no_row_is_cut(
    browser, tmp_path, section, head
):
    long = "a network whose name alone takes more than half of a line on paper, for many photos"
    cells = [
        replace(cell, model=name, id=f"{name}/{cell.id}")
        for name in (long, "short")
        for cell in synthetic.cells(seeds=tuple(range(8)))
    ]
    summary = stored_summary(
        tmp_path, synthetic.records(cells), synthetic.planned(cells), synthetic.run_of()
    )
    write_report([summary], tmp_path / "one.html", layout_of(tmp_path, section))
    with Visit(browser, tmp_path / "one.html", viewport=DESK) as visit:
        visit.page.pdf(path=tmp_path / "one.pdf", prefer_css_page_size=True)
        visit.page.set_viewport_size({"width": PAPER, "height": 900})
        visit.page.emulate_media(media="print")
        widths = "Array.from(document.querySelectorAll('table'), each => each.offsetWidth)"
        assert max(visit.page.evaluate(widths)) <= PAPER
    pages = [
        " ".join(unicodedata.normalize("NFKC", page.extract_text()).split())
        for page in PdfReader(tmp_path / "one.pdf").pages
    ]
    with_rows = [text for text in pages if "seed 1" in text]
    assert len(with_rows) > 1
    assert [text[:200] for text in with_rows if head not in text] == []
    if section == "table":  # the last line of each row says which share of the memory it takes
        assert all(text.count("· seed") == text.count("% of 7.5 GiB") for text in with_rows)


def test_paper_shows_what_a_phone_had_folded(phone, tmp_path):
    phone.page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    phone.wait("document.querySelectorAll('details.fold[open]').length === 0")
    words = "".join(page.extract_text() for page in PdfReader(tmp_path / "page.pdf").pages)
    assert "Processor" in words  # the environment is the last section


def test_no_line_ends_within_a_word_of_a_command(phone):
    broken = """width => {
        const commands = [...document.querySelectorAll('.decision .legend code')];
        const text = commands.find(({ textContent }) => textContent.startsWith('bench fit'));
        text.closest('p').style.width = `${width}px`;
        const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT), found = [];
        for (let node; (node = walker.nextNode()); )
            for (const word of node.data.matchAll(/\\S+/g)) {
                const range = document.createRange();
                range.setStart(node, word.index);
                range.setEnd(node, word.index + word[0].length);
                if (range.getClientRects().length > 1) found.push(word[0]);
            }
        text.closest('p').style.width = '';
        return found;
    }"""
    assert [phone.page.evaluate(broken, width) for width in range(180, 340, 10)] == [[]] * 16
    command = phone.page.locator(".decision .legend code").filter(has_text="bench fit").first
    assert command.inner_text().startswith("bench fit --model mcunet --batch 8 --board ")
    parts = (
        "(p => { p.textContent = 'blocks.1.depth_conv.conv: 0.339×'; breakNames(p);"
        " return [...p.childNodes].map(n => n.data ?? '|').join(''); })(document.createElement('p'))"
    )
    assert phone.page.evaluate(parts) == "blocks.|1.|depth_|conv.|conv: 0.339×"


def test_a_phone_explains_the_colours_of_bars_before_them(phone):
    colours = phone.page.locator(".decision:not([hidden]) .choices caption")
    first = phone.page.locator(".decision:not([hidden]) .gauge").first
    assert colours.bounding_box()["y"] < first.bounding_box()["y"]
    assert "proven worse" in colours.inner_text()


def test_contents_lead_to_every_section_and_mark_the_current_one(desk):
    links = desk.page.locator(".contents a")
    sections = desk.page.locator("main > section")
    assert links.count() == sections.count() > 8
    desk.page.get_by_role("link", name="Environment").click()
    desk.wait("document.querySelector('.contents [aria-current]').hash !== '#verdict'")
    links.first.click()
    desk.wait("document.querySelector('.contents [aria-current]').hash === '#verdict'")
    desk.page.evaluate("scrollTo(0, 0)")


def test_a_cell_opens_at_the_side_with_its_numbers_and_the_command(desk):
    page = desk.page
    desk.wait("document.querySelector('.choices [data-cell] button') !== null")
    name = page.locator(".decision:not([hidden]) .choices").get_by_role("button", name="checkpoint")
    name.focus()
    page.keyboard.press("Enter")
    panel = page.locator("#cell-panel")
    assert panel.locator("h2").inner_text() == "checkpoint"
    assert panel.locator("code").first.inner_text() == "mcunet/checkpoint/all/b8/s0"
    command = "bench run quick --filter 'mcunet/checkpoint/all/b8/s0'"
    assert command in panel.locator("pre").first.inner_text()
    lines = panel.locator("pre").last.inner_text()
    assert 'treatment = treat(model, "checkpoint", layers="all")' in lines
    text = panel.inner_text()
    assert "130 ms" in text
    assert "wall time of one training step; scope: whole network" in text
    page.keyboard.press("Escape")
    assert not panel.is_visible()
    assert desk.complaints == []


def test_a_tap_on_a_number_explains_it(phone):
    page = phone.page
    page.locator(".decision:not([hidden]) .choices td").first.tap()
    shown = page.locator("#explanation")
    assert shown.inner_text().startswith("most resident memory of the process during a step")
    page.locator("h1").tap()
    assert not shown.is_visible()


def test_a_click_on_a_part_of_a_map_names_its_module(browser, tmp_path):
    cells = synthetic.cells()[:2]
    saved = {"first": {"bytes": 2**21, "kind": "attention"}}
    records = [
        replace(each, details={"saved": saved}) if each.key.pass_name == "trace" else each
        for each in synthetic.records(cells)
    ]
    summary = stored_summary(tmp_path, records, synthetic.planned(cells), synthetic.run_of())
    write_report([summary], tmp_path / "map.html", layout_of(tmp_path, "modules"))
    with Visit(browser, tmp_path / "map.html", viewport=DESK) as visit:
        visit.page.locator(".map rect").first.click()
        shown = visit.page.locator("#explanation")
        assert shown.inner_text() == "first: 2.00 MiB, 100.0 %"
    with Visit(browser, tmp_path / "map.html", viewport=PHONE) as visit:
        visit.page.get_by_role("heading", name="Which modules").click()
        words = visit.page.locator(".map text").first
        assert words.text_content() == "first"
        for letters in (8, 9, 14, 22):
            lines = visit.page.evaluate(f"linesOfName('blocks.1.depth_conv.bn', {letters}, 3)")
            assert tuple(lines) == in_lines("blocks.1.depth_conv.bn", letters, 3)
        assert words.bounding_box()["height"] > 9  # pixels: a third of that if the map lay flat


def test_ranks_are_folded_below_the_best_one(desk):
    table = desk.page.locator(".decision:not([hidden]) .choices")
    rank = table.locator("tr.rank")
    assert rank.count() == 1
    assert not rank.is_visible()
    button = table.get_by_role("button", name="show 1 more")
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    assert rank.is_visible()
    table.get_by_role("button", name="hide 1 more").click()
    assert not rank.is_visible()


def test_a_picture_of_the_whole_page_shows_every_cell(desk):
    lazy = "[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).contentVisibility === 'auto').length"
    assert desk.page.evaluate(lazy) == 0


DRAWN = "[...document.querySelectorAll('.plot')].every(p => p.hidden || p._fullData)"


def test_a_picture_of_a_page_with_few_figures_has_all_of_them(browser, few):
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.goto(few.as_uri())
    assert page.locator(".plot").count() > 4
    page.screenshot(full_page=True)
    assert page.evaluate(DRAWN)
    context.close()


def test_a_browser_that_does_not_say_what_is_near_draws_all_figures(browser, whole):
    context = browser.new_context(viewport=DESK)
    context.add_init_script("delete window.IntersectionObserver")
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(whole.as_uri())
    page.wait_for_timeout(100)
    end = time.monotonic() + 30
    while not page.evaluate(DRAWN) and time.monotonic() < end:
        page.wait_for_timeout(20)
    assert page.evaluate(DRAWN)
    assert complaints == []
    context.close()


def test_the_numbers_of_a_point_have_no_power_of_ten(desk):
    read = "[...document.querySelectorAll('.plot')].flatMap(p => p.data || []).map(t => t.hovertemplate || '')"
    shown = [each for each in desk.page.evaluate(read) if "%{" in each]
    assert len(shown) > 20
    assert not [each for each in shown if re.search(r":[^}]*g\}", each)]
    hover = (
        "(() => { const p = document.createElement('div'); p.style = 'width:400px;height:300px';"
        " document.body.append(p);"
        " Plotly.newPlot(p, [{x: [12345], y: [0.25], hovertemplate: '%{x:,.4~r} %{y:,.4~r}'}]);"
        " Plotly.Fx.hover(p, [{curveNumber: 0, pointNumber: 0}]);"
        " const shown = p.querySelector('.hoverlayer .nums').textContent;"
        " p.remove(); return shown; })()"
    )
    assert desk.page.evaluate(hover) == "12,350 0.25"


def test_a_cell_of_a_test_is_measured_again_by_the_command_of_pytest(browser, tmp_path):
    for origin, again in (
        ("pytest", "pytest tests/test_a.py"),
        ("run", "bench run quick --filter"),
    ):
        run = replace(
            synthetic.run_of(), origin=origin, suite_text="", command="pytest tests/test_a.py"
        )
        cells = synthetic.cells()[:1]
        folder = tmp_path / origin
        folder.mkdir()
        summary = stored_summary(folder, synthetic.records(cells), synthetic.planned(cells), run)
        path = folder / "page.html"
        write_report([summary], path, layout_of(folder, "table"))
        with Visit(browser, path, viewport=DESK) as visit:
            visit.page.locator("table.cells tbody button").first.click()
            text = visit.page.locator("#cell-panel pre").first.inner_text()
            shown = text.splitlines()[1]
            assert shown.startswith(again)
            assert ("--filter" in shown) == (origin == "run")
