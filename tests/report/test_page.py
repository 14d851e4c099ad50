import dataclasses
import json
import re

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.report import page as pages
from ondevice_bench.report.figure_pool import TEMPLATE
from ondevice_bench.report.layout import load_layout
from ondevice_bench.report.page import write_report
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.quantities import quantity_of
from ondevice_bench.report.sections import growth, sections
from ondevice_bench.report.sections.section import ReportData
from ondevice_bench.suite.cell import LearningPlan
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned
from tests.report import synthetic
from tests.report.hostile import hostile_run

MIB = 2**20
CONTROL = "".join(map(chr, [*range(32), *range(127, 160)]))
EVIL = "</script><script>alert(1)</script>\"'&\u202e{{ 7*7 }}"
MEMORY = {
    "peak_rss_over_runtime_bytes": 10.0 * MIB,
    "peak_rss_bytes": 300.0 * MIB,
    "rss_batch_bytes": 1.0 * MIB,
    "rss_weights_bytes": 2.0 * MIB,
    "rss_warmup_bytes": 3.0 * MIB,
    "rss_step_bytes": 4.0 * MIB,
}


@pytest.fixture
def summary(summary_of):
    """One cell that is measured, one that failed."""
    samples = [0.010, 0.011, 0.012, 0.013, 0.014, 0.015, 0.016]
    records = [
        make_record(pass_name="trace", metrics={"activation_bytes": 7.0 * MIB}),
        make_record(pass_name="memory", metrics=MEMORY),
        make_record(metrics={"step_seconds": 0.013}, samples={"step_seconds": samples}),
        make_record(cell=SECOND, status="failed", reason="ValueError: no"),
    ]
    return summary_of(records, planned(CELL, SECOND))


def render(summary, **what):
    return pages.render([summary], **what)


def body(page):
    """The page without plotly.js."""
    return re.sub(
        r'<script type="text/plain" id="page-plotly">.*?</script>', "", page, flags=re.DOTALL
    )


def test_every_figure_is_there_with_its_meaning(summary):
    page = body(render(summary))
    assert "13.0 ms" in page
    assert "7.00 MiB" in page
    assert "scope: whole network; exact" in page
    assert "95 % interval of 7 samples, one process" in page
    assert "not measured: time, round 1: failed: ValueError: no" in page


def test_what_is_learned_has_a_table_of_its_own(summary, summary_of):
    assert "Effect on training" not in body(render(summary))
    page = body(render(summary_of([make_record(pass_name="accuracy", metrics={"accuracy": 0.5})])))
    assert "Effect on training" in page
    assert "after a short fine-tuning; scope: whole network; one seed: no interval" in page


def test_a_figure_without_an_interval_shows_none(summary):
    shown = quantity_of(summary.cells[0], "peak_rss_over_runtime_bytes")
    assert (shown.estimate, shown.interval) == ("10.00 MiB", "")
    assert "one process: too few for an interval" in shown.meaning
    timed = quantity_of(summary.cells[0], "step_seconds")
    assert timed.interval == "10.0 … 16.0 ms"


def test_the_page_loads_nothing_from_elsewhere(summary):
    page = body(render(summary))
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", page)
    assert "@import" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_names_and_messages_are_shown_as_text(summary_of):
    cell = dataclasses.replace(CELL, id=f"cell {EVIL}/vanilla/all/b8/s0")
    failed = make_record(
        cell=dataclasses.replace(SECOND, id="net/vanilla/all/b2/s0"),
        status="failed",
        reason=f"Error: {EVIL}",
    )
    records = [
        make_record(cell=cell, pass_name="memory", metrics=MEMORY),
        make_record(cell=cell, metrics={"step_seconds": 1.0}, samples={"step_seconds": [1.0] * 6}),
        failed,
    ]
    run = make_run(title=EVIL, suite_text=EVIL, profile_text=EVIL, command=EVIL)
    cells = planned(cell, dataclasses.replace(SECOND, id="net/vanilla/all/b2/s0"))
    summary = summary_of(records, cells, run)
    page = render(dataclasses.replace(summary, run=dataclasses.replace(run, commit=EVIL)))
    assert "<script>alert(1)" not in page
    assert page.count("</script>") == 6  # plotly.js, four blocks of data, and our script
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", page)[0]


