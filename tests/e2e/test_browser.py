"""The report in a real browser: it draws, asks for nothing, fits a phone, is dark at night."""

import socket
from dataclasses import replace

import pytest

from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.pareto import front
from ondevice_bench.report.page import write_report
from tests.conftest import TINY_CELL
from tests.e2e.browsing import Visit
from tests.e2e.conftest import SLOWER
from tests.report import synthetic
from tests.report.hostile import hostile_run
from tests.report.test_page import EVIL


def test_it_draws_its_plots_and_asks_for_nothing(small, report):
    types = small.page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.plot')]"
        ".map(p => [p.dataset.figure, p._fullData.map(t => t.type)]))"
    )
    assert types == {
        "by-kernel": ["bar"] * 4 + ["scatter"],
        "step-samples": ["scatter", "scatter"],
    }
    assert small.page.locator(".plot .point").count() > 0
    assert small.requests == [report.as_uri()]
    assert small.complaints == []


def test_every_figure_is_drawn_as_what_it_is(wide):
    types = wide.page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.plot')]"
        ".map(p => [p.dataset.figure, [...new Set(p._fullData.map(t => t.type))]]))"
    )
    assert {name: kinds for name, kinds in types.items() if kinds != ["scatter"]} == {
        "by-kernel": ["bar", "scatter"],  # the totals are words at the ends of the bars
        "by-tensors": ["bar", "scatter"],
        "step-phases": ["bar"],
        "stored-shares": ["heatmap"],
        "layer-cosines": ["heatmap"],
    }
    assert wide.complaints == []


def test_the_chooser_shows_another_workload(browser, whole):
    with Visit(browser, whole) as visit:
        read = "document.getElementById('figure-growth-step') && document.getElementById('figure-by-kernel').data[0].x[0]"
        shown = "[...document.querySelectorAll('.decision')].map(e => e.hidden)"
        longest = "Math.max(...document.getElementById('figure-step-samples').data[0].x)"
        before = visit.page.evaluate(longest)
        assert visit.page.evaluate(shown) == [False, True]
        visit.page.locator(".tabs").get_by_text("mcunet, batch 16").click()
        visit.wait(f"{longest} > {before} * 1.5")
        assert visit.page.evaluate(shown) == [True, False]
        assert visit.page.evaluate(read) is not None
        assert visit.complaints == []


def test_the_table_sorts_filters_and_is_copied(used):
    page = used.page
    first = "document.querySelector('#table tbody tr:not([hidden]) th').textContent"
    page.get_by_role("button", name="step", exact=True).click()
    assert page.evaluate(first) == "wasi fraction=0.25"
    page.get_by_role("button", name="step", exact=True).click()
    assert "batch 16" in page.evaluate(first.replace(" th'", " td'"))
    page.get_by_role("searchbox").fill("svd b16")
    assert page.evaluate(first) == "svd fraction=0.25"
    assert page.get_by_role("status").inner_text() == "1 of 12 cells"
    page.get_by_role("button", name="Copy as CSV").click()
    used.wait("document.querySelector('[role=status]').textContent === 'copied'")
    head, line = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert head.startswith("cell,method,workload,status,step,")
    shown = page.locator("table.cells thead th").count()
    assert len(head.split(",")) > shown + 1  # also those for which the screen has no room
    assert line.startswith(
        'mcunet/svd(fraction=0.25)/all/b16/s0,svd fraction=0.25,"mcunet, batch 16, seed 0",ok,'
        "140 ms"
    )


