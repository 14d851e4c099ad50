"""From a space to an answer: shapes rule out, pilots guess, a race measures, finalists decide."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ondevice_bench import units
from ondevice_bench.analyse.gradient import MOMENTS, has_exact_gradient
from ondevice_bench.analyse.summary import CellSummary, summarise
from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.passes import TIME
from ondevice_bench.recommend.answer import (
    Behind,
    Place,
    Recommendation,
    Standing,
    Way,
    shown_metrics,
)
from ondevice_bench.recommend.candidates import RuledOut, in_order, labels_of, planned_in
from ondevice_bench.recommend.cell_trials import CellTrials, Clock
from ondevice_bench.recommend.nothing import nothing_meets
from ondevice_bench.recommend.paste import lines_to_paste
from ondevice_bench.recommend.question import ACCURACY, PEAK, Question
from ondevice_bench.recommend.race import OutOfTime, Race
from ondevice_bench.record.store import FILE_NAME
from ondevice_bench.run.commit import current_commit
from ondevice_bench.run.hosts.host import Host
from ondevice_bench.run.progress import Progress
from ondevice_bench.run.queries.peaks import peaks
from ondevice_bench.run.request import Request
from ondevice_bench.run.session import Session, open_session
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.goal import Goal
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.space import Space
from ondevice_bench.suite.suite import Sampling, Suite

# of one process: many short ones tell more than a long one
SAMPLING = Sampling(warmup=2, min_samples=5, max_samples=20, max_seconds=5.0)
PILOT_SHARE = 0.5  # of the budget: candidates that have no pilot until then are not looked at


@dataclass(frozen=True)
class Search:
    """All that a search needs. `workload` has the network, the data and the weights."""

    host: Host
    space: Space
    workload: Suite
    question: Question
    board: str  # for which the answer is
    is_here: bool  # whether the host is that board
    out: Path
    command: str
    budget: float
    fresh: bool = False
    clock: Clock = time.monotonic

    def answer(self, progress: Progress) -> Recommendation:
        """Search until there is an answer or no time is left. The budget begins now."""
        began = self.clock()
        plan = planned_in(self.space, self.workload, self.host.board)
        possible = [item for item in plan if item.state == "planned"]
        if not possible:
            raise NothingRan(f"{self.space.path}: no candidate suits this network: {_why(plan)}")
        sizes = dict(self._sizes([item.cell for item in possible], progress))
        labels = labels_of([item.cell for item in plan], self.space)
        out = [RuledOut(i.cell.id, "unsuitable", i.reason) for i in plan if i.state != "planned"]
        too_large = [each for each in map(self._too_large, sizes.items()) if each is not None]
        plan = _without(plan, [*out, *too_large])
        fitting = in_order([item.cell for item in plan if item.state == "planned"], sizes)
        if not fitting:
            raise NothingRan(nothing_meets(self.question, too_large, labels))
        whole = self._request(plan)
        with open_session(whole, self.out, progress) as session:
            trials = CellTrials(
                session, self.question, labels, progress, began + self.budget, self.clock
            )
            guesses = self._pilots(fitting, trials, sizes, began)
            race = self._race(
                [name for name in guesses if name not in trials.ruled_out], guesses, trials
            )
            reached = set(guesses) | set(trials.ruled_out)
            unreached = [labels[cell.id] for cell in fitting if cell.id not in reached]
            is_decided = race.is_over and not unreached
            if is_decided:
                session.finish()
            ruled_out = (*out, *too_large, *trials.ruled_out.values())
            if race.leader is None and is_decided:
                raise NothingRan(nothing_meets(self.question, ruled_out, labels))
            ways = _Ways(session, self.question, race, labels, sizes)
            winner = None if race.leader is None else ways.way(race.leader)
            return Recommendation(
                question=self.question,
                place=self._place(session),
                model=_without_hash(fitting[0].id.partition("/")[0]),
                data=fitting[0].data,
                weights=fitting[0].weights,
                space=self.space.name,
                candidates=len(labels),
                winner=winner,
                rivals=ways.rivals(),
                behind=ways.behind(),
                ruled_out=ruled_out,
                labels=labels,
                unreached=tuple(unreached),
                is_decided=is_decided,
                measured=trials.measured,
                paste=() if winner is None else lines_to_paste(winner.cell),
            )

    def _sizes(self, cells: Sequence[Cell], progress: Progress) -> Iterable[tuple[str, int | None]]:
        for cell, size in peaks(self.host, self.workload, cells, progress.prepare):
            yield cell.id, size

    def _too_large(self, sized: tuple[str, int | None]) -> RuledOut | None:
        """Why a candidate cannot fit: its tensors alone need more than the limit."""
        name, size = sized
        if size is None or size <= self.question.limits.memory_bytes:
            return None
        return RuledOut(name, "memory", f"its tensors alone need {units.mib(size)}", size)

    def _request(self, plan: Sequence[PlannedCell]) -> Request:
        """An ordinary run of all candidates. Its rounds are the least that an answer rests on."""
        limits = self.question.limits
        usual = Goal()
        suite = replace(
            self.workload,
            name=self.out.name,
            title=f"{self.workload.title}: the space {self.space.name}",
            text=f"# the search space {self.space.path}\n{self.space.text}",
            methods=self.space.methods,
            layers=self.space.layers,
            measure=self.question.measure,
            sampling=SAMPLING,
            goal=replace(
                usual,
                minimise=self.question.goal.name,
                min_cosine=usual.min_cosine if limits.min_cosine is None else limits.min_cosine,
            ),
        )
        return Request(
            suite=suite,
            plan=tuple(plan),
            host=self.host,
            commit=current_commit(Path.cwd()),
            command=self.command,
            fresh=self.fresh,
            extends_finished=True,
            findings=self.host.findings(),
        )

    def _pilots(
        self,
        cells: Sequence[Cell],
        trials: CellTrials,
        sizes: Mapping[str, int | None],
        began: float,
    ) -> dict[str, float | None]:
        """A guess of the cost of each candidate that there is time for."""
        guesses: dict[str, float | None] = {}
        try:
            for cell in cells:
                if guesses and self.clock() > began + PILOT_SHARE * self.budget:
                    break
                seconds = trials.pilot(cell.id)
                self._require_numbers(cell, trials)
                if not guesses and trials.measured and self._is_over(began):
                    raise self._too_short(self.clock() - began, len(cells))
                guesses[cell.id] = self._guess(cell, seconds, sizes[cell.id])
        except OutOfTime:
            if not guesses:
                raise self._too_short(self.clock() - began, len(cells)) from None
        return guesses

    def _is_over(self, began: float) -> bool:
        return self.clock() >= began + self.budget

    def _too_short(self, taken: float, count: int) -> BadInput:
        enough = units.about(max(60.0, 2 * taken * count))
        return BadInput(
            f"--budget: {units.about(self.budget)} is over before one pilot has ended "
            f"({units.about(taken)}): give {enough.replace(' min', 'm').replace(' h', 'h')} or more"
        )

    def _require_numbers(self, cell: Cell, trials: CellTrials) -> None:
        """If plain training has no finite loss, no method can."""
        out = trials.ruled_out.get(cell.id)
        if out is not None and out.cause == "loss" and has_exact_gradient(cell.method):
            name = cell.model.partition("@")[0]
            raise BadInput(
                f"{name}: {out.reason} of plain training (lr {cell.train.lr:g}): mend the network, "
                "or choose a lower `lr` in the search space"
            )

    def _guess(self, cell: Cell, seconds: float | None, size: int | None) -> float | None:
        """The cost by two steps or by shapes, if one of them tells."""
        goal = self.question.goal
        if goal.name == PEAK:
            return None if size is None else float(size)
        is_of_time = goal.pass_name in (TIME, "energy")
        return seconds / cell.batch if is_of_time and seconds is not None else None

    def _race(
        self, names: Sequence[str], guesses: Mapping[str, float | None], trials: CellTrials
    ) -> Race:
        question = self.question
        return Race(
            names,
            trials,
            threshold=question.goal.threshold,
            prior={name: guess for name in names if (guess := guesses[name]) is not None},
            repeats=question.repeats,
            is_exact=question.goal.kind == "exact",
        ).run()

    def _place(self, session: Session) -> Place:
        machine = self.host.machine
        return Place(
            board=self.board,
            is_here=self.is_here,
            machine=f"{self.host.profile.name} ({machine.cpu})",
            store=str(self.out / FILE_NAME),
            run=session.run.id,
            command=self.command,
        )


class _Ways:
    """The ways of a race, with what an ordinary summary of the run says of them."""

    def __init__(
        self,
        session: Session,
        question: Question,
        race: Race,
        labels: Mapping[str, str],
        sizes: Mapping[str, int | None],
    ) -> None:
        run = session.store.run(session.run.id)
        self._cells = {each.planned.cell.id: each for each in summarise(session.store, run).cells}
        self._question = question
        self._race = race
        self._labels = labels
        self._sizes = sizes

    def way(self, name: str) -> Way:
        """A candidate with its results."""
        summary, race = self._cells[name], self._race
        cell = summary.planned.cell
        standing: Standing = "winner"
        if name != race.leader:
            standing = "worse" if name in race.behind else race.relation(name)
        return Way(
            cell=cell,
            label=self._labels[name],
            standing=standing,
            is_exact=has_exact_gradient(cell.method),
            meets_limits=name in race.fit or name in race.behind_fit,
            cost=race.cost(name) if race.readings.get(name) else None,
            ratio=race.ratios.get(name),
            estimates={
                metric: summary.estimates[metric]
                for metric in shown_metrics(self._question)
                if metric in summary.estimates
            },
            cosine=_lowest_cosine(summary),
            accuracy=_value(summary, ACCURACY),
            rounds=len(race.readings.get(name, ())),
            tensor_bytes=self._sizes.get(name),
        )

    def rivals(self) -> tuple[Way, ...]:
        """Those that meet the limits and have readings, without the winner, the best first."""
        race = self._race
        names = [name for name in (*race.fit, *race.behind_fit) if race.readings.get(name)]
        names += [name for name in race.left if name not in names and race.readings.get(name)]
        rivals = [name for name in dict.fromkeys(names) if name != race.leader]
        return tuple(self.way(name) for name in sorted(rivals, key=race.cost))

    def behind(self) -> tuple[Behind, ...]:
        """Those that cost more, the best first."""
        race = self._race
        lead = race.leader
        found = []
        for name, defeat in race.behind.items():
            cost = race.cost(name) if race.readings.get(name) else None
            base = race.cost(lead) if lead is not None and race.readings.get(lead) else None
            ratio = cost / base if cost is not None and base else _guessed(race, name)
            found.append(Behind(self._labels[name], defeat, cost, ratio))
        return tuple(sorted(found, key=lambda each: each.ratio or 0.0))


def _guessed(race: Race, name: str) -> float | None:
    """The ratio of two guesses, where nothing was measured."""
    lead = race.leader
    if lead is None or lead not in race.prior or name not in race.prior:
        return None
    return race.prior[name] / race.prior[lead]


def _without_hash(model: str) -> str:
    """The network as the user names it: `mynet.py:net@093a835c(width=8)` without the hash."""
    return re.sub(r"@[0-9a-f]{8}", "", model)


def _lowest_cosine(summary: CellSummary) -> float | None:
    found = (_value(summary, moment) for moment in MOMENTS)
    return min((value for value in found if value is not None), default=None)


def _value(summary: CellSummary, metric: str) -> float | None:
    estimate = summary.estimates.get(metric)
    return None if estimate is None else estimate.estimate


def _why(plan: Sequence[PlannedCell]) -> str:
    return "; ".join(dict.fromkeys(item.reason for item in plan))


def _without(plan: Sequence[PlannedCell], out: Sequence[RuledOut]) -> tuple[PlannedCell, ...]:
    """The plan, in which these candidates are skipped, with the reason."""
    reasons = {each.name: each.reason for each in out}
    return tuple(
        replace(item, state="skipped", reason=reasons[item.cell.id])
        if item.cell.id in reasons
        else item
        for item in plan
    )
