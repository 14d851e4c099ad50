"""A history as text, JSON and a page."""

import random
import re
from dataclasses import replace

import pytest

from ondevice_bench.analyse.history import HistoryQuery, history
from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.record.store import Store
from ondevice_bench.report import page as pages
from ondevice_bench.report.history_text import short_commit
from ondevice_bench.report.terminal.history import history_json, history_lines, history_table
from tests.report import synthetic
from tests.report.test_page import body, drawn

RUNS, SLOW_FROM, FAT_FROM, TORCH_FROM = 28, 14, 5, 20


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """WASI became slower at one commit, SVD keeps more from another, and torch is new later."""
    dice, cells, made = random.Random(0), synthetic.cells()[:5], []
    with Store.create(tmp_path_factory.mktemp("runs") / "results.sqlite") as store:
        for number in range(RUNS):
            software = synthetic.run_of().software
            run = synthetic.run_of(
                f"r{number:02}",
                commit=f"{number:02}abcdef00+abc" if number == 2 else f"{number:02}abcdef00",
                created=f"2026-01-{number + 1:02}T00:00:00+00:00",
                software={**software, "torch": "2.13"} if number >= TORCH_FROM else software,
            )
            slower = 1.1 if number >= SLOW_FROM else 1
            more = 512 if number >= FAT_FROM else 0
            records = synthetic.of_history(dice, cells, run.id, slower=slower, more=more)
            store.merge(run, synthetic.planned(cells), records)
            made.append(summarise(store, run))
    return made


def with_run(one, **what):
    """The same figures, of a run that is otherwise."""
    return replace(one, run=replace(one.run, **what))


def test_sentences_name_commits_sizes_and_causes(runs):
    changed, stepped, counts, basis = history_lines(history(runs))
    assert counts.startswith("2 changes for the worse, 0 for the better; no change seen in ")
    assert changed == (
        "mcunet/svd(fraction=0.25)/all/b8/s0: activations on x86 changed for the worse, somewhere "
        "between 04abcde and 05abcde: 33.00 MiB (34,603,008 bytes) → 33.00 MiB (34,603,520 bytes); "
        "code 04abcdef00 → 05abcdef00"
    )
    assert re.fullmatch(
        r"mcunet/wasi\(fraction=0.25\)/all/b8/s0: step on x86 became worse, somewhere between "
        r"13abcde and 14abcde, 1\.\d\d× \(1\.\d\d× … 1\.\d\d×\); "
        r"perhaps code 13abcdef00 → 14abcdef00",
        stepped,
    )
    assert basis == (
        "28 runs, ordered by time alone: this repository does not have all of their commits"
    )


def test_too_few_runs_are_said_to_be_too_few(runs):
    found = history(runs[:3], HistoryQuery(metrics=("step_seconds",)))
    assert history_lines(found)[:-1] == [
        "0 changes for the worse, 0 for the better; no change seen in 0 of 5 series"
    ]
    table = history_table(found)
    assert [row[table.titles.index("changes")] for row in table.rows] == [
        "3 runs: a change needs 7 runs before it and 7 after it"
    ] * 5


def test_series_without_a_change_have_no_line_unless_they_were_asked_for(runs):
    found = history(runs)
    assert len(history_table(found).rows) == 2
    assert len(history_table(found, ["step_seconds"]).rows) == 6


def test_json_has_every_point_and_finding(runs):
    found = history_json(history(runs))
    assert [run["run"] for run in found["runs"]] == [f"r{number:02}" for number in range(RUNS)]
    (step,) = [
        one for one in found["series"] if one["metric"] == "step_seconds" and "wasi" in one["cell"]
    ]
    assert len(step["points"]) == RUNS
    ((finding),) = step["findings"]
    assert (finding["kind"], finding["after_run"], finding["until_run"]) == (
        "stepped",
        "r13",
        "r14",
    )
    assert finding["lower"] < 1.1 < finding["upper"]


def traces(figure, mode):
    return [trace for trace in figure["data"] if trace["mode"] == mode]


