import json
from dataclasses import replace

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.record import baseline
from tests.record.test_bundle import content


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "baselines/main.json"
    baseline.write(content(), path)
    return path


def test_it_keeps_figures_and_leaves_samples_and_states(saved):
    whole, small = content(), baseline.read(saved)
    assert small.run == replace(whole.run, settings={**whole.run.settings, "doctor": []})
    assert small.cells == whole.cells
    assert [record.metrics for record in small.records] == [r.metrics for r in whole.records]
    timed = small.records[0]
    assert timed.samples == {"step_seconds": [(0.1 + 1 / 3) / 2]}  # the median of two
    assert not timed.state_before
    assert not timed.details


def test_equal_runs_give_equal_bytes(saved):
    first = saved.read_bytes()
    baseline.write(content(), saved)
    assert saved.read_bytes() == first


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.update(format="x"), "JSON of something else"),
        (lambda v: v.update(version=2), "written by a newer bench (baseline version 2"),
        (lambda v: v.update(version="1"), "written by a newer bench (baseline version '1'"),
        (lambda v: v.pop("run"), "run: Field required"),
        (lambda v: v["run"].update(id="../x"), "run.id: String should match"),
        (lambda v: v["records"][0].update(seconds=-1), "records.0.seconds"),
    ],
)
def test_what_is_no_baseline_is_refused(saved, change, says):
    values = json.loads(saved.read_text())
    change(values)
    saved.write_text(json.dumps(values))
    with pytest.raises(BadInput) as caught:
        baseline.read(saved)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "[" * 100_000])
def test_other_files_are_refused(saved, text):
    saved.write_text(text)
    with pytest.raises(BadInput):
        baseline.read(saved)