def test_a_reader_chooses_the_columns_by_keyboard(desk):
    page = desk.page
    heads = "[...document.querySelectorAll('table.cells thead th')].map(e => e.textContent)"
    before = page.evaluate(heads)
    room, width = page.evaluate(
        "(t => [t.parentElement.clientWidth, t.offsetWidth])(document.querySelector('table.cells'))"
    )
    assert width <= room
    shown = f"Columns: {len(before) - 3} of "
    assert page.locator(".columns summary").inner_text().startswith(shown)
    numbers = "document.querySelectorAll('table.cells tbody tr:first-child td.number').length"
    assert page.evaluate(numbers) == len(before) - 3
    page.locator(".columns summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.evaluate(heads) == [name for name in before if name != "step"]
    assert page.evaluate(numbers) == len(before) - 4
    page.keyboard.press("Space")
    assert page.evaluate(heads) == before
    page.locator(".columns summary").press("Enter")
    page.evaluate("scrollTo(0, 0)")
    assert desk.complaints == []


def test_every_number_says_what_it_is(wide):
    number = wide.page.locator("#table td.number").first
    number.hover()
    assert number.get_attribute("title") == (
        "wall time of one training step; scope: whole network; "
        "median of 5 rounds' medians, envelope of their intervals (45 readings)"
    )


def test_the_keyboard_reaches_every_control(used):
    reached = set()
    for _ in range(120):
        used.page.keyboard.press("Tab")
        reached.add(used.page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
    for control in (
        "<a href",
        '<input type="radio"',
        '<input type="search"',
        "data-copy",
        "<summary",
        "<button",
    ):
        assert any(control in element for element in reached), control


def test_text_has_enough_contrast(wide):
    script = """() => {
      const parts = (text) => text.match(/[0-9.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
      const ground = (e) => {
        for (; e; e = e.parentElement) {
          const found = parts(getComputedStyle(e).backgroundColor);
          if (found.length < 4 || found[3] > 0) return found;
        }
        return [255, 255, 255];
      };
      return [...document.querySelectorAll("h1, h2, p, td, th, small, dt, dd, code, label, button, summary")]
        .filter((e) => e.textContent.trim())
        .map((e) => {
          const [a, b] = [light(parts(getComputedStyle(e).color)), light(ground(e))];
          return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 80)];
        })
        .filter(([ratio]) => ratio < 4.5);
    }"""
    for scheme in ("dark", "light"):
        wide.page.emulate_media(color_scheme=scheme)
        assert wide.page.evaluate(script) == []


def test_names_are_text_not_code(small):
    assert small.page.locator("h1").inner_text() == EVIL.replace("\u202e", "\ufffd")
    assert small.page.evaluate("document.scripts.length") == 7
    assert small.complaints == []


LOADS = (
    '<span style="background-image:url(http://127.0.0.1:9/a)">a</span>'
    '<a href="http://127.0.0.1:9/b">b</a><img src="http://127.0.0.1:9/c">'
)


def test_a_report_of_a_foreign_bundle_asks_for_nothing_and_links_to_nothing(
    browser,
    summary_of,
    tmp_path,
):
    found = hostile_run(LOADS)
    summary = summary_of(found.records, list(found.cells), found.run)
    run = replace(summary.run, id="older", software={**summary.run.software, "torch": LOADS})
    older = replace(summary, run=run)
    path = tmp_path / "foreign.html"
    for layout, width in (("regression", 360), ("run", 1400)):  # on a phone names are annotations
        write_report([summary, older], path, layout)
        with Visit(browser, path, viewport={"width": width, "height": 800}) as visit:
            for fold in visit.page.locator("details.fold").all():
                fold.evaluate("element => { element.open = true; }")  # a phone folds the sections
            points = visit.page.locator(".plot .point")
            points.first.scroll_into_view_if_needed()
            points.first.hover(force=True)
            assert visit.page.locator(".plot", has_text=LOADS[:30]).count() > 0
            assert visit.page.locator("a:not([href^='#']), img, [style*='url(http']").count() == 0
            assert visit.requests == [path.as_uri()]
            assert visit.complaints == []


def test_a_page_may_load_and_run_nothing_that_is_not_in_it(browser, report):
    with socket.create_server(("127.0.0.1", 0)) as server, Visit(browser, report) as visit:
        place = f"http://127.0.0.1:{server.getsockname()[1]}"
        attempts = (
            f"new Image().src = '{place}/a'",
            f"document.body.style.backgroundImage = 'url({place}/b)'",
            f"fetch('{place}/c').catch(() => 0)",
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))",
        )
        for attempt in attempts:
            visit.page.evaluate(f"() => {{ {attempt} }}")
        visit.page.wait_for_timeout(200)
        server.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody came
            server.accept()
        refused = [text for text in visit.complaints if "Content Security Policy" in text]
        assert len(refused) >= len(attempts)
        assert visit.page.evaluate("window.ran") is None