def test_no_text_of_a_figure_has_markup(summary_of):
    found = hostile_run("<b>&amp;</b>")
    summary = summary_of(found.records, list(found.cells), found.run)
    software = {**summary.run.software, "torch": "<i>1</i>"}
    run = dataclasses.replace(summary.run, id="older", software=software)
    older = dataclasses.replace(summary, run=run)
    texts = []
    for layout in ("run", "regression"):
        figures = drawn(pages.render([summary, older], layout))
        texts += [text for path, text in leaves(figures) if path[-1] != TEMPLATE]
    assert not [text for text in texts if re.search("<|&(?!lt;|gt;|amp;)", text)]
    assert sum("&lt;b&gt;&amp;amp;&lt;/b&gt;" in text for text in texts) > 20


def leaves(value, path=()):
    """Every text within, and its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))


def is_well_formed(page):
    """Whether every id is there once, and there is no control character but tab and new line."""
    ids = re.findall(r'\bid="([^"]*)"', body(page))
    assert sorted(set(ids)) == sorted(ids)
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", page) == []
    return bool(ids)


@pytest.mark.parametrize("layout", ["run", "hardware", "paper", "regression"])
def test_every_id_is_there_once(whole, layout):
    older = dataclasses.replace(whole, run=dataclasses.replace(whole.run, id="older"))
    assert is_well_formed(pages.render([whole, older], layout))


def test_control_characters_are_shown_as_symbols(summary_of, tmp_path):
    cell = dataclasses.replace(CELL, id=f"net/{CONTROL}/all/b8/s0", method=CONTROL)
    failed = dataclasses.replace(SECOND, id=f"{CONTROL}/vanilla/all/b2/s0")
    records = [
        make_record(cell=cell, pass_name="memory", metrics=MEMORY),
        make_record(cell=cell, metrics={"step_seconds": 1.0}, samples={"step_seconds": [1.0] * 6}),
        make_record(cell=failed, status="failed", reason=f"Error: {CONTROL}"),
    ]
    said = dict.fromkeys(("suite_text", "profile_text", "command"), CONTROL)
    summary = summary_of(records, planned(cell, failed), make_run(**said))
    title = f"a\x1b[31m \x7f \x9b \ud800 {CONTROL}"
    titled = dataclasses.replace(summary.run, title=title, commit=CONTROL)
    summary = dataclasses.replace(summary, run=titled)
    page = render(summary)
    assert is_well_formed(page)
    (title,) = re.findall(r"<h1>(.*?)</h1>", page, flags=re.DOTALL)
    assert title.startswith("a␛[31m ␡ \ufffd \ufffd ␀␁␂")
    assert "\t\n␋" in title
    names = [bar["name"] for f in drawn(page)["by-kernel"] if f for bar in bars(f)]
    assert names
    write_report([summary], tmp_path / "page.html")


def test_a_suite_with_the_line_ends_of_windows_has_lines(summary_of):
    run = make_run(suite_text="title: one\r\ntitle: two\r\n")
    page = render(summary_of([make_record(metrics={})], planned(CELL), run))
    assert "title: one\ntitle: two\n" in page


def stored(page):
    """The figures as the page has them."""
    (text,) = re.findall(r'<script type="application/json" id="page-figures">(.*)</script>', page)
    return json.loads(text)


def unpacked(part, shapes, arrays):
    """A part of a figure: its shape, filled with its children."""
    shape, *children = part
    constant, keys = shapes[shape]

    def child(value):
        match value:
            case int():
                return arrays[value]
            case {"*": several}:
                return [unpacked(each, shapes, arrays) for each in several]
        return unpacked(value, shapes, arrays)

    return {**constant, **dict(zip(keys, map(child, children), strict=True))}


def drawn(page):
    """The page's figures, each for every group, as a browser unpacks them."""
    data = stored(page)
    return {
        name: [each and unpacked(each, data["shapes"], data["arrays"]) for each in groups]
        for name, groups in data["figures"].items()
    }


