"""Two source trees, cell by cell in turn, so that a drift of the machine meets both.

Exact metrics need one process of each side. Step times come in rounds: a new process of each side,
and their steps in turn. So a disturbance of a shared machine meets two steps that are compared with
each other. Rounds go on until the interval of the ratio decides, or until the time is over.
"""

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from ondevice_bench import metrics
from ondevice_bench.analyse.cell_pair import CellPair, ExactDifference, MissingMetric
from ondevice_bench.analyse.compare import kernels_of
from ondevice_bench.passes import TIME, TRACE
from ondevice_bench.record.model import NOT_OK, Record, TaskKey
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.session import Session
from ondevice_bench.suite.passes import passes_of

STEP = "step_seconds"
EXACT = tuple(metric.name for metric in metrics.ALL if metric.kind == "exact")
FEWEST_STEPS, MOST_STEPS, ROUND_SECONDS = 7, 20, 1.0  # of each side in a round
FIRST_ROUNDS = 3  # rounds of every pair, before some pairs get more
PAIRS_AT_ONCE = 2  # pairs that get more
MOST_SLOW_ROUNDS = 60  # a pair that looks slower no longer goes first after this number
SPEED_UP = math.log(1.05)  # smaller speed-ups come last
OTHER_SIDE_ENDED = "OtherSideEnded"  # the other side's record has the better reason


def steps_per_round(step_seconds: float | None) -> int:
    """How many steps a round has; the fewest while their length is unknown."""
    if step_seconds is None:
        return FEWEST_STEPS
    return max(FEWEST_STEPS, min(MOST_STEPS, int(ROUND_SECONDS / step_seconds)))


def next_pairs(waiting: Sequence[CellPair], threshold: float) -> list[CellPair]:
    """The pairs that get the next round.

    First every pair gets a few rounds. Then the rounds go to the pairs that look slowest. Then they
    go to the pairs that may still turn out slower. Equal shares would decide no pair in time:
    `benchmarks/gate.py` shows how many true changes each order finds in a suite.
    """
    if any(len(pair.base) < FIRST_ROUNDS for pair in waiting):
        return list(waiting)
    beyond = math.log1p(threshold)

    def suspicion(pair: CellPair) -> float:
        distance = max(pair.shift - beyond, -pair.shift - SPEED_UP)
        return distance * math.sqrt(len(pair.base))  # a sure and distant pair comes last

    slower = [p for p in waiting if p.shift > beyond and len(p.base) < MOST_SLOW_ROUNDS]
    if slower:
        return sorted(slower, key=lambda pair: pair.shift, reverse=True)[:PAIRS_AT_ONCE]
    return sorted(waiting, key=suspicion, reverse=True)[:PAIRS_AT_ONCE]


