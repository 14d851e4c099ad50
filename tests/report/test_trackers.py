"""Trackers get what they can read. Their rules here are written from what they publish."""

import json
import re
from dataclasses import replace

import pytest
from jsonschema import Draft7Validator

from ondevice_bench import metrics
from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.report.trackers import FORMATS
from tests.record.conftest import make_record, make_run
from tests.report import synthetic

# Bencher: benchmarks by name, measures by slug or name, and up to three numbers of each
BENCHER = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"minLength": 1, "maxLength": 1024},
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 64},
        "additionalProperties": {
            "type": "object",
            "properties": {
                key: {"type": "number"} for key in ("value", "lower_value", "upper_value")
            },
            "required": ["value"],
            "additionalProperties": False,
        },
    },
}
# the action: a list of results, of which `range` and `extra` may be missing
ACTION = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "value": {"type": "number"},
            **{key: {"type": "string"} for key in ("name", "unit", "range", "extra")},
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}
READERS = {"bmf": BENCHER, "github-action-benchmark": ACTION}


@pytest.fixture
def whole(summary_of):
    cells = synthetic.cells()
    return summary_of(synthetic.records(cells), synthetic.planned(cells), synthetic.run_of())


def exported(form, summary):
    content = json.loads(json.dumps(FORMATS[form](summary).content, allow_nan=False))
    assert list(Draft7Validator(READERS[form]).iter_errors(content)) == []
    return content


def test_bencher_gets_the_value_and_the_ends_of_its_interval(whole):
    cell = exported("bmf", whole)["mcunet/vanilla/all/b8/s0"]
    assert cell["step-seconds-whole-network"] == pytest.approx(
        {"value": 0.1, "lower_value": 0.099, "upper_value": 0.101}, abs=1e-5
    )
    assert cell["peak-rss-over-runtime-bytes-process"]["value"] == 80 * 2**20
    exact = dict.fromkeys(("value", "lower_value", "upper_value"), 40 * 2**20)
    assert cell["activation-bytes-whole-network"] == exact
    for one in exported("bmf", whole).values():
        for each in one.values():
            assert each.get("lower_value", each["value"]) <= each["value"]
            assert each.get("upper_value", each["value"]) >= each["value"]


def test_the_action_gets_names_units_and_a_range_that_it_can_read(whole):
    content = exported("github-action-benchmark", whole)
    assert len({entry["name"] for entry in content}) == len(content)
    (step,) = [
        e for e in content if e["name"] == "mcunet/vanilla/all/b8/s0: step_seconds (whole network)"
    ]
    assert (step["unit"], step["value"]) == ("s", pytest.approx(0.1))
    # the action takes a sign, perhaps spaces, and at least two characters that JavaScript calls a number
    found = re.search(r"(\+-|±)\s*(\d.+)", step["range"])
    assert float(found[2]) == pytest.approx(0.001, abs=1e-5)
    ends = re.match(r"from (\S+) to (\S+): ", step["extra"]).groups()
    assert [float(end) for end in ends] == pytest.approx([0.099, 0.101], abs=1e-5)
    (peak,) = [
        e
        for e in content
        if e["name"] == "mcunet/vanilla/all/b8/s0: peak_rss_over_runtime_bytes (process)"
    ]
    assert (peak["unit"], peak["value"]) == ("bytes", 80 * 2**20)


def test_what_is_better_when_bigger_is_not_sent_as_its_opposite(whole):
    found = FORMATS["github-action-benchmark"](whole)
    assert "gradient_cosine_first" in found.left_out
    assert not any("gradient_cosine" in entry["name"] for entry in found.content)


@pytest.mark.parametrize("form", FORMATS)
def test_only_measured_cells_are_sent(whole, form):
    first, *others = whole.cells
    failed = replace(whole, cells=(replace(first, status="oom"), *others))
    found = FORMATS[form](failed)
    assert found.cells == len(others)
    assert first.id not in json.dumps(found.content)


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_without_results_is_said_so(summary_of, form):
    cells = synthetic.cells()
    empty = summary_of([], synthetic.planned(cells), make_run())
    with pytest.raises(NothingRan, match="no cell was measured"):
        FORMATS[form](empty)


def test_a_name_that_bencher_would_refuse_is_refused(whole):
    long = replace(whole, cells=(replace(whole.cells[0], id="x" * 1025),))
    with pytest.raises(
        BadInput, match=r"1,025 characters, but Bencher takes 1,024: give the mix a `label`"
    ):
        FORMATS["bmf"](long)


def test_the_names_of_all_metrics_fit_and_differ(whole):
    cell = whole.cells[0]
    (any_estimate, *_) = cell.estimates.values()
    every = replace(cell, estimates={metric.name: any_estimate for metric in metrics.ALL})
    (measures,) = exported("bmf", replace(whole, cells=(every,))).values()
    assert len(measures) == len(metrics.ALL)


def test_a_metric_of_a_newer_version_is_left_out(whole):
    cell = whole.cells[0]
    newer = replace(
        cell, estimates={**cell.estimates, "step_wishes": cell.estimates["step_seconds"]}
    )
    assert "wishes" not in json.dumps(exported("bmf", replace(whole, cells=(newer,))))


def test_a_cell_of_which_a_pass_was_skipped_is_sent(summary_of):
    """Its other numbers are as good as those of any cell."""
    (cell, *_) = synthetic.cells()
    skipped = make_record(cell=cell, pass_name="learning", status="skipped", reason="no data")
    records = [*synthetic.records([cell]), skipped]
    summary = summary_of(records, synthetic.planned([cell]), synthetic.run_of())
    assert summary.cells[0].status == "skipped"
    assert FORMATS["bmf"](summary).cells == 1
