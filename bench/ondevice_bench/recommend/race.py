"""Finds the candidate with the lowest cost by few noisy readings. Pure: no clock and no files.

Readings come in rounds. Each round takes one reading of every candidate that is left, in a random
order. So a drift of the machine affects all of them, and the readings of one round are pairs. After
some rounds, candidates that cost more by three standard errors are left behind. About half of the
others stay. A candidate stays only if it meets the limits. The finalists get more rounds, until the
interval of each ratio to the leader shows that no rival is better by more than the threshold.

An earlier race may have taken rounds without a candidate that is left now. Since then the machine
may have become warmer or busier. So these rounds are left out, and all candidates take new ones.
"""

import contextlib
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median
from typing import Literal, Protocol

from ondevice_bench.stats import Change, change, is_look

FIRST_ROUNDS = 3  # before any candidate is left behind
FINALISTS = 4
NEXT = 3  # candidates that were left behind and are still looked at, because an answer names them
FEWEST, MOST_ROUNDS = 8, 40  # of finalists: before the first judgement, and at the end
CONFIDENCE = 0.99  # of one judgement, over all pairs of those that are left
LEAST_NOISE = 0.02  # of readings of one candidate, as a logarithm
PRIOR_FACTOR = 4.0  # a guess from one step may be wrong by this factor
SURE, LIKELY = 3.0, 1.5  # standard errors: none stays beyond the first, all stay within the second
# the third quartile of the difference of two normal readings, in standard deviations of one reading
_QUARTILE = 1.1503 * math.sqrt(2)
_ERROR_OF_MEDIAN = math.sqrt(math.pi / 2)  # in standard errors of a mean

# how a candidate was left behind: by a guess before its first reading, by its readings in an early
# round, or by the interval of its ratio to the leader
Defeat = Literal["guess", "early", "proven"]


class OutOfTime(Exception):
    """There is no time for the next measurement."""


class Trials(Protocol):
    """What a race may measure. Each call may raise `OutOfTime`."""

    def reading(self, name: str, number: int) -> float | None:
        """The cost of a candidate in this round; None if it cannot be measured, and is out."""

    def is_stored(self, name: str, number: int) -> bool:
        """Whether an earlier race took this reading."""

    def meets_limits(self, name: str) -> bool:
        """Whether a candidate meets all limits; it is out otherwise."""

    def enters_final(self, name: str) -> bool:
        """Measure more of a finalist; whether it still meets all limits."""

    def confirms(self, name: str) -> bool:
        """Measure all that the answer says about the best; whether it still meets all limits."""


@dataclass(frozen=True)
class Rounds:
    """The rounds before a candidate is left behind, before the first judgement, and at the end.

    `noise` is the least noise of readings, as a logarithm. A smaller estimate is not used, because
    a few readings may agree by chance.
    """

    first: int = FIRST_ROUNDS
    fewest: int = FEWEST
    most: int = MOST_ROUNDS
    noise: float = LEAST_NOISE


OF_PROCESSES = Rounds()


def confidence_of(candidates: int) -> float:
    """The confidence of one interval if this number of candidates is left.

    The same readings choose the leader. So any pair of candidates may be the one that is judged.
    """
    return 1 - (1 - CONFIDENCE) / max(1, math.comb(candidates, 2))


