"""Two source trees, cell by cell in turn, so that a drift of the machine hits both.

Exact metrics need one process of each side. Step times are taken in rounds: a fresh process of each
side, and their steps in turn. So nearly everything that disturbs a shared machine meets two steps
that are weighed against each other. Rounds go on until the interval of the ratio says enough or the
time is spent.
"""

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from ondevice_bench.analyse.cell_pair import Exact, Pair
from ondevice_bench.protocol.lockstep import OtherSideEnded, steps_for, together, turns
from ondevice_bench.record import metrics
from ondevice_bench.record.model import Record, TaskKey
from ondevice_bench.run.progress import Progress
from ondevice_bench.run.session import Session
from ondevice_bench.suite.passes import passes_of

STEP, TRACE, TIME = "step_seconds", "trace", "time"
FIRST, AT_ONCE = 3, 2  # rounds of everybody, before so many go on that may soon be decided
MOST_ALONE = 60  # rounds after which one that looks slower keeps nobody waiting
SPEED_UP = math.log(1.05)  # smaller ones are found last
ALONE = OtherSideEnded.__name__  # the reason of a record whose other side has a better one


def whose_turn(waiting: Sequence[Pair], threshold: float) -> list[Pair]:
    """Everybody; then who looks slowest, or may yet turn out so: even shares would decide nobody.

    `benchmarks/gate.py` shows how many true changes that finds in a suite.
    """
    if any(len(pair.base) < FIRST for pair in waiting):
        return list(waiting)
    beyond = math.log1p(threshold)

    def promise(pair: Pair) -> float:
        apart = max(pair.shift - beyond, -pair.shift - SPEED_UP)
        return apart * math.sqrt(len(pair.base))  # far from it, and known well, comes last

    slower = [p for p in waiting if p.shift > beyond and len(p.base) < MOST_ALONE]
    if slower:
        return sorted(slower, key=lambda pair: pair.shift, reverse=True)[:AT_ONCE]
    return sorted(waiting, key=promise, reverse=True)[:AT_ONCE]


class Duel:
    """Two open runs over the same cells."""

    def __init__(
        self,
        base: Session,
        new: Session,
        pairs: Mapping[str, tuple[str, str]],
        threshold: float,
        progress: Progress,
    ) -> None:
        self.pairs = [Pair(name, *ids) for name, ids in pairs.items()]
        self._base, self._new = base, new
        self._threshold = threshold
        self._progress = progress

    def fight(self, seconds: float) -> None:
        """Exact metrics of every pair first, whatever that takes; then rounds for so long."""
        for place, pair in enumerate(self.pairs):
            self._count(pair, f"pair {place + 1} of {len(self.pairs)}")
        end, order = time.monotonic() + seconds, random.Random(0)
        while (waiting := [p for p in self.pairs if p.is_open]) and time.monotonic() < end:
            taken = whose_turn(waiting, self._threshold)
            order.shuffle(taken)
            if any(pair.base for pair in taken):
                self._renew()
            for pair in taken:
                if time.monotonic() > end:
                    break
                share = f"{len(waiting)} of {len(self.pairs)} pairs open"
                number = len(pair.base) + 1
                self._time(pair, number, f"{share}, round {number} of this")

    def _renew(self) -> None:
        """No two rounds of a pair from the same process: what it gives its workers is no change."""
        for session in (self._base, self._new):
            session.renew()

    def _count(self, pair: Pair, share: str) -> None:
        """What needs one process: ranks, then everything exact."""
        found = []
        for session, cell in ((self._base, pair.base_id), (self._new, pair.new_id)):
            names = passes_of(session.cell(cell).method, (TRACE,))
            records = [self._perform(session, TaskKey(cell, name, 1), share) for name in names]
            found.append(records[-1])
            pair.problem = pair.problem or _problem(records)
        if not pair.problem:
            pair.differences = _differences(*found)

    def _time(self, pair: Pair, number: int, share: str) -> None:
        """A round of both sides, step by step in turn; whoever goes first changes."""
        key = TaskKey(pair.base_id, TIME, number)
        self._progress.begin(key, share, None)
        with turns(steps_for(median(pair.base) if pair.base else None)) as parts:
            # every other round the new side begins
            of_base, of_new = parts if number % 2 else parts[::-1]
            base = self._base.ask(key, turns=of_base)
            new = self._new.ask(replace(key, cell=pair.new_id), turns=of_new)
            there, here = together(
                parts, lambda: base.launch(self._progress.tick), lambda: new.launch(_nothing)
            )
        records = [self._base.keep(base, there), self._new.keep(new, here)]
        pair.problem = _problem(sorted(records, key=lambda r: r.reason.startswith(ALONE)))
        if not pair.problem:
            ours, theirs = (record.samples[STEP] for record in records)
            # neighbours in time: what disturbs one disturbs the other, and the ratio stays
            ratio = median(after / before for before, after in zip(ours, theirs, strict=True))
            pair.add_round(median(ours), median(ours) * ratio, self._threshold, len(self.pairs))

    def _perform(self, session: Session, task: TaskKey, share: str) -> Record:
        self._progress.begin(task, share, None)
        return session.perform(task, self._progress.tick)


def _nothing() -> None:
    """One side moves the progress line for both."""


def _problem(records: Sequence[Record]) -> str:
    bad = (record for record in records if record.status != "ok")
    return next((f"{r.key.pass_name}: {r.status}: {r.reason}" for r in bad), "")


def _differences(base: Record, new: Record) -> list[Exact]:
    return [
        Exact(metric.name, base.metrics[metric.name], new.metrics[metric.name])
        for metric in metrics.ALL
        if metric.kind == "exact"
        and metric.name in base.metrics
        and metric.name in new.metrics
        and base.metrics[metric.name] != new.metrics[metric.name]
    ]
