from dataclasses import replace

import pytest

from ondevice_bench.analyse.frame import FRAME_COLUMNS, SAMPLE_COLUMNS, frame_of, samples_of
from ondevice_bench.analyse.summarise import cell_estimates
from ondevice_bench.measure.clock import SPOILT
from ondevice_bench.record.store import Store
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned
from tests.report import synthetic

TRACE = {"pass_name": "trace", "metrics": {"activation_bytes": 100.0}}


def timed(number, *samples, **what):
    middle = sorted(samples)[len(samples) // 2]
    return make_record(
        number=number,
        metrics={"step_seconds": middle},
        samples={"step_seconds": list(samples)},
        **what,
    )


def test_a_cell_is_ok_when_every_pass_is(summary_of):
    (cell,) = summary_of([make_record(**TRACE), timed(1, 1.0, 2.0, 3.0)]).cells
    assert (cell.status, cell.problems, cell.notes) == ("ok", (), ())
    assert cell.estimates["activation_bytes"].basis == "exact"
    assert cell.estimates["step_seconds"].estimate == 2.0


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([], "unfinished"),
        ([make_record(**TRACE)], "unfinished"),
        ([make_record(**TRACE), make_record(status="failed", reason="x")], "failed"),
        ([make_record(pass_name="trace", status="oom", reason="x"), timed(1, 1.0)], "oom"),
        ([make_record(status="timeout", reason="x")], "timeout"),
    ],
)
def test_a_cell_is_as_good_as_its_worst_pass(summary_of, records, status):
    assert summary_of(records).cells[0].status == status


def test_raw_samples_make_the_estimate_and_rounds_its_interval(summary_of):
    one = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
    two = [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6]
    (cell,) = summary_of([timed(1, *one), timed(2, *two)]).cells
    found = cell.estimates["step_seconds"]
    assert found.estimate == pytest.approx((1.3 + 2.3) / 2)
    assert found.lower < 1.3
    assert found.upper > 2.3
    assert cell.samples["step_seconds"] == (tuple(one), tuple(two))


def test_an_exact_metric_that_differs_between_rounds_is_not_called_exact(summary_of):
    records = [
        make_record(pass_name="trace", number=number, metrics={"activation_bytes": value})
        for number, value in ((1, 100.0), (2, 101.0))
    ]
    found = summary_of(records).cells[0].estimates["activation_bytes"]
    assert found.basis != "exact"
    assert (found.lower, found.upper) == (100.0, 101.0)


def test_values_of_forked_and_spawned_processes_are_never_combined(summary_of):
    (cell,) = summary_of([timed(1, 1.0), timed(2, 1.0, launch="spawned")]).cells
    assert "step_seconds" not in cell.estimates
    assert cell.unavailable["step_seconds"] == (
        "some processes were forked and others spawned, so their values are not combined"
    )


def test_under_emulation_exact_figures_count_and_no_others(summary_of):
    run = make_run(settings={**make_run().settings, "emulated": True})
    (cell,) = summary_of([make_record(**TRACE), timed(1, 1.0)], run=run).cells
    assert set(cell.estimates) == {"activation_bytes"}
    assert cell.unavailable["step_seconds"].startswith("measured under emulation")
    assert cell.status == "ok"


def test_skipped_and_pending_cells_are_there_with_their_reasons(summary_of):
    cells = [
        *planned(CELL),
        PlannedCell(SECOND, "x86", "skipped", "does not apply"),
        PlannedCell(CELL, "pi5", "pending", "pending on pi5"),
    ]
    summary = summary_of([make_record(**TRACE), timed(1, 1.0)], cells)
    assert summary.statuses == {"ok": 1, "skipped": 1, "pending": 1}
    assert summary.cells[1].problems == ("does not apply",)
    assert summary.cells[2].estimates == {}  # another board's figures are not this one's
    assert summary.cells[2].id == f"{CELL.id} on pi5"


