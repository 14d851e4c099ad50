"""The candidates of a race as ways to train, with the results in the summary of the run."""

from collections.abc import Iterable, Mapping

from ondevice_bench import units
from ondevice_bench.analyse.gradient import MOMENTS, has_exact_updates
from ondevice_bench.analyse.learning import learning
from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.recommend.answer import Behind, shown_metrics
from ondevice_bench.recommend.cell_trials import CellTrials
from ondevice_bench.recommend.question import Question
from ondevice_bench.recommend.race import Race
from ondevice_bench.recommend.training import over_seeds, usual_rate
from ondevice_bench.recommend.way import Standing, Way
from ondevice_bench.running.session import Session
from ondevice_bench.suite.cell_ids import without_seed


class Ways:
    """The candidates that an answer shows."""

    def __init__(
        self,
        session: Session,
        question: Question,
        race: Race,
        labels: Mapping[str, str],
        sizes: Mapping[str, int | None],
        trials: CellTrials,
        warnings: Iterable[str] = (),
    ) -> None:
        summary = summarise(session.store, session.store.run(session.run.id))
        # when the run began, and now: a run may go on for days
        self._notes = tuple(dict.fromkeys((*summary.notes, *warnings)))
        self._cells = {each.planned.cell.id: each for each in summary.cells}
        lines = learning(summary) if question.learns else ()
        self._of_seeds = {cell.id: line.estimates for line in lines for cell in line.cells}
        self._question = question
        self._race = race
        self._labels = labels
        self._sizes = sizes
        self._trials = trials

    def way(self, name: str) -> Way:
        """A candidate with its results."""
        summary, race = self._cells[name], self._race
        cell = summary.planned.cell
        estimates = {**summary.estimates, **self._of_seeds.get(name, {})}
        accuracies = tuple(self._trials.accuracies.get(name, {}).values())
        standing: Standing = "winner"
        if name != race.leader:
            standing = "worse" if name in race.behind else race.relation(name)
        return Way(
            cell=cell,
            label=self._labels[name],
            standing=standing,
            is_exact=has_exact_updates(cell),
            meets_limits=name in race.fit,
            cost=race.cost(name) if race.readings.get(name) else None,
            ratio=race.ratios.get(name),
            estimates={
                metric: estimates[metric]
                for metric in shown_metrics(self._question)
                if metric in estimates
            },
            cosine=_lowest_cosine(summary),
            accuracy=over_seeds(accuracies) if accuracies else None,
            rate=usual_rate(self._trials.rates.get(name, {}).values()),
            rounds=len(race.readings.get(name, ())),
            tensor_bytes=self._sizes.get(name),
        )

    def rivals(self) -> tuple[Way, ...]:
        """The candidates that meet the limits and have readings, without the winner; best first."""
        race = self._race
        names = dict.fromkeys((*race.fit, *race.left))
        rivals = [name for name in names if name != race.leader and race.readings.get(name)]
        return tuple(self.way(name) for name in sorted(rivals, key=race.cost))

    def unread(self) -> tuple[str, ...]:
        """The labels of candidates that may be better, but were not measured yet."""
        race = self._race
        names = (name for name in race.left if name != race.leader and not race.readings.get(name))
        return tuple(self._labels[name] for name in names)

    def doubts(self) -> tuple[str, ...]:
        """What disturbed the measurements: the machine, other processes, or a quota."""
        of_any_seed = {without_seed(name) for name in self._cells if self._cells[name].is_disturbed}
        disturbed = sum(without_seed(name) in of_any_seed for name in self._labels)
        if not disturbed:
            return self._notes
        count = units.number_of(disturbed, "candidate")
        return (*self._notes, f"other processes or a quota disturbed the samples of {count}")

    def behind(self) -> tuple[Behind, ...]:
        """The candidates that cost more than the winner, the best first."""
        found = [
            Behind(self._labels[name], defeat, self._ratio(name))
            for name, defeat in self._race.behind.items()
        ]
        return tuple(sorted(found, key=lambda each: each.ratio or 0.0))

    def _ratio(self, name: str) -> float | None:
        """The cost of a candidate over the leader's; without readings, its guess over the best."""
        race = self._race
        if name in race.ratios:
            return race.ratios[name].ratio
        if race.readings.get(name) and race.leader and race.readings.get(race.leader):
            return race.cost(name) / race.cost(race.leader)
        return race.prior[name] / race.best_guess if race.best_guess else None


def _lowest_cosine(summary: CellSummary) -> float | None:
    found = (_value(summary, moment) for moment in MOMENTS)
    return min((value for value in found if value is not None), default=None)


def _value(summary: CellSummary, metric: str) -> float | None:
    estimate = summary.estimates.get(metric)
    return None if estimate is None else estimate.estimate