class RefComparison:
    """Two open runs over the same cells, one for each source tree."""

    def __init__(
        self,
        base: Session,
        new: Session,
        pairs: Mapping[str, tuple[str, str]],
        threshold: float,
        progress: Progress,
    ) -> None:
        self.pairs = [CellPair(name, *ids) for name, ids in pairs.items()]
        self._base, self._new = base, new
        self._same_kernels = kernels_of(base.run) == kernels_of(new.run)
        self._threshold = threshold
        self._progress = progress

    def run(self, seconds: float) -> None:
        """Measure the exact metrics of every pair, then take rounds for this time."""
        for place, pair in enumerate(self.pairs):
            self._measure_exact(pair, f"pair {place + 1} of {len(self.pairs)}")
        end, order = time.monotonic() + seconds, random.Random(0)
        while (waiting := [p for p in self.pairs if p.is_open]) and time.monotonic() < end:
            begun = time.monotonic()
            chosen = next_pairs(waiting, self._threshold)
            order.shuffle(chosen)
            if any(pair.base for pair in chosen):
                self._renew()
            for pair in chosen:
                if time.monotonic() > end:
                    break
                share = f"{len(waiting)} of {len(self.pairs)} pairs open"
                number = len(pair.base) + 1
                self._take_round(pair, number, f"{share}, round {number} of this")
            for pair in chosen:  # new parents are a part of each round
                pair.seconds += (time.monotonic() - begun) / len(chosen)

    def _renew(self) -> None:
        """Take no two rounds of a pair from the same process: its luck is not a change."""
        for session in (self._base, self._new):
            session.host.renew()

    def _measure_exact(self, pair: CellPair, share: str) -> None:
        """Measure what needs one process: ranks, then every exact metric."""
        exact_of_side, skips = [], []
        for session, cell in ((self._base, pair.base_id), (self._new, pair.new_id)):
            names = passes_of(session.cell(cell), (TRACE,))
            records = [self._perform(session, TaskKey(cell, name, 1), share) for name in names]
            exact_of_side.append(_joined(records))
            pair.problem = pair.problem or _problem(records)
            skips.append(_skip(records))
        pair.skips = skips[0], skips[1]
        if not pair.problem and not any(skips):
            base, new = exact_of_side
            exact = [name for name in EXACT if name in base.metrics]
            if not self._same_kernels:
                pair.of_other_kernels = tuple(n for n in exact if metrics.BY_NAME[n].of_kernels)
            compared = [name for name in exact if name not in pair.of_other_kernels]
            pair.differences, pair.equal = _compared(base, new, compared)
            pair.missing = _missing(base, new, compared)

    def _take_round(self, pair: CellPair, number: int, share: str) -> None:
        """Time both sides step by step in turn; the side that begins changes every round."""
        key = TaskKey(pair.base_id, TIME, number)
        self._progress.begin(f"{pair.name}, {TIME}", share, None)
        steps = steps_per_round(median(pair.base) if pair.base else None)
        with self._base.host.take_turns(steps) as turns:
            of_base, of_new = turns.parts if number % 2 else turns.parts[::-1]
            base = self._base.prepare(key, turns=of_base)
            new = self._new.prepare(replace(key, cell=pair.new_id), turns=of_new)
            base_outcome, new_outcome = turns.run(
                lambda: base.launch(self._progress.tick), new.launch
            )
        records = [
            self._base.store_result(base, base_outcome),
            self._new.store_result(new, new_outcome),
        ]
        skips = [_skip([record]) for record in records]
        own = [record for record in records if not record.reason.startswith(OTHER_SIDE_ENDED)]
        pair.problem = _problem(own if any(skips) else [*own, *records])
        if any(skips):
            pair.skips = skips[0], skips[1]
            return
        base_steps, new_steps = (record.samples.get(STEP, []) for record in records)
        if not pair.problem and not 0 < len(base_steps) == len(new_steps):
            pair.problem = "time: failed: the two sides have no equal number of steps"
        launches = [record.launch for record in records]
        if not pair.problem and launches[0] != launches[1]:
            pair.problem = f"time: failed: {launches[0]} in the base, {launches[1]} on the new side"
        if not pair.problem:
            # neighbours in time: a disturbance meets both steps, so their ratio stays
            ratio = median(
                after / before for before, after in zip(base_steps, new_steps, strict=True)
            )
            middle = median(base_steps)
            pair.add_round(middle, middle * ratio, self._threshold, len(self.pairs))

    def _perform(self, session: Session, task: TaskKey, share: str) -> Record:
        self._progress.begin(f"{task.cell}, {task.pass_name}", share, None)
        return session.perform(task, self._progress.tick)


def _joined(records: Sequence[Record]) -> Record:
    """The last record, with what the passes before it measured: calibrate has exact metrics."""
    return replace(
        records[-1],
        metrics={name: value for each in records for name, value in each.metrics.items()},
        unavailable={name: why for each in records for name, why in each.unavailable.items()},
    )


def _problem(records: Sequence[Record]) -> str:
    bad = (record for record in records if record.status in NOT_OK)
    return next((f"{r.key.pass_name}: {r.status}: {r.reason}" for r in bad), "")


def _skip(records: Sequence[Record]) -> str:
    """Why a side skips the cell; empty if it does not."""
    return next((record.reason for record in records if record.status == "skipped"), "")


def _compared(
    base: Record, new: Record, names: Sequence[str]
) -> tuple[list[ExactDifference], dict[str, float]]:
    """Those of these metrics that differ, and the values of those that are equal."""
    pairs = {name: (base.metrics[name], new.metrics[name]) for name in names if name in new.metrics}
    differing = [ExactDifference(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]]
    return differing, {name: old for name, (old, new_) in pairs.items() if old == new_}


def _missing(base: Record, new: Record, names: Sequence[str]) -> list[MissingMetric]:
    """Those of these metrics that only the base has: what was not measured is not equal."""
    return [
        MissingMetric(name, base.metrics[name], new.unavailable.get(name, ""))
        for name in names
        if name not in new.metrics
    ]