def test_swap_and_notes_are_said(summary_of):
    swapped = make_record(
        pass_name="trace", details={"swap_bytes": 4096, "notes": ["the loss was not finite"]}
    )
    (cell,) = summary_of([swapped]).cells
    assert "the loss was not finite" in cell.notes[0]
    assert "swap" in cell.notes[1]


def test_a_cell_is_unfinished_while_rounds_are_to_come(summary_of):
    run = make_run(settings={**make_run().settings, "rounds": 3})
    (cell,) = summary_of([make_record(**TRACE), timed(1, 1.0)], run=run).cells
    assert cell.status == "unfinished"
    assert cell.problems == ("2 of 4 measurements are still to come",)


@pytest.mark.parametrize(
    ("details", "says"),
    [
        ({"foreign_cpu_share": 0.62}, "other programs or a quota took 62% of a core"),
        ({"foreign_cpu_share": 0.02}, None),
        ({"foreign_cpu_share": None}, None),
        (
            {"precision": {"asked": 0.02, "reached": 0.05, "ended_by": "max_samples"}},
            "the median is known to ±5.0% only (the suite asks for ±2.0%), because max_samples",
        ),
        ({"precision": {"asked": 0.02, "reached": 0.02, "ended_by": "precision"}}, None),
        (
            {"precision": {"asked": 0.02, "reached": None, "ended_by": "max_seconds"}},
            "too few samples for an interval",
        ),
    ],
)
def test_what_disturbed_a_measurement_is_said(summary_of, details, says):
    (cell,) = summary_of([timed(1, 1.0, details=details)]).cells
    assert [says in note for note in cell.notes] == ([True] if says else [])


def test_disturbed_rounds_share_a_line(summary_of):
    records = [
        timed(n, 1.0, details={"foreign_cpu_share": share})
        for n, share in enumerate((0.4, 0.0, 0.9), 1)
    ]
    run = make_run(settings={**make_run().settings, "rounds": 3})
    (cell,) = summary_of(records, run=run).cells
    (note,) = cell.notes
    assert note.startswith(
        "time, 2 of 3 rounds: disturbed: other programs or a quota took up to 90% of a core "
    )
    assert dict(cell.disturbed) == {"time": 2}


@pytest.mark.parametrize("share", [0.9, 0.02])
def test_a_disturbance_without_time_to_measure_again_is_said_once(summary_of, share):
    details = {"foreign_cpu_share": share, "notes": [SPOILT, f"inference: {SPOILT}"]}
    (cell,) = summary_of([timed(1, 1.0, details=details)]).cells
    of_inference, *of_steps = sorted(cell.notes, key=lambda note: "inference" not in note)
    assert of_inference == f"time: inference: {SPOILT}"
    (note,) = of_steps
    assert note.endswith("raise `max_seconds`, and run again")
    assert ("took 90% of a core" in note) == (share > 0.1)


def test_imprecise_rounds_share_a_line(summary_of):
    found = [
        {"asked": 0.02, "reached": reached, "ended_by": by}
        for reached, by in ((0.05, "max_seconds"), (0.3, "max_samples"), (0.01, "precision"))
    ]
    records = [timed(n, 1.0, details={"precision": each}) for n, each in enumerate(found, start=1)]
    run = make_run(settings={**make_run().settings, "rounds": 3})
    (cell,) = summary_of(records, run=run).cells
    (note,) = cell.notes
    assert note == (
        "time, 2 of 3 rounds: imprecise: the median of the worst round is known to ±30.0% only (the "
        "suite asks for ±2.0%), because max_seconds and max_samples ended the samples. So the interval of these times is wide. Raise `max_seconds` and `max_samples` in the "
        "suite, below `time`, or use a quieter machine"
    )
    assert cell.is_imprecise


def test_a_single_round_has_no_number(summary_of):
    details = {"precision": {"asked": 0.02, "reached": 0.05, "ended_by": "max_seconds"}}
    (cell,) = summary_of([timed(1, 1.0, details=details)]).cells
    (note,) = cell.notes
    assert note.startswith("time: imprecise: the median is known to ±5.0% only (the suite asks ")


