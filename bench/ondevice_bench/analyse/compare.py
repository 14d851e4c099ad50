"""Two runs side by side, cell by cell. `suite/join.py` says which cells are the same.

Exact metrics are compared by equality. Noisy metrics are compared by rounds, because processes
differ more than the samples of one process. A difference is claimed if the whole interval of the
ratio lies beyond the metric's threshold. The confidence grows with the number of comparisons
(Bonferroni). Noisy metrics are not compared between different machines, between forked and spawned
processes, or between different boards of a fleet. Processes that other programs or a quota
disturbed are left out: what slowed them is not the code. A run that was not interleaved does not
show a drift of the machine, so its threshold is twice as high. So is that of a cell that was
measured apart from the others of its run. If more rounds failed in the new run, it is worse,
whatever the other rounds show.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median

from ondevice_bench import metrics
from ondevice_bench.analyse.changed_settings import changed_settings
from ondevice_bench.analyse.comparison import Comparison, Difference
from ondevice_bench.analyse.failed_rounds import more_failed
from ondevice_bench.analyse.judgement import DRIFT, exact_verdict, noisy_verdict
from ondevice_bench.analyse.meters import why_not_together
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.record.acceptance import Acceptance
from ondevice_bench.record.model import Run
from ondevice_bench.stats import fewest_rounds, rounds_to_decide, shift
from ondevice_bench.suite.code import changes_between
from ondevice_bench.suite.join import JoinedCells, join

NOISY = metrics.with_role("compared")
OTHER_KERNELS = (
    "torch, the kind of processor or the number of threads differs, and other kernels give other "
    "values"
)
CONFIDENCE = 0.95  # that no claim on a noisy metric is false
_Accepted = Mapping[tuple[str, str], Acceptance]  # by cell and metric


def compare(
    base: RunSummary, new: RunSummary, *, claims: int | None = None, same_code: bool = False
) -> Comparison:
    """Compare the cells that are joined. Other cells are listed, never compared.

    `claims` is the number of all noisy comparisons, if these two runs are only a part of a larger
    comparison. With `same_code`, cells with two versions of the user's code are not joined.
    """
    bases, news = base.planned, new.planned
    joined = join_cells(bases, news, same_code=same_code)
    by_id = ({cell.id: cell for cell in side} for side in (bases, news))
    of_base, of_new = by_id
    both = [(of_base[cell.id], of_new[other.id]) for cell, other in joined.pairs]
    same_kernels = kernels_of(base.run) == kernels_of(new.run)
    exact = [m for m in metrics.ALL if m.kind == "exact" and (same_kernels or not m.of_kernels)]
    left_out = [m.name for m in metrics.ALL if m.of_kernels and not same_kernels]
    reason = _why_not_noisy(base, new)
    timed = [
        (cell, other, name)
        for cell, other in both
        for name in NOISY
        if not reason and name in cell.estimates
    ]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(timed) if claims is None else claims)
    sides = (base, new) if timed else ()
    one_by_one = tuple(dict.fromkeys(side.run.id for side in sides if not side.is_interleaved))
    alone = () if one_by_one else tuple(_measured_apart(base, new, timed))
    drifting = {(cell, name) for _, cell, name in alone}
    accepted = {(each.cell, each.metric): each for each in base.accepted}
    changes = {cell.id: changes_between(cell, other) for cell, other in joined.pairs}
    units = (base.run.unit, new.run.unit)
    return Comparison(
        base=base.run.id,
        new=new.run.id,
        differences=(
            *(
                difference
                for cell, other in both
                for difference in _differences(cell, other, exact, accepted)
            ),
            *(
                _on_other_boards(cell, other, name, units)
                or _noisy(
                    cell,
                    other,
                    name,
                    confidence,
                    DRIFT if one_by_one or (cell.id, name) in drifting else 1,
                    accepted,
                )
                for cell, other, name in timed
            ),
        ),
        only_in_base=tuple(cell.id for cell in joined.only_in_base),
        only_in_new=tuple(cell.id for cell in joined.only_in_new),
        unlike=_environment_differences(base, new),
        not_compared=reason,
        of_other_kernels=tuple(
            name for name in left_out if any(name in cell.estimates for cell, _ in both)
        ),
        not_interleaved=one_by_one or tuple(dict.fromkeys(where for where, _, _ in alone)),
        ambiguous=tuple(cell.id for cell in joined.ambiguous),
        code={cell: change for cell, change in changes.items() if change},
        lost=metrics_of(of_base[cell.id] for cell in joined.only_in_base),
        failed=tuple(
            each for cell, other in both for each in more_failed(cell.id, cell.rounds, other.rounds)
        ),
        not_judged={cell.id: why for cell, _ in both if (why := _why_no_result(cell))},
        joined=len(both),
    )


def _measured_apart(
    base: RunSummary, new: RunSummary, timed: Iterable[tuple[CellSummary, CellSummary, str]]
) -> Iterator[tuple[str, str, str]]:
    """The cells that were measured apart: the run and the cell, its id in the base, the metric.

    Its rounds then show as little of a drift as those of a run that was not interleaved.
    """
    for cell, other, name in timed:
        for side, one in ((base, cell), (new, other)):
            if metrics.BY_NAME[name].pass_name in one.apart:
                yield f"{side.run.id}: {one.id}", cell.id, name


def join_cells(
    base: Iterable[CellSummary], new: Iterable[CellSummary], *, same_code: bool = False
) -> JoinedCells:
    """Join the cells of two runs. Cells that wait for another board are left out."""
    bases, news = (
        [each.planned.cell for each in side if each.planned.state == "planned"]
        for side in (base, new)
    )
    return join(bases, news, same_code=same_code)


def metrics_of(cells: Iterable[CellSummary]) -> int:
    """The number of metrics of these cells that a comparison looks at."""
    looked_at = {metric.name for metric in metrics.ALL if metric.kind == "exact"} | set(NOISY)
    return sum(len(looked_at & set(cell.estimates)) for cell in cells)


def claims_on(cells: Iterable[CellSummary]) -> int:
    """The number of noisy comparisons that these cells lead to."""
    return sum(name in cell.estimates for cell in cells for name in NOISY)


def _why_no_result(cell: CellSummary) -> str:
    """Which result the base lacks, of the cell or of passes over it, and why; empty if none."""
    if not cell.estimates:
        return ": ".join(["no result", cell.status, *cell.problems[:1]])
    lost = {name: each for name, each in cell.rounds.items() if each.failed == each.of}
    reason = next((each.reason for each in lost.values()), "")
    return f"no result of {', '.join(lost)}: {reason}" if lost else ""


def _why_not_noisy(base: RunSummary, new: RunSummary) -> str:
    """Why noisy metrics are not compared: the machines differ. Empty if they do not.

    Only a run over ssh knows its unit. One that knows none may come from the same machine.
    """
    one, other = base.run.machine, new.run.machine
    differing = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    if not (base.run.unit and new.run.unit):
        differing = [name for name in differing if name != "unit"]
    if differing:
        return f"times and memory were measured on different machines ({', '.join(differing)})"
    return ""


def _on_other_boards(
    base: CellSummary, new: CellSummary, name: str, units: tuple[str, str]
) -> Difference | None:
    """The verdict on a noisy metric if other boards measured it; None if it can be compared.

    Boards of a fleet differ. A difference between boards must not look like one between runs.
    """
    one, other = (
        Counter(unit for _, unit in cell.origins.get(name, ())) or Counter(filter(None, [unit]))
        for cell, unit in zip((base, new), units, strict=True)
    )
    is_known = bool(one and other)
    if not is_known and max(len(one), len(other)) <= 1:
        return None  # it may be the same machine
    if is_known and one.keys() == other.keys() and (len(one) == 1 or one == other):
        return None
    after = _rounds(new, name)
    if not after:
        return None
    return Difference(
        base.id,
        name,
        median(_rounds(base, name)),
        median(after),
        "inconclusive",
        reason="the base was measured on other boards, or with other numbers of rounds on them: "
        "such numbers are not compared",
    )


def _noisy(
    base: CellSummary,
    new: CellSummary,
    name: str,
    confidence: float,
    drift: int,
    accepted: _Accepted,
) -> Difference:
    metric = metrics.BY_NAME[name]
    acceptance = accepted.get((base.id, name))
    measured, everything = _rounds(base, name), _rounds(new, name)
    quiet, after = undisturbed(base, name), undisturbed(new, name)
    before = list(acceptance.values) if acceptance else quiet
    found = Difference(
        base.id,
        name,
        median(before or measured),
        median(after or everything) if everything else None,
        "inconclusive",
        accepted=acceptance.text if acceptance else "",
    )
    if not everything:
        return replace(found, verdict="missing", reason=new.unavailable[name])
    if base.launches[name] != new.launches[name]:
        return replace(
            found,
            reason=f"its processes were {base.launches[name]} in the base and {new.launches[name]} "
            "in the new run: such numbers are not compared",
        )
    if why := why_not_together(name, base.meters, new.meters):
        return replace(found, reason=f"{why}: such numbers are not compared")
    bases, news = ([metric.for_ratio(value) for value in side] for side in (before, after))
    if min((*bases, *news), default=1) <= 0:
        return replace(found, reason="a reading is not positive, so there is no ratio")
    threshold = drift * metric.threshold
    change = shift(bases, news, threshold, confidence) if bases and news else None
    if change is None or change.upper == float("inf"):
        fewest = fewest_rounds(confidence)
        is_less = len(after) < len(everything) or (not acceptance and len(quiet) < len(measured))
        which = "undisturbed processes" if is_less else "processes"
        reason = f"{len(before)} and {len(after)} {which} measured it; {fewest} each are needed"
        is_short = min(len(measured), len(everything)) < fewest
        return replace(found, reason=reason, rounds_needed=fewest, is_short=is_short)
    verdict = noisy_verdict(metric, change)
    if acceptance and verdict == "unchanged":
        return replace(found, base=median(measured), verdict="accepted")
    needed = None
    if verdict == "inconclusive":
        needed = rounds_to_decide(change, min(len(before), len(after)), threshold)
    return replace(
        found,
        verdict=verdict,
        ratio=change.ratio,
        lower=change.lower,
        upper=change.upper,
        rounds_needed=needed,
        is_near=verdict == "inconclusive" and change.upper <= change.lower * (1 + threshold) ** 2,
    )


def _rounds(cell: CellSummary, name: str) -> list[float]:
    """One reading for each process: the median of its samples."""
    return [median(samples) for samples in cell.samples.get(name, ()) if samples]


def undisturbed(cell: CellSummary, name: str) -> list[float]:
    """The same of the processes from which nothing took processors: only these count as proof."""
    return [median(samples) for samples in cell.undisturbed(name)]


def kernels_of(run: Run) -> tuple[object, ...]:
    """The machine and software that decide which kernels are used, and how they share the work."""
    names = ("torch", "torch_commit", "torch_blas", "torch_cpu")
    machine = (run.machine.get("arch"), run.machine.get("threads"))
    return (*machine, *(run.software.get(name) for name in names))


def _differences(
    base: CellSummary,
    new: CellSummary,
    compared: Sequence[metrics.Metric],
    accepted: _Accepted,
) -> list[Difference]:
    return [
        _exact(base, new, metric, accepted.get((base.id, metric.name)))
        for metric in compared
        if metric.name in base.estimates
    ]


def _exact(
    base: CellSummary, new: CellSummary, metric: metrics.Metric, acceptance: Acceptance | None
) -> Difference:
    before = base.estimates[metric.name].estimate
    judged = median(acceptance.values) if acceptance else before
    text = acceptance.text if acceptance else ""
    after = new.estimates.get(metric.name)
    if after is None:
        why = new.unavailable.get(metric.name, "")
        return Difference(base.id, metric.name, judged, None, "missing", reason=why, accepted=text)
    verdict = exact_verdict(metric, judged, after.estimate)
    if acceptance and verdict == "unchanged":
        return Difference(base.id, metric.name, before, after.estimate, "accepted", accepted=text)
    return Difference(base.id, metric.name, judged, after.estimate, verdict, accepted=text)


def _environment_differences(base: RunSummary, new: RunSummary) -> tuple[str, ...]:
    """Differences in software, machine and settings. They are the first causes to check."""
    found = [
        f"{kind} {name}: {before.get(name)} → {after.get(name)}"
        for kind, before, after in (
            ("software", base.run.software, new.run.software),
            ("machine", base.run.machine, new.run.machine),
        )
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    return (*found, *changed_settings(base.run, new.run))