def bars(figure):
    """The bars of a figure, without the words at their ends."""
    return [trace for trace in figure["data"] if trace["type"] == "bar"]


def test_plots_hold_the_figures_of_the_table(summary):
    (parts,) = drawn(render(summary))["by-kernel"]
    assert {trace["name"]: trace["x"] for trace in bars(parts)} == {
        "batch": [1.0],
        "model": [2.0],
        "after warm-up": [3.0],
        "step's own memory": [4.0],
    }
    (times,) = drawn(render(summary))["step-samples"]
    assert [len(trace["y"]) for trace in times["data"]] == [7, 1]  # samples and the median
    assert times["data"][1]["x"] == [13.0]


@pytest.fixture
def trained(summary_of):
    """The same cells in a suite that also trains them, and without pause."""
    cells = [
        dataclasses.replace(cell, learning=LearningPlan(epochs=2))
        for cell in (*synthetic.cells(8), *synthetic.cells(16))
    ]
    records = [*synthetic.records(cells), *map(synthetic.learned, cells)]
    records += map(synthetic.sustained, cells)
    return summary_of(records, synthetic.planned(cells), synthetic.run_of())


def test_a_page_of_a_training_without_an_accuracy_at_its_end_is_drawn(summary_of):
    """The curve of such a training is drawn, and there is nothing to compare."""
    cell = synthetic.cells(8)[0]
    learned = dataclasses.replace(synthetic.learned(cell), metrics={})
    records = [*synthetic.records([cell]), learned]
    page = render(summary_of(records, synthetic.planned([cell]), synthetic.run_of()))
    assert "No accuracy was measured, so there is nothing to compare" in page


def test_every_section_of_plots_draws_what_was_measured(trained):
    figures = drawn(render(trained))
    data = ReportData.from_summaries((trained,))
    expected = {
        plot.name
        for name in ("fronts", "anatomy", "times", "layers")
        for plot in sections()[name].plots_of(data)
    } | {plot.name for each in sections().values() for plot in each.plots}
    assert set(figures) == expected
    assert all(len(groups) == 2 and all(groups) for groups in figures.values())
    kinds = {trace["type"] for groups in figures.values() for f in groups for trace in f["data"]}
    assert kinds == {"bar", "scatter", "heatmap"}  # all of them in the bundle that is vendored


@pytest.mark.parametrize(
    ("figure", "unit"),
    [
        ("by-kernel", "MiB"),
        ("by-tensors", "MiB"),
        ("step-phases", "ms"),
        ("growth-peak", "MiB"),
        ("growth-step", "ms"),
        ("rank-step", "×"),
        ("accuracy-seconds", " s: "),
        ("sustained-speed", "ms"),
        ("sustained-temperature", "°C"),
        ("own-axes", "%{yaxis.title.text}: %{y"),
    ],
)
def test_a_tooltip_has_the_unit_of_its_number(trained, figure, unit):
    shown = [
        trace["hovertemplate"]
        for each in drawn(render(trained))[figure]
        for trace in each["data"]
        if "hovertemplate" in trace
    ]
    assert shown
    assert [text for text in shown if unit not in text] == []


def test_tensors_add_up_to_the_highest_moment(whole):
    figure, _ = drawn(render(whole))["by-tensors"]
    place = {t["name"]: dict(zip(t["y"], t["x"], strict=True)) for t in bars(figure)}
    # 3 of parameters, 1 of batch, and 1.2 times the 40 that are kept
    assert sum(part["vanilla"] for part in place.values() if "vanilla" in part) == pytest.approx(
        3 + 1 + 1.2 * 40, rel=1e-4
    )