def test_the_page_draws_each_cell_over_its_runs(runs):
    page = pages.render([runs[-1], *runs[:-1]], "regression")
    figures = drawn(page)
    assert list(figures) == [
        "trend-step_seconds",
        "trend-peak_rss_over_runtime_bytes",
        "trend-activation_bytes",
    ]
    (steps,), (_,), (kept,) = figures.values()
    lines = traces(steps, "lines+markers")
    assert len(lines) == 5
    assert all(line["x"] == list(range(RUNS)) for line in lines)
    values = {line["name"]: line["y"] for line in lines}
    assert values["vanilla"][0] == pytest.approx(
        runs[0].cells[0].estimates["step_seconds"].estimate * 1e3, rel=1e-4
    )
    (worse,) = traces(steps, "markers")
    assert (worse["name"], worse["x"]) == ("worse", [SLOW_FROM])
    assert worse["y"] == [values["wasi fraction=0.25"][SLOW_FROM]]
    (fatter,) = traces(kept, "markers")
    assert (fatter["x"], fatter["marker"]["symbol"]) == ([FAT_FROM], ["triangle-up"])
    assert steps["layout"]["xaxis"]["ticktext"][:2] == ["00abcde", "02abcde+"]
    ((line),) = steps["layout"]["shapes"]
    assert line["x0"] == TORCH_FROM - 0.5
    ((said),) = steps["layout"]["annotations"]
    assert said["text"] == "torch 2 → 2.13"
    text = body(page)
    assert text.index("What changed") < text.index("Run after run") < text.index("Every cell")
    assert "somewhere between" in text
    assert "r27" in re.findall(r"<title>(.*?)</title>", text, re.DOTALL)[0]


def test_a_change_that_rounding_hides_is_shown_with_all_digits(runs):
    page = body(pages.render([runs[-1], *runs[:-1]], "regression"))
    (row,) = (each for each in page.split("<tr>") if "svd" in each and "<td>activations<" in each)
    assert ">33.00 MiB (34,603,008 bytes)<" in row
    assert ">33.00 MiB (34,603,520 bytes)<" in row
    assert ">25.00 MiB<" in page  # ASI did not change


def test_the_page_shows_what_was_asked_for(runs):
    asked = HistoryQuery(metrics=("inference_seconds", "step_flops"))
    assert list(drawn(pages.render(runs, "regression", query=asked))) == ["trend-step_flops"]


def test_machines_are_lines_of_their_own(runs):
    other = {**runs[0].run.machine, "cpu": "Other"}
    mixed = [with_run(one, machine=other) if n % 2 else one for n, one in enumerate(runs)]
    (figure,) = drawn(pages.render(mixed, "regression"))["trend-step_seconds"]
    names = [trace["name"] for trace in traces(figure, "lines+markers")]
    assert "vanilla · x86, cpu Other" in names
    assert "vanilla · x86, cpu CPU" in names
    assert len(names) == 10


def test_one_run_has_a_page_that_says_so(runs):
    page = body(pages.render(runs[:1], "regression"))
    assert "one run: a history needs two" in page
    assert 'class="plot"' not in page


def test_other_layouts_do_not_ask_for_a_history(runs, monkeypatch):
    monkeypatch.setattr("ondevice_bench.report.sections.section.history", None)
    assert "<h1>" in pages.render(runs[:1], "run")


def test_changes_at_one_commit_are_told_apart_by_their_runs(runs):
    pair = [with_run(one, commit=f"abcdef0123+{one.run.id}") for one in (runs[0], runs[FAT_FROM])]
    said, *_ = history_lines(history(pair, HistoryQuery(metrics=("activation_bytes",))))
    assert "at abcdef0+, between r00 and r05" in said


def test_a_run_outside_of_a_repository_has_no_commit():
    assert short_commit("nocommit") == "none"
    assert short_commit("0123456789+abcd") == "0123456+"


def test_nobody_reads_the_stored_word_for_no_commit(runs):
    pair = [with_run(runs[0], commit="nocommit"), runs[FAT_FROM]]
    said, *_ = history_lines(history(pair, HistoryQuery(metrics=("activation_bytes",))))
    assert "code none → 05abcdef00" in said
    assert "nocommit" not in pages.render(pair, "regression")
