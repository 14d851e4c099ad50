"""Two sides that answer by hand: what counts as a change, and when a comparison ends."""

import itertools
import random
from dataclasses import replace

import pytest

from ondevice_bench.ab.comparison import RefComparison, next_pairs
from ondevice_bench.analyse.cell_pair import CellPair, MissingMetric
from ondevice_bench.record.model import TaskKey
from ondevice_bench.report.terminal.ab import ab_notes
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.measurer import PreparedTask
from ondevice_bench.running.progress import Silent
from ondevice_bench.suite.join import join
from tests.record.conftest import CELL, SECOND, make_record, make_run

NAMES = {CELL.id: (CELL.id, CELL.id), SECOND.id: (SECOND.id, SECOND.id)}


class Side:
    """A session whose steps are drawn: `times` what they would be, or a status of their own."""

    def __init__(self, seed=0, times=1.0, activations=100.0, statuses=None, noise=0.01):
        self.draw = random.Random(seed)
        self.times, self.activations, self.noise = times, activations, noise
        self.statuses = statuses or {}
        self.tasks = []
        self.run = make_run()
        self.host = FakeHost()

    def cell(self, name):
        return {CELL.id: CELL, SECOND.id: SECOND}[name]

    def perform(self, task: TaskKey, tick):
        self.tasks.append(task)
        status = self.statuses.get((task.cell, task.pass_name), "ok")
        cell = self.cell(task.cell)
        if status != "ok":
            return make_record(
                cell=cell, pass_name=task.pass_name, number=task.round, status=status, reason="no"
            )
        metrics = {"activation_bytes": self.activations, "step_flops": 5.0}
        return make_record(cell=cell, pass_name=task.pass_name, number=task.round, metrics=metrics)

    def prepare(self, task: TaskKey, turns):
        return PreparedTask(task, "", {"first": turns.is_first}, lambda tick: self)

    def store_result(self, prepared, outcome):
        assert outcome is self
        task, status = prepared.task, self.statuses.get((prepared.task.cell, "time"), "ok")
        step = self.times * self.draw.lognormvariate(0, self.noise)
        return make_record(
            cell=self.cell(task.cell),
            number=task.round,
            status=status,
            reason="" if status == "ok" else "no",
            samples={"step_seconds": [step, step, step]} if status == "ok" else {},
        )


@pytest.fixture
def clock(monkeypatch):
    """Time passes by a second with every look at it."""
    seconds = itertools.count()
    monkeypatch.setattr("ondevice_bench.ab.comparison.time.monotonic", lambda: float(next(seconds)))


def compared(base, new, seconds=1000, names=NAMES):
    comparison = RefComparison(base, new, names, 0.02, Silent())
    comparison.run(seconds)
    return comparison


def test_equal_sides_are_unchanged_and_end_before_the_budget(clock):
    comparison = compared(Side(1), Side(2))
    assert [pair.verdicts for pair in comparison.pairs] == [{"unchanged"}] * 2
    assert all(pair.differences == [] for pair in comparison.pairs)


@pytest.mark.parametrize(("times", "verdict"), [(1.05, "regressed"), (0.95, "improved")])
def test_a_true_change_is_found(clock, times, verdict):
    assert [p.step_verdict for p in compared(Side(1), Side(2, times)).pairs] == [verdict] * 2


def test_an_exact_metric_differs_by_any_amount(clock):
    comparison = compared(Side(1), Side(2, activations=101.0))
    for pair in comparison.pairs:
        ((metric, verdict),) = [(found.metric, found.verdict) for found in pair.differences]
        assert (metric, verdict) == ("activation_bytes", "regressed")
        assert pair.verdicts == {"unchanged", "regressed"}


def test_an_exact_metric_that_only_the_base_has_is_missing_and_not_equal(clock):
    class Without(Side):
        def perform(self, task, tick):
            record = super().perform(task, tick)
            reason = {"activation_bytes": "no hook"}
            return replace(record, metrics={"step_flops": 5.0}, unavailable=reason)

    for pair in compared(Side(1), Without(2)).pairs:
        assert pair.missing == [MissingMetric("activation_bytes", 100.0, "no hook")]
        assert pair.verdicts == {"unchanged", "missing"}
    assert all(pair.missing == [] for pair in compared(Without(1), Side(2)).pairs)


