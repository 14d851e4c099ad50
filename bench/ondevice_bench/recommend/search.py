"""The search: shapes rule candidates out, pilots guess, a race measures, finalists decide."""

import re
import shlex
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ondevice_bench import units
from ondevice_bench.analyse.gradient import has_exact_updates
from ondevice_bench.analyse.summary import warnings_in
from ondevice_bench.data.count import fewest_examples_of
from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.recommend.answer import Place, Recommendation
from ondevice_bench.recommend.candidates import Candidates, candidates_of
from ondevice_bench.recommend.cell_trials import CellTrials, Clock
from ondevice_bench.recommend.nothing import nothing_meets
from ondevice_bench.recommend.paste import lines_to_paste
from ondevice_bench.recommend.question import PEAK, STEP, STEP_ENERGY, Question
from ondevice_bench.recommend.race import FINALISTS, OutOfTime, Race
from ondevice_bench.recommend.way import Way
from ondevice_bench.recommend.ways import Ways
from ondevice_bench.record.store import FILE_NAME
from ondevice_bench.running.commit import current_commit
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.request import Request
from ondevice_bench.running.session import Session, open_session
from ondevice_bench.suite.cell import Cell, Train
from ondevice_bench.suite.goal import GOALS, Goal
from ondevice_bench.suite.space import Space
from ondevice_bench.suite.suite import Sampling, Suite
from ondevice_bench.validation.pi import about_other_boards, is_of_a_pi, validated_pis

# of one process: many short processes tell more than one long process
SAMPLING = Sampling(warmup=2, min_samples=5, max_samples=20, max_seconds=5.0)
TRAINING = 4 * 3600.0  # seconds that one training may take at most
PILOT_SHARE = 0.5  # of the time that is left; then those with a pilot race first


