"""What bars and points of a figure show beside their numbers."""

from dataclasses import replace

import pytest

from ondevice_bench.analyse.groups import groups
from ondevice_bench.report.sections import anatomy, times
from tests.report import synthetic

MIB = 2**20


@pytest.fixture
def group_of(summary_of):
    def make(change=lambda record: record):
        cells = synthetic.cells()
        records = [change(each) for each in synthetic.records(cells)]
        (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
        return group

    return make


def traces(canvas):
    return {trace.get("name", "totals"): trace for trace in canvas.plain()["data"]}


def test_a_peak_of_several_processes_has_its_interval_and_the_total_stands_behind_it(group_of):
    found = traces(anatomy.by_kernel(group_of()))
    line, words = found["interval of the peak memory"], found["totals"]
    peak = 30.0  # of checkpoint, which is second; synthetic rounds differ by 0.4 %
    assert line["y"][3:6] == ["checkpoint"] * 3
    assert line["x"][3:6] == [pytest.approx(peak * 0.996), pytest.approx(peak * 1.004), None]
    assert words["x"][1] == line["x"][4]
    assert words["text"][1] == " 30.00 MiB (0.375×)"


def test_a_peak_of_one_process_has_no_interval(summary_of):
    cells = synthetic.cells()
    records = [each for each in synthetic.records(cells) if each.key.round == 1]
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    assert "interval of the peak memory" not in traces(anatomy.by_kernel(group))


def test_layers_are_the_other_layers_only_beside_changed_ones(group_of):
    def changed(record):
        kept = record.metrics.get("activation_other_layers_bytes")
        if kept is None or "asi" not in record.key.cell:
            return record
        more = {"activation_treated_layers_bytes": kept, "activation_other_layers_bytes": 0.0}
        return replace(record, metrics={**record.metrics, **more})

    assert "stored: linear/conv layers" in traces(anatomy.by_tensors(group_of()))
    found = traces(anatomy.by_tensors(group_of(changed)))
    assert {"stored: changed layers", "stored: other linear/conv layers"} <= set(found)


def test_a_median_that_is_too_noisy_is_a_ring_with_an_entry_of_the_legend(group_of):
    noisy = "median that is too noisy to use"
    assert noisy not in traces(times.samples(group_of()))

    def far(record):
        if record.key.pass_name != "time" or "checkpoint" not in record.key.cell:
            return record
        pace = 10.0**record.key.round
        return replace(record, samples={"step_seconds": [pace] * 9})

    found = traces(times.samples(group_of(far)))
    assert (found[noisy]["y"], found[noisy]["marker"]["symbol"]) == (["checkpoint"], "circle-open")
    assert "checkpoint" not in found["median, with its interval"]["y"]