def test_what_figures_share_is_stored_once(whole):
    arrays = [json.dumps(array) for array in stored(render(whole))["arrays"]]
    assert len(arrays) == len(set(arrays))


def test_a_ratio_says_of_what(whole):
    page = body(render(whole, layout="paper"))
    assert "computed by formula: 1,536 of 4,096 elements of the inputs of 2 changed layers" in page
    assert "How much is saved, and where" in page
    assert "as a multiple of the baseline" in page


def test_the_verdict_stands_first_and_says_what_was_looked_for(whole):
    page = body(render(whole))
    assert page.index("<h2>Decision</h2>") < page.index("<h2>Where the memory is</h2>")
    assert "goal of the suite: the lowest step time, with a gradient cosine of at least" in page
    assert "wasi fraction=0.25 has the lowest step time" in page


def test_a_layout_of_ones_own_and_what_it_may_not_say(workplace, whole):
    folder = workplace / "reports/layouts"
    folder.mkdir(parents=True)
    (folder / "short.yaml").write_text("schema: 1\ntitle: Short\nsections: [verdict]\n")
    page = render(whole, layout="short")
    assert re.findall("<h2>(.*?)</h2>", page) == ["Decision"]
    (folder / "long.yaml").write_text("schema: 1\nextends: short\nsections: [verdikt]\n")
    with pytest.raises(BadInput) as caught:
        load_layout("long")
    assert str(caught.value).startswith(
        "reports/layouts/long.yaml:3: sections: unknown section 'verdikt'; did you mean 'verdict'?"
    )
    (folder / "twice.yaml").write_text("schema: 1\ntitle: t\nsections: [table, table]\n")
    with pytest.raises(BadInput, match="sections: the section 'table' is given 2 times"):
        load_layout("twice")
    with pytest.raises(BadInput, match="unknown layout 'shrt'; did you mean 'short'"):
        load_layout("shrt")


def test_a_run_without_figures_has_a_page_without_plots(summary_of):
    page = body(render(summary_of([], planned(CELL))))
    assert 'class="plot"' not in page
    assert "unfinished" in page


def test_a_run_without_numbers_says_that_there_is_nothing_to_decide(summary_of):
    failed = make_record(status="failed", reason="MemoryError: no")
    page = body(render(summary_of([failed], planned(CELL))))
    section = page[page.index('<section id="verdict">') :]
    section = section[: section.index("</section>")]
    assert "There is nothing to decide yet: no cell of this run has a number." in section
    assert 'href="#problems"' in section
    assert 'class="card' not in section


def test_a_badge_stands_at_what_it_judges(summary_of, tmp_path):
    layout = tmp_path / "one.yaml"
    layout.write_text("schema: 1\ntitle: One\nsections: [verdict]\n")
    cells = [cell for cell in synthetic.cells() if cell.method in ("vanilla", "wasi")]
    records = [
        dataclasses.replace(each, samples={"step_seconds": (0.06, 0.08, 0.08, 0.08, 0.15, 0.08)})
        if each.key.pass_name == "time" and "/wasi" in each.key.cell
        else each
        for each in synthetic.records(cells)
    ]
    summary = summary_of(records, synthetic.planned(cells))
    page = body(render(summary, layout=str(layout))).replace("\u00a0", " ")
    card = page[page.index("10 % more time allowed") :]
    card = re.sub(r"\s+", " ", card[: card.index("</div>")])
    number, condition = re.findall(r'<p class="card-(?:number|missing)">.*?</p>', card)
    assert '<span class="badge proven">' in number
    assert '<span class="badge not-proven">not proven</span> At most 10 % more time' in condition


def test_pending_cells_are_named_never_drawn(summary_of):
    page = body(render(summary_of([], [PlannedCell(CELL, "pi5", "pending", "pending on pi5")])))
    assert "pending on pi5" in page


