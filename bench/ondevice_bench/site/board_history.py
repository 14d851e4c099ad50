"""A suite on one board: its runs in order, their history, and the verdict on the newest run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ondevice_bench.analyse.compare import compare
from ondevice_bench.analyse.comparison import SURE
from ondevice_bench.analyse.history import (
    History,
    HistoryQuery,
    Reading,
    history_of,
    undisturbed_estimate,
)
from ondevice_bench.analyse.series import HistoryChange, Series, Traits
from ondevice_bench.analyse.whole_run import judged_as_whole
from ondevice_bench.errors import ExitCode
from ondevice_bench.record.model import NOT_OK, Run
from ondevice_bench.report.gate.of_runs import outcome_of_runs
from ondevice_bench.report.gate.outcome import GateOutcome, counts_text
from ondevice_bench.site.digest import Digest
from ondevice_bench.site.places import Board
from ondevice_bench.suite.code import code_of, join_key
from ondevice_bench.suite.labels import LabelledCells, labelled
from ondevice_bench.units import number_of


@dataclass(frozen=True)
class Verdict:
    """The newest run compared with the run before it. `tone` is the colour, if it has one.

    A first run has no outcome. `counts` has the number of metrics of each verdict. `unjudged` has
    cells that the run before planned, too, but did not measure.
    """

    tone: str
    sentence: str
    counts: str
    outcome: GateOutcome | None
    failed: tuple[str, ...]
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunChanges:
    """The changes that appear first in one run."""

    run: Run
    changes: tuple[tuple[Series, HistoryChange], ...]

    @property
    def worse(self) -> int:
        """The number of changes for the worse."""
        return sum(not change.is_better for _, change in self.changes)

    @property
    def better(self) -> int:
        """The number of changes for the better."""
        return len(self.changes) - self.worse

    @property
    def tone(self) -> str:
        """`worse` if anything became worse."""
        return "worse" if self.worse else "better"

    @property
    def text(self) -> str:
        """How many metrics of how many cells changed."""
        cells = number_of(len({series.cell for series, _ in self.changes}), "cell")
        counts = ((self.worse, "worse"), (self.better, "better"))
        words = [f"{number_of(n, 'metric')} for the {word}" for n, word in counts if n]
        return f"{', '.join(words)}, in {cells}"


@dataclass(frozen=True)
class BoardHistory:
    """The runs of a suite on one board, in order, with their history and verdict."""

    board: Board
    digests: tuple[Digest, ...]
    history: History

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs, in order."""
        return self.history.runs

    @property
    def newest(self) -> Digest:
        """The last run of the order."""
        return self.digests[-1]

    @cached_property
    def workloads(self) -> tuple[LabelledCells, ...]:
        """The cells by workload. If the user's code has several versions, only the latest."""
        latest = {each.cell.key: each.cell for digest in self.digests for each in digest.cells}
        keys = dict.fromkeys(series.fingerprint for series in self.history.series)
        return labelled(latest[key] for key in keys)

    @cached_property
    def several_machines(self) -> bool:
        """Whether the series are of more than one machine, for example of two kernels."""
        return len({series.machine for series in self.history.series}) > 1

    @cached_property
    def by_run(self) -> tuple[RunChanges, ...]:
        """The confirmed changes, by the run in which they appear first. Newest runs come first."""
        found: dict[int, list[tuple[Series, HistoryChange]]] = {}
        for series, change in self.history.changes:
            if change.kind != "pending":
                found.setdefault(change.after.place, []).append((series, change))
        return tuple(
            RunChanges(self.runs[place], tuple(found[place])) for place in sorted(found)[::-1]
        )

    @cached_property
    def verdict(self) -> Verdict:
        """The newest run against the one before it, by the rules of `bench compare`."""
        new = self.newest
        failed = tuple(
            f"{each.cell.id}: {each.status}" for each in new.cells if each.status in NOT_OK
        )
        if len(self.digests) == 1:
            count = sum(bool(each.estimates) for each in new.cells)
            sentence = f"First run: {number_of(count, 'cell')} measured"
            return Verdict("worse" if failed else "", sentence, "", None, failed)
        # the page names the cells that are not judged by itself
        sides = self.digests[-2].summary(), new.summary()
        comparison = replace(judged_as_whole(compare(*sides), *sides), not_judged={})
        outcome = outcome_of_runs("bench site", comparison, SURE, lambda *_: None)
        counts = counts_text(outcome.rows)
        unjudged = tuple(_only_measured_in(new, self.digests[-2]))
        sentence, tone = _sentence(outcome, len(failed)), "worse" if failed else _tone(outcome)
        if unjudged and not failed and outcome.exit_code is ExitCode.OK:
            cells = number_of(len(unjudged), "cell")
            sentence, tone = f"{sentence}; {cells} not judged", "warning"
        return Verdict(tone, sentence, counts, outcome, failed, unjudged)


def board_history(
    board: Board, digests: Sequence[Digest], commits: Mapping[str, int]
) -> BoardHistory:
    """The history of these runs. `commits` has the place of each commit in the repository."""
    by_id = {each.facts.id: each for each in digests}
    known: dict[str, Traits] = {}
    found = (reading for each in digests for reading in _readings(each, known))
    history = history_of([each.run for each in digests], found, HistoryQuery(commits))
    return BoardHistory(board, tuple(by_id[run.id] for run in history.runs), history)


def _readings(digest: Digest, known: dict[str, Traits]) -> Iterator[Reading]:
    """The readings of a run. Equal traits share one object, to save memory in a long history."""
    for each in digest.cells:
        traits = known.get(each.cell.key)
        if traits is None or traits.details != each.traits:
            traits = Traits(
                each.cell.key, join_key(each.cell), code_of(each.cell), dict(each.traits)
            )
            known[each.cell.key] = traits
        for name, whole in each.estimates.items():
            rounds = [(value,) for value in each.rounds.get(name, ())]
            estimate = undisturbed_estimate(name, whole, rounds, each.disturbances.get(name, ()))
            if estimate is None:
                continue
            boards = ", ".join(sorted(set(each.units.get(name, ()))))
            launch = each.launches[name]
            meter = each.meters.get(name, "")
            yield Reading(digest.run, each.cell.id, name, launch, estimate, traits, boards, meter)


def _only_measured_in(new: Digest, base: Digest) -> Iterator[str]:
    """The cells of the new run that the base planned, but did not measure."""
    unmeasured = {join_key(each.cell) for each in base.cells if not each.estimates}
    measured = {join_key(each.cell) for each in base.cells if each.estimates}
    for each in new.cells:
        if each.estimates and join_key(each.cell) in unmeasured - measured:
            yield each.cell.id


def _sentence(outcome: GateOutcome, failed: int) -> str:
    """The decision in one sentence, with what is proven."""
    improved = outcome.with_verdict("improved")
    if failed and outcome.exit_code is not ExitCode.REGRESSION:
        return f"Failed: {number_of(failed, 'cell')} could not be measured"
    if outcome.exit_code is not ExitCode.OK:
        return outcome.sentence
    if not improved:
        return outcome.sentence.partition(":")[0]
    cells = number_of(len({row.cell for row in improved}), "cell")
    return f"Better: {number_of(len(improved), 'metric')} of {cells} improved"


def _tone(outcome: GateOutcome) -> str:
    match outcome.exit_code:
        case ExitCode.REGRESSION | ExitCode.CELL_FAILED:
            return "worse"
        case ExitCode.INCONCLUSIVE | ExitCode.NOTHING_RAN:
            return "warning"
        case _ if outcome.with_verdict("improved"):
            return "better"
        case _:
            return ""