@pytest.mark.parametrize(("screen", "width"), [("phone", 360), ("tablet", 800), ("wide", 1400)])
def test_it_fits_the_screen(request, screen, width):
    page = request.getfixturevalue(screen).page
    assert page.viewport_size["width"] == width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_light_by_day_and_dark_by_night(browser, report, small):
    def colours(visit):
        return visit.page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " document.querySelector('.xtick text').style.fill]"
        )

    light = colours(small)
    with Visit(browser, report, color_scheme="dark") as visit:
        dark = colours(visit)
        line = "(d => (fitToDark({data: [d]}), d.line.color))({type: 'scatter', line: {color: '#0b5d0b'}})"
        lighter = visit.page.evaluate(f"lightOf({line}.match(/\\d+/g).map(Number))")
        visit.page.evaluate("beforePrint()")
        visit.page.emulate_media(color_scheme="dark", media="print")
        paper = colours(visit)
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] != light[0]
    assert dark[1] != light[1]  # the plots' text follows
    assert paper == light
    assert 0.17 < lighter < 0.25  # seen on a dark screen, and still a colour


def test_a_real_run_opens_as_well(browser, tiny_run):
    with Visit(browser, tiny_run.folder / "bench-out" / "tiny" / "report.html") as visit:
        assert visit.complaints == []
        cell = f"#table tbody [data-cell='{TINY_CELL}']"
        assert visit.page.locator(cell).count() == 1


def test_a_reader_chooses_the_axes_and_the_front_follows(browser, few, summary_of):
    cells = synthetic.cells(8)
    records = synthetic.records(cells, slower=SLOWER)
    members = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()), "vanilla")
    across, up = "activation_bytes", "step_seconds"
    having = [m for m in members[0].members if {across, up} <= set(m.cell.estimates)]
    meeting = [m for m in having if m.method != "svd"]  # the fastest one, but its cosine is 0.5
    costs = [[m.cell.estimates[name].estimate for name in (across, up)] for m in meeting]
    expected = {m.label for m, best in zip(meeting, front(costs), strict=True) if best}
    with Visit(browser, few) as visit:
        for name, metric in (("across", up), ("up", across)):
            visit.page.get_by_label(name, exact=True).select_option(metric)
        best, *traces = visit.page.evaluate(
            "document.getElementById('figure-own-axes').data"
            ".map(t => ({x: t.x, y: t.y, names: t.hovertext, full: t.marker?.opacity"
            ".map((each, at) => each === 1 && t.marker.symbol[at] === 'circle')}))"
        )
        title = visit.page.evaluate(
            "document.getElementById('figure-own-axes')._fullLayout.xaxis.title.text"
        )
        assert visit.complaints == []
    points = [p for t in traces for p in zip(*(t[key] for key in t), strict=True)]
    assert {name for _, _, name, is_full in points if is_full} == expected
    assert 0 < len(expected) < len(points) == len(having)
    assert best["x"] == sorted(x for x, _, _, is_full in points if is_full)
    assert title == "step time, ms (less is better)"


@pytest.mark.parametrize("screen", ["phone", "tablet", "wide"])
def test_each_of_a_few_points_has_a_name_that_covers_nothing(request, screen):
    problems = request.getfixturevalue(screen).page.evaluate("""() => {
        const fold = document.querySelector("#fronts details.fold"), isOpen = fold.open;
        fold.open = true;
        const share = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left))
            * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
        const boxes = (plot, what) => [...plot.querySelectorAll(what)].map((e) => e.getBoundingClientRect());
        const found = [];
        for (const plot of fold.querySelectorAll(".plot")) {
            drawOne(plot);
            const names = boxes(plot, ".textpoint text"), all = plot.getBoundingClientRect();
            const count = plot.data.flatMap((trace) => trace.hovertext || []).length;
            if (names.length < count) found.push(`${plot.id}: ${names.length} of ${count} names`);
            const others = [...boxes(plot, ".points path"), ...boxes(plot, ".ytick text")];
            names.forEach((box, at) => {
                if ([...others, ...names.slice(at + 1)].some((other) => share(box, other) > 12)) found.push(`${plot.id}: ${at} covers`);
                if (box.left < all.left || box.right > all.right || box.top < all.top - 1) found.push(`${plot.id}: ${at} is outside`);
            });
        }
        fold.open = isOpen;
        return found;
    }""")
    assert problems == []