def test_every_missing_metric_has_the_reason_of_its_own_pass(summary_of):
    records = [make_record(pass_name="trace", status="timeout", reason="slow")]
    missing = summary_of(records).cells[0].unavailable
    assert missing["activation_bytes"] == "trace, round 1: timeout: slow"
    assert missing["step_seconds"] == "the time pass has not run yet"
    assert missing["peak_rss_bytes"] == "the pass `memory` was not run (add `measure: +memory`)"
    unreadable = make_record(pass_name="memory", unavailable={"peak_rss_bytes": "no such file"})
    run = make_run(settings={**make_run().settings, "measure": ["memory"]})
    assert summary_of([unreadable], run=run).cells[0].unavailable["peak_rss_bytes"] == (
        "no such file"
    )


def test_a_record_of_an_older_version_lacks_what_it_did_not_know(summary_of):
    missing = summary_of([make_record(**TRACE)]).cells[0].unavailable
    assert missing["step_flops"] == (
        "the trace pass of bench 0, which made this run, did not measure it"
    )


def test_stored_samples_of_a_metric_need_no_value_beside_them(summary_of):
    record = make_record(
        metrics={"step_seconds": 2.0},
        samples={"step_seconds": [2.0], "update_seconds": [1.0, 2.0, 4.0], "own_cpu_seconds": [1]},
    )
    (cell,) = summary_of([make_record(**TRACE), record]).cells
    assert cell.estimates["update_seconds"].estimate == 2.0
    assert cell.samples["update_seconds"] == ((1.0, 2.0, 4.0),)
    assert "update_seconds" not in cell.unavailable
    assert "own_cpu_seconds" not in cell.estimates  # a column beside the metrics


def test_a_metric_without_samples_has_its_value(summary_of):
    record = make_record(metrics={"step_seconds": 2.0}, samples={"step_seconds": []})
    (cell,) = summary_of([record]).cells
    assert cell.estimates["step_seconds"].estimate == 2.0


def test_a_record_of_a_newer_version_is_shown_as_far_as_it_is_known(summary_of):
    metrics = {"activation_bytes": 100.0, "of_tomorrow": 1.0}
    summary = summary_of([make_record(pass_name="trace", metrics=metrics)])
    (cell,) = summary.to_dict()["cells"]
    assert cell["metrics"]["of_tomorrow"]["scope"] == "unknown"
    assert list(frame_of([summary])["metric"]) == ["activation_bytes"]


def test_a_frame_has_a_row_for_each_estimate(summary_of):
    frame = frame_of([summary_of([make_record(**TRACE), timed(1, 1.0, 2.0, 3.0)])])
    assert tuple(frame.columns) == FRAME_COLUMNS
    assert list(frame["metric"]) == ["activation_bytes", "step_seconds"]
    assert list(frame["unit"]) == ["bytes", "seconds"]
    assert frame["lower"].isna().tolist() == [False, True]


def test_a_frame_says_what_a_cell_is_and_when_it_was_measured(summary_of):
    cell = replace(
        CELL,
        id="vit_b_32(depth=2)/asi(epsilon=0.8)+microbatch/all/b8/s0",
        method="asi+microbatch",
        method_options=(("epsilon", 0.8),),
        model_options=(("depth", 2),),
        data="digits",
        weights="pretrained",
        dtype="bfloat16",
    )
    record = make_record(cell=cell, metrics={"step_seconds": 2.0})
    (row,) = frame_of([summary_of([record], planned(cell))]).to_dict("records")
    assert (row["options"], row["model_options"]) == ("epsilon=0.8", "depth=2")
    assert (row["data"], row["weights"], row["dtype"]) == ("digits", "pretrained", "bfloat16")
    assert (row["threads"], row["label"]) == (2, "asi+microbatch ε=0.8")
    assert row["created"].isoformat() == "2026-01-01T00:00:00+00:00"


