"""The map of modules: the baseline and the cells of the cards."""

import dataclasses

import pytest

from ondevice_bench.report.sections import modules
from ondevice_bench.report.sections.section import ReportData
from tests.report import synthetic
from tests.report.test_page import body, render

SAVED = {
    "first": {"bytes": 600, "kind": "treated_layers"},
    "second": {"bytes": 300, "kind": "normalisation"},
    "": {"bytes": 100, "kind": "loss"},
    "none": {"bytes": 0, "kind": "other"},
}


@pytest.fixture
def summary_with(summary_of):
    def make(saved):
        cells = synthetic.cells()
        records = [
            dataclasses.replace(each, details={**each.details, "saved": saved})
            if each.key.pass_name == "trace"
            else each
            for each in synthetic.records(cells)
        ]
        return summary_of(records, synthetic.planned(cells), synthetic.run_of())

    return make


def maps_of(summary):
    return modules.content(ReportData.from_summaries((summary,)))


def test_there_is_a_map_for_the_baseline_and_for_each_card(summary_with):
    (maps,) = maps_of(summary_with(SAVED))["groups"]
    assert [each.label for each in maps] == ["vanilla", "checkpoint", "wasi fraction=0.25"]
    (vanilla, *_) = maps
    assert [part.name for part in vanilla.parts] == ["first", "second", modules.OUTSIDE]
    assert vanilla.parts[0].size.endswith(", 60.0 %")
    assert "The largest module is first: 60.0 %." in vanilla.says
    assert [name for name, _ in vanilla.kinds] == ["changed layers", "normalisation", "the loss"]


def test_each_map_says_whose_bytes_it_shows(summary_with):
    """The theme hides a sentence without a strong part."""
    page = render(summary_with(SAVED))
    assert page.count('<figure class="full map"><p class="says"><strong>') == 3


@pytest.mark.parametrize(
    ("name", "letters", "others", "shown"),
    [
        ("layers.3.conv", 20, ("layers.4.conv",), "layers.3.conv"),
        ("layers.3.conv", 8, ("layers.4.conv",), "l.3.conv"),
        ("layers.3.attn.query.dense", 12, ("layers.4.attn.query.dense",), "l.3.a.q.d"),
        ("layers.3.attn.query", 12, ("layers.4.attn.query",), "l.3.a.query"),
        ("layers.3.conv", 4, ("layers.4.conv",), "…3.c"),
        ("a.3.c", 4, ("b.3.c", "c.3.c"), ""),
        ("head", 4, ("layers.head",), "head"),
    ],
)
def test_a_short_name_means_one_module_or_is_left_out(name, letters, others, shown):
    assert modules.short_name(name, letters, (name, *others)) == shown


def test_small_modules_share_a_part_of_no_kind(summary_with):
    count = modules.MOST + 5
    saved = {f"m{n}": {"bytes": 1000 - n, "kind": "attention"} for n in range(count)}
    (maps,) = maps_of(summary_with(saved))["groups"]
    assert len(maps[0].parts) == modules.MOST + 1
    (shared,) = (part for part in maps[0].parts if part.name == "5 smaller modules")
    assert shared.colour == modules.SMALLER_COLOUR


def test_the_page_has_the_map_and_a_run_without_modules_has_none(summary_with):
    assert "Which modules keep the most" in body(render(summary_with(SAVED)))
    assert maps_of(summary_with({})) is None


def test_a_kind_of_a_newer_version_is_drawn_like_the_rest(summary_with):
    (maps,) = maps_of(summary_with({"a": {"bytes": 5, "kind": "<new>"}}))["groups"]
    assert maps[0].parts[0].colour == modules._colour("other")