def test_what_the_calibration_costs_is_compared_too(clock):
    asi = replace(CELL, method="asi", method_options=(("epsilon", 0.8),))

    class Calibrated(Side):
        def cell(self, name):
            return asi

        def perform(self, task, tick):
            record = super().perform(task, tick)
            flops = {"calibration_flops": self.flops}
            return record if task.pass_name == "trace" else replace(record, metrics=flops)

    base, new = Calibrated(1), Calibrated(2)
    base.flops, new.flops = 1.0, 2.0
    (pair,) = compared(base, new, names={CELL.id: (CELL.id, CELL.id)}).pairs
    assert [each.metric for each in pair.differences] == ["calibration_flops"]
    assert set(pair.equal) == {"activation_bytes", "step_flops"}


def test_times_of_forked_and_of_spawned_processes_are_not_compared(clock):
    class Spawned(Side):
        def store_result(self, prepared, outcome):
            return replace(super().store_result(prepared, outcome), launch="spawned")

    (pair,) = compared(Side(1), Spawned(2), names={CELL.id: (CELL.id, CELL.id)}).pairs
    assert (pair.step_verdict, pair.base) == ("failed", [])
    assert pair.problem == "time: failed: forked in the base, spawned on the new side"


def test_what_kernels_decide_is_left_out_if_the_sides_have_another_torch(clock):
    class OfKernels(Side):
        def perform(self, task, tick):
            record = super().perform(task, tick)
            return replace(record, metrics={**record.metrics, "forward_live_peak_bytes": self.live})

    base, same, other = (OfKernels(seed) for seed in range(3))
    base.live, same.live, other.live = 1.0, 2.0, 2.0
    other.run = make_run(software={**make_run().software, "torch": "2.99"})
    for pair in compared(base, same).pairs:
        assert [each.metric for each in pair.differences] == ["forward_live_peak_bytes"]
        assert pair.of_other_kernels == ()
    pairs = compared(base, other).pairs
    for pair in pairs:
        assert (pair.differences, pair.missing) == ([], [])
        assert set(pair.equal) == {"activation_bytes", "step_flops"}
        assert pair.of_other_kernels == ("forward_live_peak_bytes",)
    (note,) = [line for line in ab_notes(pairs, join([], []), 0.02) if "torch" in line]
    assert note.startswith("not compared: forward_live_peak_bytes: torch, ")


def test_a_budget_that_is_spent_leaves_it_open(clock):
    comparison = compared(Side(1, noise=0.2), Side(2, noise=0.2), seconds=30)
    assert {pair.step_verdict for pair in comparison.pairs} == {"inconclusive"}
    assert all(pair.to_dict()["lower"] is None or pair.step.lower < 1 for pair in comparison.pairs)


def test_a_cell_that_fails_is_out_and_the_others_go_on(clock):
    broken = Side(2, statuses={(CELL.id, "trace"): "failed"})
    first, second = compared(Side(1), broken).pairs
    assert (first.step_verdict, first.problem) == ("failed", "trace: failed: no")
    assert second.step_verdict == "unchanged"
    late = Side(2, statuses={(SECOND.id, "time"): "timeout"})
    assert compared(Side(1), late).pairs[1].problem == "time: timeout: no"


@pytest.mark.parametrize(
    ("base", "new", "verdict", "remark"),
    [
        ("skipped", "skipped", "skipped", "both sides skip it: no"),
        ("skipped", "ok", "skipped", "the base skips it: no"),
        ("ok", "skipped", "missing", "the new side skips it: no"),
        ("failed", "skipped", "failed", "trace: failed: no"),
    ],
)
def test_a_cell_that_a_side_skips_is_not_compared(clock, base, new, verdict, remark):
    sides = [Side(seed, statuses={(CELL.id, "trace"): status})
             for seed, status in ((1, base), (2, new))]  # fmt: skip
    first, second = compared(*sides).pairs
    assert (first.step_verdict, first.remark) == (verdict, remark)
    assert first.base == first.differences == []
    assert second.step_verdict == "unchanged"


def test_ranks_are_chosen_before_anything_that_needs_them(clock, monkeypatch):
    asi = replace(CELL, method="asi", method_options=(("epsilon", 0.8),))
    side = Side(1)
    monkeypatch.setattr(side, "cell", lambda name: asi)
    side.statuses = {(CELL.id, "calibrate"): "failed"}
    (pair,) = compared(side, side, names={CELL.id: (CELL.id, CELL.id)}).pairs
    assert side.tasks[0].pass_name == "calibrate"
    assert pair.problem == "calibrate: failed: no"


def test_sides_take_turns_in_going_first(clock):
    firsts = []

    class Noted(Side):
        def store_result(self, prepared, outcome):
            firsts.append((prepared.task.round, prepared.before["first"]))
            return super().store_result(prepared, outcome)

    compared(Noted(1), Noted(2), names={CELL.id: (CELL.id, CELL.id)})
    assert firsts[:8] == [
        (1, True), (1, False), (2, False), (2, True), (3, True), (3, False), (4, False), (4, True),
    ]  # fmt: skip


