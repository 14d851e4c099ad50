"""The map of modules: the baseline and the cells of the cards."""

import dataclasses
import re

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
    def make(saved, **of_methods):
        cells = synthetic.cells()
        records = [
            dataclasses.replace(
                each,
                details={
                    **each.details,
                    "saved": of_methods.get(re.split(r"[/(]", each.key.cell)[1], saved),
                },
            )
            if each.key.pass_name == "trace"
            else each
            for each in synthetic.records(cells)
        ]
        return summary_of(records, synthetic.planned(cells), synthetic.run_of())

    return make


def maps_of(summary):
    return modules.content(ReportData.from_summaries((summary,)))


def test_there_is_a_map_for_the_baseline_and_for_each_card(summary_with):
    other = {"first": SAVED["first"]}
    (maps,) = maps_of(summary_with(SAVED, checkpoint=other, wasi=other))["groups"]
    assert [each.label for each in maps] == ["vanilla", "checkpoint", "wasi fraction=0.25"]
    (vanilla, *_) = maps
    assert [part.name for part in vanilla.parts] == ["first", "second", modules.OUTSIDE]
    assert vanilla.parts[0].size.endswith(", 60.0 %")
    assert vanilla.more == "The largest module is first: 60.0 %."
    assert [name for name, _ in vanilla.kinds] == ["changed layers", "normalisation", "the loss"]


def test_each_map_says_whose_bytes_it_shows(summary_with):
    """The theme hides a sentence without a strong part."""
    page = render(summary_with(SAVED, wasi={"first": SAVED["first"]}))
    assert page.count('<figure class="full map"><p class="says"><strong>') == 2
    assert page.count(", and each module has the same share.") == 2  # the words, and the label


def test_small_modules_share_the_last_box_of_no_kind_and_an_entry_of_the_legend(summary_with):
    count = modules.MOST + 5
    saved = {f"m{n}": {"bytes": 1000 - n, "kind": "attention"} for n in range(count)}
    (maps,) = maps_of(summary_with(saved))["groups"]
    assert len(maps[0].parts) == modules.MOST + 1
    shared = maps[0].parts[-1]
    assert (shared.name, shared.colour) == ("5 smaller modules", modules.SMALLER_COLOUR)
    assert maps[0].kinds[-1] == ("smaller modules", modules.SMALLER_COLOUR)
    assert " 5 smaller modules together: 7.5 %." in maps[0].more


def test_equal_shares_are_said_and_not_drawn_again(summary_with):
    half = {name: {**each, "bytes": each["bytes"] // 2} for name, each in SAVED.items()}
    other = {**SAVED, "first": {"bytes": 1000, "kind": "treated_layers"}}
    (maps,) = maps_of(summary_with(SAVED, checkpoint=half, wasi=other))["groups"]
    assert [each.label for each in maps] == ["vanilla", "wasi fraction=0.25"]
    assert maps[0].more.endswith(
        "checkpoint keeps 500.0 bytes for backward, and each module has the same share."
    )


def test_the_page_has_the_map_and_a_run_without_modules_has_none(summary_with):
    assert "Which modules keep the most" in body(render(summary_with(SAVED)))
    assert maps_of(summary_with({})) is None


def test_a_kind_of_a_newer_version_is_drawn_like_the_rest(summary_with):
    (maps,) = maps_of(summary_with({"a": {"bytes": 5, "kind": "<new>"}}))["groups"]
    assert maps[0].parts[0].colour == modules._colour("other")
