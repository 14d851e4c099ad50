import json
from dataclasses import asdict, replace

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.record import baseline
from ondevice_bench.record.acceptance import Acceptance
from tests.record.bundles import content
from tests.record.conftest import CELL


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "baselines/main.json"
    baseline.write(content(), path)
    return path


def test_it_keeps_figures_and_leaves_samples_and_states(saved):
    whole, small = content(), baseline.read(saved)
    assert small.run == replace(whole.run, settings={**whole.run.settings, "doctor": []})
    assert {item.cell.id: item for item in small.cells} == {i.cell.id: i for i in whole.cells}
    kept = {record.key: record for record in small.records}
    assert {k: r.metrics for k, r in kept.items()} == {r.key: r.metrics for r in whole.records}
    timed = kept[whole.records[0].key]
    assert timed.samples == {"step_seconds": [(0.1 + 1 / 3) / 2]}  # the median of two
    assert not timed.state_before
    assert not timed.details


def test_it_keeps_the_board_of_each_process_of_a_fleet(tmp_path):
    """Without it, numbers of other boards would be compared with those of the baseline."""
    whole = content()
    records = [replace(each, details={**each.details, "unit": "a1b2"}) for each in whole.records]
    path = tmp_path / "fleet.json"
    baseline.write(replace(whole, records=records), path)
    assert {record.details["unit"] for record in baseline.read(path).records} == {"a1b2"}


def test_equal_runs_give_equal_bytes(saved):
    first = saved.read_bytes()
    baseline.write(content(), saved)
    assert saved.read_bytes() == first


LINE = {
    "cell": CELL.id,
    "metric": "step_seconds",
    "values": [1.0],
    "by": "Ada",
    "because": "a second head",
}


def metric(values):
    """The first metric of the last cell."""
    return values["cells"][-1]["metrics"]["time/step_seconds"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.update(format="x"), "JSON of something else"),
        (lambda v: v.update(version=3), "written by a newer bench (baseline version 3"),
        (lambda v: v.update(version="1"), "written by a newer bench (baseline version '1'"),
        (lambda v: v.pop("run"), "run: Field required"),
        (lambda v: v["run"].update(id="../x"), "run.id: String should match"),
        (lambda v: v["cells"][-1]["processes"][0].update(seconds=-1), "processes.0.seconds"),
        (lambda v: v["cells"][0]["planned"].update(state=1), "cells.0.state: Input should be"),
        (lambda v: metric(v).update(values=["x"]), "values.0: Input should be a valid number"),
        (lambda v: metric(v)["values"].append(1.0), "has 2 values, but the pass time has one proc"),
        (lambda v: v["cells"][0]["definition"].pop("id"), "cells.0.definition.id: Field required"),
        (lambda v: v.update(accepted=[LINE | {"cell": "x"}]), "has no cell 'x'"),
        (lambda v: v.update(accepted=[LINE | {"metric": "x"}]), "has no metric 'x'"),
        (lambda v: v.update(accepted=[LINE | {"because": ""}]), "because: String should have"),
        (lambda v: v.update(accepted=[LINE | {"values": []}]), "values: List should have"),
        (lambda v: v.update(accepted=[LINE, LINE]), "is accepted twice: keep one of the lines"),
    ],
)
def test_what_is_no_baseline_is_refused(saved, change, says):
    values = json.loads(saved.read_text())
    change(values)
    saved.write_text(json.dumps(values))
    with pytest.raises(BadInput) as caught:
        baseline.read(saved)
    assert says in str(caught.value)


def test_a_line_for_each_metric_and_a_stable_order(saved):
    lines = saved.read_text().splitlines()
    for record in content().records:
        for name in record.metrics:
            assert sum(f'"{record.key.pass_name}/{name}": ' in line for line in lines) == 1
    shuffled = content()
    shuffled = replace(shuffled, records=shuffled.records[::-1], cells=shuffled.cells[::-1])
    baseline.write(shuffled, saved)
    assert saved.read_text().splitlines() == lines


def test_a_file_without_the_list_of_accepted_changes_is_read(saved):
    values = json.loads(saved.read_text())
    del values["accepted"]
    saved.write_text(json.dumps(values))
    assert baseline.read(saved).accepted == ()


def test_what_was_accepted_is_a_line_of_the_file(saved):
    acceptance = Acceptance(CELL.id, "step_seconds", (0.5, 0.6), "Ada", "a second head")
    baseline.write(baseline.read(saved).accepting(acceptance), saved)
    (line,) = [line for line in saved.read_text().splitlines() if "Ada" in line]
    assert json.loads(line) == {**asdict(acceptance), "values": [0.5, 0.6]}
    assert baseline.read(saved).accepted == (acceptance,)
    later = replace(acceptance, values=(0.7,))
    assert baseline.read(saved).accepting(later).accepted == (later,)


def test_a_file_of_version_1_still_opens(saved):
    whole = content()
    old = {"format": baseline.FORMAT, "version": 1, **whole.to_dict()}
    saved.write_text(json.dumps(old))
    assert baseline.read(saved) == whole


def test_a_wrong_comma_is_named_with_its_line(saved):
    lines = saved.read_text().splitlines()
    lines[5] += ","
    saved.write_text("\n".join(lines))
    with pytest.raises(BadInput, match=r"main\.json:6: not JSON, so not a baseline: "):
        baseline.read(saved)


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "[" * 100_000])
def test_other_files_are_refused(saved, text):
    saved.write_text(text)
    with pytest.raises(BadInput):
        baseline.read(saved)