def test_no_two_rounds_of_a_pair_come_from_the_same_process(clock):
    """Workers of one zygote share a pace; a side that was lucky once would stay so."""

    class Noted(Side):
        def store_result(self, prepared, outcome):
            self.tasks.append((prepared.task.cell, self.host.renewals))
            return super().store_result(prepared, outcome)

    sides = Noted(1), Noted(2)
    comparison = compared(*sides)
    for side in sides:
        rounds = [each for each in side.tasks if isinstance(each, tuple)]
        assert len(rounds) == sum(len(pair.base) for pair in comparison.pairs) > 10
        assert len(rounds) == len(set(rounds))


def drawn(name, ratio, rounds):
    pair = CellPair(name, name, name)
    pair.base, pair.new = [1.0] * rounds, [ratio] * rounds
    return pair


@pytest.mark.parametrize(
    ("pairs", "next_two"),
    [
        ({"a": (1.0, 3), "b": (1.5, 2)}, {"a", "b"}),  # everybody has three rounds first
        ({"a": (1.1, 3), "b": (1.2, 9), "c": (0.5, 3), "d": (1.05, 3)}, {"a", "b"}),
        # one that looks slower is alone until it has had its share
        ({"a": (1.03, 59), "b": (1.0, 3), "c": (1.0, 9)}, {"a"}),
        ({"a": (1.03, 60), "b": (1.0, 3), "c": (1.0, 9)}, {"a", "b"}),
        # nobody looks slower: nearest to it and known least, and whoever is much faster
        ({"a": (1.0, 9), "b": (1.01, 9), "c": (0.98, 9), "d": (0.8, 9)}, {"b", "d"}),
        ({"a": (1.0, 3), "b": (1.0, 30), "c": (1.0, 4)}, {"a", "c"}),
    ],
)
def test_rounds_go_to_who_looks_slowest_or_may_yet_turn_out_so(pairs, next_two):
    taken = next_pairs([drawn(name, *what) for name, what in pairs.items()], 0.02)
    assert {pair.name for pair in taken} == next_two


def test_who_looks_changed_goes_first_so_that_many_cells_hide_nothing(clock):
    cells = {f"cell{n}": replace(CELL, id=f"cell{n}") for n in range(20)}

    class Many(Side):
        def cell(self, name):
            return cells[name]

        def store_result(self, prepared, outcome):
            self.times = self.slow if prepared.task.cell == "cell7" else 1.0
            return super().store_result(prepared, outcome)

    base, new = Many(1, noise=0.02), Many(2, noise=0.02)
    base.slow, new.slow = 1.0, 1.1
    pairs = {pair.name: pair for pair in compared(base, new, 250, {n: (n, n) for n in cells}).pairs}
    verdicts = {name: pair.step_verdict for name, pair in pairs.items()}
    assert verdicts.pop("cell7") == "regressed"
    assert set(verdicts.values()) <= {"unchanged", "inconclusive"}
    others = [len(pair.base) for name, pair in pairs.items() if name != "cell7"]
    assert min(others) < len(pairs["cell7"].base)
    assert min(others) >= 3


def test_what_slows_both_for_a_while_does_not_count(clock):
    """Whole seconds of a busy neighbour: both sides' steps of that time are as slow."""
    busy = random.Random(3)

    class Shared(Side):
        def store_result(self, prepared, outcome):
            record = super().store_result(prepared, outcome)
            draw = random.Random(prepared.task.round)
            slow = [draw.choice([1.0, 1.0, 4.0]) for _ in range(7)]
            own = [self.times * busy.lognormvariate(0, 0.01) * each for each in slow]
            return replace(record, samples={"step_seconds": own})

    assert {p.step_verdict for p in compared(Shared(1), Shared(2)).pairs} == {"unchanged"}
    assert {p.step_verdict for p in compared(Shared(1), Shared(2, 1.05)).pairs} == {"regressed"}


def test_equal_sides_are_hardly_ever_called_changed(clock):
    """Looking after every round included: at most one comparison in a hundred may be wrong."""
    claims = 0
    for seed in range(100):
        base, new = (Side(f"{seed}{side}", noise=0.07) for side in "ab")
        comparison = compared(base, new, seconds=150)
        claims += any(p.step_verdict in {"regressed", "improved"} for p in comparison.pairs)
    assert claims <= 1