def test_a_frame_has_the_ratio_to_the_baseline_of_the_run(summary_of):
    asi = replace(CELL, id="mcunet/asi(rank=2)/all/b8/s0", method="asi")
    records = [
        make_record(metrics={"step_seconds": 2.0}),
        make_record(cell=asi, metrics={"step_seconds": 3.0}),
        make_record(cell=SECOND, metrics={"step_seconds": 1.0}),
    ]
    frame = frame_of([summary_of(records, planned(CELL, asi, SECOND))])
    assert frame["ratio"].tolist() == [1.0, 1.5, 1.0]
    alone = frame_of([summary_of(records[1:2], planned(asi))])
    assert alone["ratio"].isna().all()


def test_each_sample_has_a_row_on_request(summary_of):
    records = [timed(1, 1.0, 2.0), timed(2, 3.0)]
    frame = samples_of([summary_of(records)])
    assert tuple(frame.columns) == SAMPLE_COLUMNS
    steps = frame[frame["metric"] == "step_seconds"]
    assert steps[["process", "sample", "value"]].values.tolist() == [
        [1, 1, 1.0],
        [1, 2, 2.0],
        [2, 1, 3.0],
    ]


def test_a_frame_of_no_runs_has_all_columns():
    assert tuple(frame_of([]).columns) == FRAME_COLUMNS
    assert tuple(samples_of([]).columns) == SAMPLE_COLUMNS


def test_json_has_no_raw_samples_but_everything_else(summary_of):
    values = summary_of([make_record(**TRACE)]).to_dict()
    (cell,) = values["cells"]
    assert cell["metrics"]["activation_bytes"]["estimate"] == 100.0
    assert cell["fingerprint"] == CELL.fingerprint
    assert "samples" not in cell
    assert cell["metrics"]["activation_bytes"]["scope"] == "whole network"


def test_a_note_of_several_processes_is_one_line(summary_of):
    noted = {"details": {"notes": ["beware"]}}
    records = [timed(1, 1.0, **noted), timed(2, 1.0, **noted), make_record(**TRACE)]
    assert summary_of(records).cells[0].notes == ("time, 2 of 2 rounds: beware",)
    both = [timed(1, 1.0, **noted), make_record(**TRACE, **noted)]
    assert summary_of(both).cells[0].notes == ("time and trace: beware",)
    assert summary_of(both[:1]).cells[0].notes == ("time: beware",)


def test_the_estimates_of_some_metrics_are_those_of_the_whole_summary(summary_of, tmp_path):
    cells = synthetic.cells(seeds=(0, 1, 2))  # more than are read at once
    plan = [*synthetic.planned(cells), PlannedCell(SECOND, "pi5", "pending", "on pi5")]
    whole = summary_of(synthetic.records(cells), plan, synthetic.run_of())
    with Store.open(tmp_path / "r1.sqlite") as store:
        every = list(cell_estimates(store, whole.run))
        some = list(cell_estimates(store, whole.run, {"step_seconds"}, ["trace"]))
    for cell, found, one in zip(whole.cells, every, some, strict=True):
        assert (found.id, found.status) == (one.id, one.status) == (cell.id, cell.status)
        assert (found.estimates, found.samples) == (cell.estimates, cell.samples)
        step = {name: e for name, e in cell.estimates.items() if name == "step_seconds"}
        assert one.estimates == step
        assert one.details_of("trace") == cell.details_of("trace")
        assert not one.details_of("memory").curve.seconds


def test_the_first_problem_is_the_one_that_the_status_is_of(summary_of):
    records = [
        make_record(pass_name="memory", status="skipped", reason="no meter"),
        make_record(status="oom", reason="too large"),
    ]
    (cell,) = summary_of(records).cells
    assert (cell.status, cell.problems[0]) == ("oom", "time, round 1: too large")
    assert cell.problems[1] == "memory, round 1: no meter"