def test_the_environment_names_the_allocator_and_the_optimizer(summary_of):
    cell = dataclasses.replace(CELL, allocator="tcmalloc", id="mcunet/vanilla/all/b8/tcmalloc/s0")
    run = make_run(software={**make_run().software, "preload": "/opt/libx.so"})
    page = body(render(summary_of([], planned(cell), run)))
    assert "tcmalloc; LD_PRELOAD of the user: /opt/libx.so" in page
    assert "sgd" in page


def test_a_report_is_written_whole_or_not_at_all(summary, tmp_path):
    out = tmp_path / "deep" / "report.html"
    write_report([summary], out)
    first = out.read_text()
    write_report([summary], out)
    assert out.read_text() == first
    assert [p.name for p in out.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="cannot be written"):
        write_report([summary], tmp_path / "file" / "report.html")
    with pytest.raises(BadInput, match="cannot be written"):
        write_report([summary], tmp_path / "deep")
    assert [p.name for p in tmp_path.glob("*.part")] == []


ESCAPES = (
    "{{ cycler.__init__.__globals__.os.mkdir('ran') }}",
    "{{ run.__class__.__mro__[1].__subclasses__() }}",
    "{{ parts[0].section.content.__globals__ }}",
    "{{ ''.format.__self__ }}",
    "{% include 'none.html.j2' %}",
    "{{ 1 / 0 }}",
    "{% if %}",
)


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_template_reaches_nothing_but_the_page(workplace, whole, escape):
    folder = workplace / "reports" / "templates"
    folder.mkdir(parents=True)
    (folder / "page.html.j2").write_text(escape)
    assert "<h1>" in render(whole)  # nobody named the folder
    with pytest.raises(BadInput) as caught:
        render(whole, templates=folder)
    (line,) = caught.value.lines
    assert line.startswith(f"{folder}: ")
    assert not (workplace / "ran").exists()


def test_a_folder_of_templates_may_have_only_some(workplace, whole):
    (workplace / "mine" / "sections").mkdir(parents=True)
    (workplace / "mine" / "sections" / "verdict.html.j2").write_text("<p>mine: {{ run.id }}</p>")
    assert f"<p>mine: {whole.run.id}</p>" in render(whole, templates=workplace / "mine")
    with pytest.raises(BadInput, match="none: not a folder of templates"):
        render(whole, templates=workplace / "none")


def test_a_batch_that_shows_another_seed_draws_no_figure_of_the_others(summary_of, tmp_path):
    """Without the baseline of the usual seed, a batch shows another seed: only its own figure."""
    there = {8: (0,), 16: (0,), 32: (1,)}
    cells = [
        cell
        for batch, seeds in there.items()
        for cell in synthetic.cells(batch, (0, 1))[:4]
        if cell.method != "vanilla" or cell.seed in seeds
    ]
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells))
    layout = tmp_path / "growth.yaml"
    layout.write_text("schema: 1\ntitle: Growth\nsections: [growth]\n")
    first, second, other = stored(render(summary, layout=str(layout)))["figures"]["growth-step"]
    assert first == second
    assert first != other


def test_what_goes_over_batches_is_drawn_once_for_all_of_them(summary_of, monkeypatch):
    drawn = []

    class Counted(Canvas):
        def __init__(self):
            super().__init__()
            drawn.append(self)

    monkeypatch.setattr(growth, "Canvas", Counted)
    cells = [cell for batch in (1, 2, 4, 8) for cell in synthetic.cells(batch)[:2]]
    summary = summary_of(synthetic.records(cells), synthetic.planned(cells))
    figures = stored(render(summary))["figures"]
    assert len(drawn) == len(growth.SECTION.plots)
    for plot in growth.SECTION.plots:
        of_groups = figures[plot.name]
        assert of_groups == of_groups[:1] * 4
        assert of_groups[0] is not None