@dataclass(frozen=True)
class Search:
    """All that a search needs. `workload` has the network, the data and the weights."""

    host: Host
    space: Space
    workload: Suite
    question: Question
    board: str  # the answer is for this board
    is_here: bool  # whether the host is that board
    out: Path
    command: str
    budget: float
    fresh: bool = False
    clock: Clock = time.monotonic

    def answer(self, progress: Progress) -> Recommendation:
        """Search until there is an answer or no time is left. The budget begins now."""
        began = self.clock()
        found = self.candidates(progress)
        request = self.request(found)
        with open_session(request, self.out, progress) as session:
            labels = {cell.id: found.labels[cell.id] for cell in found.fitting}
            end = began + self.budget
            examples = fewest_examples_of(self.workload.data)
            trials = CellTrials(session, self.question, labels, progress, end, self.clock, examples)
            guesses = self._pilots(found, trials, began, {})
            race = self._race(guesses, trials)
            while race.is_over and len(guesses) < len(found.fitting):
                more = self._pilots(found, trials, self.clock(), guesses)
                again = self._race(more, trials) if len(more) > len(guesses) else None
                is_kept = race.leader not in (None, *trials.ruled_out)
                if again is None or (is_kept and not again.is_over):
                    break  # no time is left, and the answer of the shorter race stands
                guesses, race = more, again
            is_decided = race.is_over and len(guesses) == len(found.fitting)
            if is_decided:
                session.finish()
            warnings = warnings_in(request.findings)
            return self._answer(
                session, found, trials, guesses, race, warnings, is_decided=is_decided
            )

    def candidates(self, progress: Progress) -> Candidates:
        """The candidates of the space, judged by shapes alone; NothingRan if none can fit."""
        limit = self.question.limits.memory_bytes
        found = candidates_of(self.host, self.space, self.workload, limit, progress.prepare)
        if not found.suitable:
            reasons = dict.fromkeys(each.reason for each in found.ruled_out)
            why = "; ".join(reasons)
            raise NothingRan(f"{self.space.path}: no candidate suits this network: {why}")
        if not found.fitting:
            raise NothingRan(nothing_meets(self.question, found.ruled_out, found.labels))
        return found

    def request(self, found: Candidates) -> Request:
        """An ordinary run of all candidates. Its rounds are the fewest that an answer needs."""
        least = self.question.limits.min_cosine
        name = self.question.goal.name
        goal = Goal(minimise=name) if name in GOALS else Goal()
        suite = replace(
            self.workload,
            name=f"recommend-{self.workload.name}",
            title=f"{self.workload.title}: the space {self.space.name}",
            text=f"# the search space {self.space.path}\n{self.space.text}",
            methods=self.space.methods,
            layers=self.space.layers,
            measure=self.question.measure,
            sampling=SAMPLING,
            timeout=TRAINING if self.question.learns else self.workload.timeout,
            goal=goal if least is None else replace(goal, min_cosine=least),
        )
        return Request(
            suite=suite,
            plan=found.plan,
            host=self.host,
            commit=current_commit(Path.cwd()),
            command=self.command,
            fresh=self.fresh,
            extends=True,
            findings=self.host.findings(),
        )

    def _pilots(
        self,
        found: Candidates,
        trials: CellTrials,
        began: float,
        known: Mapping[str, float | None],
    ) -> dict[str, float | None]:
        """The known guesses of a cost, and more as long as there is time; None without a guess."""
        guesses = dict(known)
        cells = found.fitting
        trains = {cell.train for cell in cells}
        for cell in (each for each in cells if each.id in known):
            trains -= self._without_numbers(cell, trials)
        until = began + PILOT_SHARE * (trials.end - began)
        try:
            for cell in [each for each in cells if each.id not in known]:
                if len(guesses) >= FINALISTS and self.clock() > until:
                    break  # rounds of these candidates tell more than guesses of all
                seconds = trials.pilot(cell.id)
                trains -= self._without_numbers(cell, trials)
                if not trains:
                    raise self._no_numbers(cell, trials)
                if not guesses and trials.measured and self.clock() >= began + self.budget:
                    raise self._too_short(self.clock() - began, len(cells))
                guesses[cell.id] = self._guess(cell, seconds, found.sizes[cell.id])
        except OutOfTime:
            if not guesses:
                raise self._too_short(self.clock() - began, len(cells)) from None
        return guesses

    def _too_short(self, taken: float, count: int) -> BadInput:
        enough = units.about(max(60.0, 2 * taken * count))
        return BadInput(
            f"--budget: {units.about(self.budget)} is over before the first pilot has ended "
            f"({units.about(taken)}): give about {enough} or more"
        )

    def _without_numbers(self, cell: Cell, trials: CellTrials) -> set[Train]:
        """The `train` setting of the cell if plain training has no finite loss with it."""
        out = trials.ruled_out.get(cell.id)
        return {cell.train} if out and out.cause == "loss" and has_exact_updates(cell) else set()

    def _no_numbers(self, cell: Cell, trials: CellTrials) -> BadInput:
        """Plain training has no finite loss with any setting: then no method has one."""
        reason = trials.ruled_out[cell.id].reason
        return BadInput(
            f"{_without_hash(cell.model)}: {reason} of plain training (lr "
            f"{cell.train.lr:g}): fix the network, or choose a lower `lr` in the search space"
        )

    def _guess(self, cell: Cell, seconds: float | None, size: int | None) -> float | None:
        """The cost by the two steps of the pilot or by shapes; None if neither gives one."""
        goal = self.question.goal
        if goal.name == PEAK:
            return None if size is None else float(size)
        # a step says nothing about inference; all trainings have the same number of examples
        is_of_time = goal.name in (STEP, STEP_ENERGY) or self.question.is_of_training
        return seconds / cell.batch if is_of_time and seconds is not None else None

    def _race(self, guesses: Mapping[str, float | None], trials: CellTrials) -> Race:
        goal = self.question.goal
        trials.begin_race()
        return Race(
            [name for name in guesses if name not in trials.ruled_out],
            trials,
            threshold=goal.threshold,
            prior={name: guess for name, guess in guesses.items() if guess is not None},
            repeats=self.question.repeats,
            plan=self.question.rounds,
            is_exact=goal.kind == "exact",
            limits_first=self.question.has_quick_limits,
        ).run()

    def _answer(
        self,
        session: Session,
        found: Candidates,
        trials: CellTrials,
        guesses: Mapping[str, float | None],
        race: Race,
        warnings: Sequence[str],
        *,
        is_decided: bool,
    ) -> Recommendation:
        ruled_out = (*found.ruled_out, *trials.ruled_out.values())
        if race.leader is None and is_decided:
            raise NothingRan(nothing_meets(self.question, ruled_out, found.labels))
        ways = Ways(session, self.question, race, found.labels, found.sizes, trials, warnings)
        winner = None if race.leader is None else ways.way(race.leader)
        first = found.fitting[0]
        return Recommendation(
            question=self.question,
            place=self._place(session),
            model=_without_hash(first.id.partition("/")[0]),
            data=first.data,
            weights=first.weights,
            space=self.space.name,
            candidates=len(found.labels),
            batches=tuple(sorted({cell.batch for cell in found.fitting})),
            trainings=len({cell.train for cell in found.fitting}),
            winner=winner,
            rivals=ways.rivals(),
            behind=ways.behind(),
            ruled_out=ruled_out,
            labels=found.labels,
            unreached=(
                *ways.unread(),
                *_labels_without({*guesses, *trials.ruled_out}, found.fitting, found.labels),
            ),
            is_decided=is_decided,
            doubts=ways.doubts(),
            measured=trials.measured,
            budget=self.budget,
            at_the_edge=tuple(found.labels[name] for name in trials.at_the_edge),
            tested_on=trials.tested_on,
            next_training=trials.next_training,
            paste=() if winner is None else lines_to_paste(_with_rate(winner)),
        )

    def _place(self, session: Session) -> Place:
        is_like_a_pi = not self.is_here and is_of_a_pi(self.board)
        return Place(
            board=self.board,
            is_here=self.is_here,
            machine=f"{self.host.profile.name} ({self.host.machine.cpu})",
            store=str(self.out / FILE_NAME),
            run=session.run.id,
            command=_without_fresh(self.command),
            about_board=about_other_boards(validated_pis()) if is_like_a_pi else "",
        )


def _with_rate(winner: Way) -> Cell:
    """The cell of the winner, with the learning rate that its trainings chose if there were any."""
    cell = winner.cell
    if winner.rate is None:
        return cell
    return replace(cell, train=replace(cell.train, lr=winner.rate))


def _labels_without(
    reached: Container[str], cells: Sequence[Cell], labels: Mapping[str, str]
) -> tuple[str, ...]:
    return tuple(labels[cell.id] for cell in cells if cell.id not in reached)


def _without_fresh(command: str) -> str:
    """The command that continues this search: `--fresh` would start again."""
    return shlex.join(word for word in shlex.split(command) if word != "--fresh")


def _without_hash(model: str) -> str:
    """The network as the user names it: `mynet.py:net@093a835c(width=8)` without the hash."""
    return re.sub(r"@[0-9a-f]{8}", "", model)
