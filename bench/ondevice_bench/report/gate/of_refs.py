"""The outcome of a comparison of two git refs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from statistics import median

from ondevice_bench import metrics, units
from ondevice_bench.analyse.cell_pair import CellPair
from ondevice_bench.errors import ExitCode
from ondevice_bench.report.gate.outcome import GateOutcome, GateRow, Place
from ondevice_bench.report.quantities import exact_text
from ondevice_bench.report.terminal.comparison import exact_size

STEP = "step_seconds"


def outcome_of_refs(
    names: Sequence[str],
    pairs: Sequence[CellPair],
    *,
    only_in: tuple[Sequence[str], Sequence[str]],
    notes: Sequence[str],
    exit_code: ExitCode,
    fail_on: Collection[str],
    remarks: Mapping[str, str],
    place_of: Callable[[CellPair, str], Place | None],
) -> GateOutcome:
    """The pairs as rows: the step of each, and its exact metrics. `remarks` are by cell."""
    return GateOutcome(
        title="bench ab",
        base=names[0],
        new=names[1],
        rows=tuple(
            row
            for pair in pairs
            for row in (*_exact(pair, place_of), _step(pair, remarks.get(pair.name, ""), place_of))
        ),
        only_in_base=tuple(only_in[0]),
        only_in_new=tuple(only_in[1]),
        notes=tuple(notes),
        exit_code=exit_code,
        failing=frozenset(fail_on),
    )


def _step(
    pair: CellPair, remark: str, place_of: Callable[[CellPair, str], Place | None]
) -> GateRow:
    """The time of a step on both sides. The ratio comes from pairs of steps, not from these."""
    sides = [_seconds(side) for side in (pair.base, pair.new)]
    verdict = pair.step_verdict
    return GateRow(
        cell=pair.name,
        metric=STEP,
        base=sides[0],
        new=sides[1],
        change=ratio_text(pair),
        verdict=verdict,
        remark="; ".join(filter(None, [pair.remark, remark])),
        place=None if verdict == "unchanged" else place_of(pair, STEP),
    )


def ratio_text(pair: CellPair) -> str:
    """The ratio of the steps with its interval; empty if there is none."""
    if pair.step is None:
        return ""
    ratio = units.ratio(pair.step.ratio)
    if pair.step.upper == inf:
        return ratio
    return f"{ratio}, {units.ratio(pair.step.lower)} … {units.ratio(pair.step.upper)}"


def _seconds(readings: Sequence[float]) -> str:
    if not readings:
        return "not measured"
    return units.quantity(median(readings), metrics.BY_NAME[STEP].unit)


def _exact(pair: CellPair, place_of: Callable[[CellPair, str], Place | None]) -> list[GateRow]:
    differing = [
        GateRow(
            pair.name,
            each.metric,
            exact_text(each.metric, each.base),
            exact_text(each.metric, each.new),
            exact_size(each.base, each.new) if each.base > 0 else "",
            each.verdict,
            place=place_of(pair, each.metric),
        )
        for each in pair.differences
    ]
    equal = [
        GateRow(pair.name, name, text, text, "", "unchanged")
        for name, value in pair.equal.items()
        for text in [exact_text(name, value)]
    ]
    missing = [
        GateRow(
            pair.name,
            each.metric,
            exact_text(each.metric, each.base),
            "not measured",
            "",
            "missing",
            each.reason,
            place_of(pair, each.metric),
        )
        for each in pair.missing
    ]
    return [*differing, *missing, *equal]
