"""Two sides that answer by hand: what is called a change, and when a duel is over."""

import itertools
import random
from dataclasses import replace

import pytest

from bench.record.model import TaskKey
from bench.run.duel import Duel
from bench.run.progress import Silent
from tests.record.conftest import CELL, SECOND, make_record

NAMES = {CELL.id: (CELL.id, CELL.id), SECOND.id: (SECOND.id, SECOND.id)}


class Side:
    """A session whose steps are drawn: `times` what they would be, or a status of their own."""

    def __init__(self, seed=0, times=1.0, activations=100.0, statuses=None, noise=0.01):
        self.draw = random.Random(seed)
        self.times, self.activations, self.noise = times, activations, noise
        self.statuses = statuses or {}
        self.asked = []

    def cell(self, name):
        return {CELL.id: CELL, SECOND.id: SECOND}[name]

    def perform(self, task: TaskKey, tick):
        self.asked.append(task)
        status = self.statuses.get((task.cell, task.pass_name), "ok")
        cell = self.cell(task.cell)
        if status != "ok":
            return make_record(
                cell=cell, pass_name=task.pass_name, number=task.round, status=status, reason="no"
            )
        metrics = {
            "trace": {"activation_bytes": self.activations, "step_flops": 5.0},
            "time": {"step_seconds": self.times * self.draw.lognormvariate(0, self.noise)},
        }[task.pass_name]
        return make_record(cell=cell, pass_name=task.pass_name, number=task.round, metrics=metrics)


@pytest.fixture
def clock(monkeypatch):
    """Time passes by a second with every look at it."""
    seconds = itertools.count()
    monkeypatch.setattr("bench.run.duel.time.monotonic", lambda: float(next(seconds)))


def fought(base, new, seconds=1000, names=NAMES):
    duel = Duel(base, new, names, 0.02, Silent())
    duel.fight(seconds)
    return duel


def test_equal_sides_are_unchanged_and_end_before_the_budget(clock):
    duel = fought(Side(1), Side(2))
    assert [pair.verdicts for pair in duel.pairs] == [{"unchanged"}] * 2
    assert all(pair.differences == [] for pair in duel.pairs)


@pytest.mark.parametrize(("times", "verdict"), [(1.05, "regressed"), (0.95, "improved")])
def test_a_true_change_is_found(clock, times, verdict):
    assert [p.step_verdict for p in fought(Side(1), Side(2, times)).pairs] == [verdict] * 2


def test_an_exact_metric_differs_by_any_amount(clock):
    duel = fought(Side(1), Side(2, activations=101.0))
    for pair in duel.pairs:
        ((metric, verdict),) = [(found.metric, found.verdict) for found in pair.differences]
        assert (metric, verdict) == ("activation_bytes", "regressed")
        assert pair.verdicts == {"unchanged", "regressed"}


def test_a_budget_that_is_spent_leaves_it_open(clock):
    duel = fought(Side(1, noise=0.2), Side(2, noise=0.2), seconds=30)
    assert {pair.step_verdict for pair in duel.pairs} == {"inconclusive"}
    assert all(pair.to_json()["lower"] is None or pair.step.lower < 1 for pair in duel.pairs)


def test_a_cell_that_fails_is_out_and_the_others_go_on(clock):
    broken = Side(2, statuses={(CELL.id, "trace"): "failed"})
    first, second = fought(Side(1), broken).pairs
    assert (first.step_verdict, first.problem) == ("failed", "trace: failed: no")
    assert second.step_verdict == "unchanged"
    late = Side(2, statuses={(SECOND.id, "time"): "timeout"})
    assert fought(Side(1), late).pairs[1].problem == "time: timeout: no"


def test_ranks_are_chosen_before_anything_that_needs_them(clock, monkeypatch):
    asi = replace(CELL, method="asi", method_options=(("epsilon", 0.8),))
    side = Side(1)
    monkeypatch.setattr(side, "cell", lambda name: asi)
    side.statuses = {(CELL.id, "calibrate"): "failed"}
    (pair,) = fought(side, side, names={CELL.id: (CELL.id, CELL.id)}).pairs
    assert side.asked[0].pass_name == "calibrate"
    assert pair.problem == "calibrate: failed: no"


def test_sides_take_turns_in_going_first(clock):
    order = []

    class Noted(Side):
        def perform(self, task, tick):
            if task.pass_name == "time":
                order.append((task.round, self is new))
            return super().perform(task, tick)

    base, new = Noted(1), Noted(2)
    fought(base, new, names={CELL.id: (CELL.id, CELL.id)})
    firsts = [
        is_new for (number, is_new), (other, _) in itertools.pairwise(order) if number == other
    ]
    assert firsts[:4] == [False, True, False, True]


def test_equal_sides_are_hardly_ever_called_changed(clock):
    """Looking after every round included: at most one duel in a hundred may be wrong."""
    claims = 0
    for seed in range(100):
        base, new = (Side(f"{seed}{side}", noise=0.07) for side in "ab")
        duel = fought(base, new, seconds=400)
        claims += any(p.step_verdict in {"regressed", "improved"} for p in duel.pairs)
    assert claims <= 1