@dataclass
class Race:
    """The candidates, their readings, and which of them are left.

    `prior` has a guess of the cost of some candidates. Without `repeats`, each has one reading.
    With `limits_first`, no candidate that misses a limit has a reading.
    """

    names: Sequence[str]
    trials: Trials
    threshold: float  # a smaller difference, as a share of the cost, decides nothing
    prior: Mapping[str, float] = field(default_factory=dict)
    repeats: bool = True
    plan: Rounds = OF_PROCESSES
    is_exact: bool = False  # equal code gives equal readings
    limits_first: bool = False  # to look at the limits costs less than the first readings
    readings: dict[str, list[float]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    behind: dict[str, Defeat] = field(default_factory=dict)
    ratios: dict[str, Change] = field(default_factory=dict)  # a finalist over the leader
    best_guess: float = 0.0  # of candidates that meet the limits
    is_over: bool = False  # false: no time was left
    _meets: dict[str, bool] = field(default_factory=dict)  # the limits, as far as known
    _compared_with: str | None = None  # the leader of `ratios`
    _numbers: list[int] = field(default_factory=list)  # of the rounds; some are left out

    def run(self) -> "Race":
        """Race until there is an answer, or until there is no time."""
        self.left = list(self.names)
        try:
            self._race()
            while not self.left and self.behind:  # none of the better candidates meets the limits
                self.left = list(self.behind)
                for name in self.left:
                    self.readings.pop(name, None)
                self.behind.clear()
                self._race()
            self.is_over = True
            self._look_at_the_next()
        except OutOfTime:
            if not self.is_over:
                self._look_at_limits_that_cost_nothing()
                self._compare()
        return self

    @property
    def leader(self) -> str | None:
        """The lowest cost so far, among candidates that meet the limits if there are any."""
        pool = [name for name in self.left if self._meets.get(name)] or self.left
        with_readings = [name for name in pool if self.readings.get(name)]
        if with_readings:
            return min(with_readings, key=self.cost)
        return min(pool, key=lambda name: self.prior.get(name, math.inf), default=None)

    @property
    def rounds(self) -> int:
        """The number of rounds of the candidates that are left."""
        return max((len(self.readings.get(name, ())) for name in self.left), default=0)

    def cost(self, name: str) -> float:
        """The median of a candidate's readings."""
        return median(self.readings[name])

    def relation(self, name: str) -> Literal["worse", "near", "open"]:
        """What is known about the cost of a rival that is left, compared with the leader's.

        It is `near` if it may be lower, but by no more than the threshold.
        """
        ratio = self.ratios.get(name)
        if ratio is None:
            return "open"
        if ratio.lower > 1:
            return "worse"
        is_bounded = self.repeats or self.is_exact
        return "near" if is_bounded and ratio.lower >= 1 / (1 + self.threshold) else "open"

    @property
    def fit(self) -> tuple[str, ...]:
        """The candidates that are known to meet the limits, left or left behind."""
        return tuple(name for name, meets in self._meets.items() if meets)

    def _meets_limits(self, name: str) -> bool:
        if name not in self._meets:
            self._meets[name] = self.trials.meets_limits(name)
            if not self._meets[name]:
                self._remove(name)
        return self._meets[name]

    def _look_at_limits_that_cost_nothing(self) -> None:
        """Look at the limits of candidates that need no measurement for them: exact methods."""
        for name in list(self.left):
            with contextlib.suppress(OutOfTime):
                self._meets_limits(name)

    def _remove(self, name: str) -> None:
        self.left = [each for each in self.left if each != name]

    def _rule_out(self, name: str) -> None:
        self._meets[name] = False
        self._remove(name)

    def _leave_behind(self, names: Iterable[str], defeat: Defeat) -> None:
        for name in names:
            self._remove(name)
            self.behind[name] = defeat

    def _race(self) -> None:
        self._drop_the_hopeless()
        if self.limits_first:
            for name in list(self.left):
                self._meets_limits(name)
        rounds = self.plan.first if self.repeats else 1
        self._take_rounds(rounds)
        self._keep_the_best()
        while self.repeats and len(self.left) > FINALISTS and rounds < self.plan.most:
            rounds = min(2 * rounds, self.plan.most)
            self._take_rounds(rounds)
            self._keep_the_best()
        self._require(list(self.left), self.trials.enters_final)
        self._run_final()
        while (leader := self.leader) is not None:
            if self._require([leader], self.trials.confirms):
                return
            self._reconsider()
            self._run_final()

    def _require(self, names: Sequence[str], fits: Callable[[str], bool]) -> bool:
        """Remove the candidates that do not fit; whether all of them fit."""
        out = [name for name in names if not fits(name)]
        for name in out:
            self._rule_out(name)
        return not out

    def _drop_the_hopeless(self) -> None:
        """Leave candidates behind whose guess is far above the best guess that meets the limits.

        The better half of the guesses stays in any case.
        """
        known = [name for name in self.left if name in self.prior]
        guessed = sorted(known, key=self.prior.__getitem__)
        best = next((name for name in guessed if self._meets_limits(name)), None)
        if best is not None:
            self.best_guess = self.prior[best]
            limit = PRIOR_FACTOR * self.best_guess
            left = [name for name in guessed if name in self.left]
            worse_half = left[max(FINALISTS, math.ceil(len(left) / 2)) :]
            self._leave_behind([name for name in worse_half if self.prior[name] > limit], "guess")

    def _take_rounds(self, until: int) -> None:
        """Take rounds until each candidate that is left has `until` readings."""
        for place in range(until):
            if place == len(self._numbers):
                self._numbers.append(self._next_number())
            number = self._numbers[place]
            order = sorted(self.left)
            random.Random(number).shuffle(order)
            for name in [name for name in order if len(self.readings.get(name, ())) <= place]:
                value = self.trials.reading(name, number)
                if value is None:
                    self._rule_out(name)
                else:
                    self.readings.setdefault(name, []).append(value)

    def _next_number(self) -> int:
        """The next round that an earlier race took with all that are left, or with none of them.

        A round in which the last race ended is completed.
        """
        number = self._numbers[-1] + 1 if self._numbers else 1
        if any(self._stored(number + 1)):
            while len(set(self._stored(number))) > 1:
                number += 1
        return number

    def _stored(self, number: int) -> list[bool]:
        """Of each candidate that is left, whether an earlier race took this reading."""
        return [self.trials.is_stored(name, number) for name in self.left]

    def _keep_the_best(self) -> None:
        """Keep at most half of the candidates, and none that surely costs more than the best.

        The best is one that meets the limits. A candidate within the noise stays in any case.
        """
        order = sorted(self.left, key=self.cost)
        best = next((name for name in order if self._meets_limits(name)), None)
        if best is None:
            return
        error = self._error()
        half = max(FINALISTS, math.ceil(len(order) / 2))
        kept: list[str] = []
        for name in [name for name in order if name in self.left]:
            behind = math.log(self.cost(name) / self.cost(best))
            stays = behind <= (SURE if len(kept) < half else LIKELY) * error
            if stays and self._meets_limits(name):
                kept.append(name)
        gone = [name for name in self.left if name not in kept]
        self._leave_behind(gone, "early")

    def _error(self) -> float:
        """The standard error of the difference of two candidates, as a logarithm."""
        if self.is_exact:
            return 0.0
        if not self.repeats:
            return math.log1p(self.threshold) / SURE
        noise = _noise([self.readings[name] for name in self.left], self.plan.noise)
        return noise * _ERROR_OF_MEDIAN * math.sqrt(2 / self.rounds)

    def _run_final(self) -> None:
        """Take more rounds of the finalists, until each rival is decided."""
        while self.repeats and len(self.left) > 1 and self.rounds < self.plan.most:
            self._take_rounds(max(self.plan.fewest, self.rounds + 1))
            if is_look(self.rounds, self.plan.fewest) or self.rounds >= self.plan.most:
                self._judge()
                if not any(self.relation(name) == "open" for name in self._rivals()):
                    return
        self._compare()

    def _judge(self) -> None:
        """Leave those behind that surely cost more than the leader."""
        self._compare()
        proven = [name for name in self._rivals() if self.relation(name) == "worse"]
        self._leave_behind(proven, "proven")

    def _reconsider(self) -> None:
        """Bring those back that cost more than a leader that is out: the next one may cost more.

        Those that surely cost more than the next leader, too, leave at once. The others catch up.
        """
        returning = [name for name, defeat in self.behind.items() if defeat == "proven"]
        if returning:
            for name in returning:
                del self.behind[name]
            self.left += returning
            self._judge()
            self._take_rounds(self.rounds)

    def _rivals(self) -> list[str]:
        return [name for name in self.left if name != self.leader]

    def _look_at_the_next(self) -> None:
        """Measure the best candidates that were left behind as the finalists were measured."""
        measured = [name for name in self.behind if self.readings.get(name)]
        for name in sorted(measured, key=self.cost)[:NEXT]:
            if not (self._meets_limits(name) and self._require([name], self.trials.enters_final)):
                del self.behind[name]

    def _compare(self) -> None:
        """Judge each rival that is left by its ratio to the leader."""
        leader = self.leader
        base = self.readings.get(leader or "", [])
        rivals = [name for name in self._rivals() if self.readings.get(name)]
        confidence = confidence_of(1 + len(rivals))
        if leader != self._compared_with:  # earlier ratios are to another leader
            self.ratios = {}
        self._compared_with = leader
        self.ratios = {name: each for name, each in self.ratios.items() if name in self.behind}
        for name in rivals if base else ():
            new = self.readings[name]
            if self.repeats:
                pairs = min(len(base), len(new))
                ratio = change(base[:pairs], new[:pairs], self.threshold, confidence)
            else:
                ratio = _single(new[0] / base[0], self.threshold, is_exact=self.is_exact)
            self.ratios[name] = ratio


def _single(ratio: float, threshold: float, *, is_exact: bool) -> Change:
    """The ratio of two readings. If they are not exact, a small difference decides nothing."""
    if is_exact:
        return Change(ratio, ratio, ratio, "same" if ratio == 1 else "more")
    wide = 1 + threshold
    return Change(ratio, ratio / wide, ratio * wide, "unknown")


def _noise(readings: Sequence[Sequence[float]], least: float) -> float:
    """The deviation of readings of equal code, as a logarithm. A few outliers change it little."""
    apart = sorted(
        abs(math.log(one / other)) for each in readings for one, other in combinations(each, 2)
    )
    if not apart:
        return least
    return max(least, apart[len(apart) * 3 // 4] / _QUARTILE)