def test_names_beside_points_do_not_cover_each_other(browser, summary_of, tmp_path):
    first, *others = synthetic.cells(8)
    crowd = [
        replace(cell, id=f"{cell.id}{n}", method_options=(*cell.method_options, ("niter", n)))
        for cell in others
        for n in range(4)
    ]
    cells = [first, *crowd]
    records = synthetic.records([first, *others])
    by_cell = {cell.id: [r for r in records if r.key.cell == cell.id] for cell in [first, *others]}
    for cell in crowd:
        own = by_cell[cell.id[:-1]]
        by_cell[cell.id] = [replace(r, key=replace(r.key, cell=cell.id)) for r in own]
    measured = [record for cell in cells for record in by_cell[cell.id]]
    path = tmp_path / "crowd.html"
    summary = summary_of(measured, synthetic.planned(cells), synthetic.run_of())
    write_report([summary], path)
    boxes_of = (
        "[...document.querySelectorAll('#figure-memory-time .textpoint text')]"
        ".map(e => e.getBoundingClientRect()).map(b => [b.left, b.top, b.right, b.bottom])"
    )
    with Visit(browser, path, viewport={"width": 1280, "height": 800}) as visit:
        boxes = visit.page.evaluate(boxes_of)
    assert len(boxes) > 3
    covering = [
        (one, other)
        for place, one in enumerate(boxes)
        for other in boxes[:place]
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ]
    assert covering == []


def test_a_large_table_is_made_in_pauses_and_is_whole_on_paper(browser, summary_of, tmp_path):
    cells = synthetic.cells(seeds=tuple(range(60)))
    summary = summary_of([], synthetic.planned(cells), synthetic.run_of())
    path = tmp_path / "many.html"
    write_report([summary], path)
    rows = "document.querySelectorAll('table.cells tbody tr').length"
    with Visit(browser, path) as visit:
        visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert visit.page.evaluate(rows) == len(cells)
        visit.page.get_by_role("searchbox").fill("svd s7")
        assert visit.page.evaluate(rows) == 1
        visit.page.get_by_role("searchbox").fill("")
        visit.wait(f"{rows} === {len(cells)}")
        assert visit.complaints == []


def test_figures_fit_a_sheet_of_paper_and_go_back_to_the_screen(wide):
    widths = (
        "[...document.querySelectorAll('.plot')].filter(p => !p.hidden)"
        ".map(p => p._fullLayout.width * Number(getComputedStyle(p).zoom))"
    )
    into_the_figure = (
        "[...document.querySelectorAll('.plot')].filter(p => p._fullLayout?.legend?._height"
        " && p._fullLayout.legend.yref === 'paper').map(p => p._fullLayout.legend._height"
        " + p.querySelector('.legend').transform.baseVal[0].matrix.f - p._fullLayout._size.t)"
    )
    before = wide.page.evaluate(widths)
    wide.page.emulate_media(media="print")
    wide.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    on_paper, legends = wide.page.evaluate(widths), wide.page.evaluate(into_the_figure)
    hints = "document.querySelector('#curve figcaption').innerText.includes('Click')"
    assert not wide.page.evaluate(hints)
    wide.page.emulate_media(media="screen")
    wide.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert max(before) > 900
    assert max(on_paper) <= 703  # an A4 sheet less its margins, in CSS pixels
    assert len(legends) > 3
    assert max(legends) <= 1
    assert wide.page.evaluate(hints)
    assert wide.page.evaluate(widths) == before
    assert wide.complaints == []
