"""Boards side by side: which method wins where, what it costs there, and where boards disagree."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.boards import NOT_PLANNED, BoardRow, CellOnBoard, boards
from ondevice_bench.analyse.choice import PEAK, STEP, fewest
from ondevice_bench.analyse.differing_boards import differences, same_machine
from ondevice_bench.analyse.judgement import DRIFT
from ondevice_bench.analyse.learns_alike import losses_on_boards
from ondevice_bench.analyse.missing_metrics import EMULATED
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.verdict import first
from ondevice_bench.report.board_answers import DISTURBED as TIMES_DISTURBED
from ondevice_bench.report.board_answers import MAYBE_NO_FIT, NO_FIT
from ondevice_bench.report.board_names import board_names
from ondevice_bench.report.board_workloads import Workload, workloads
from ondevice_bench.report.cards import BADGES as CARD_BADGES
from ondevice_bench.report.cards import GRADIENT_UNKNOWN, about_noise, noisy_metrics
from ondevice_bench.report.folding import fold
from ondevice_bench.report.quantities import (
    Quantity,
    dash,
    quantity_of,
    ratio_quantity,
)
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.report.sections.verdict import goal_text
from ondevice_bench.report.shares import about_shares, about_torch, head_of_shares, limit_of_shares
from ondevice_bench.stats import WIDEST, Direction, Estimate
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import labelled, layers_text, shared_text, short_names
from ondevice_bench.units import percent
from ondevice_bench.validation.pi import about_other_boards, is_of_a_pi

SHORT_REASON = "not in that run"
DISTURBED = "other programs disturbed it"
PART_DISTURBED = "other programs disturbed one of the two numbers"
MOST_NAMED = 4  # methods that a line names
# what each badge means here
BADGES: Mapping[str, str] = {
    "proven": "the whole interval is below {baseline}'s number by more than the noise ({noise}), "
    "in enough undisturbed processes ({processes})",
    "not proven": "noise may make this difference, or hide it",
    "no gain": "no method is below {baseline} by more than the noise",
    "unknown": CARD_BADGES["unknown"],
    GRADIENT_UNKNOWN: CARD_BADGES[GRADIENT_UNKNOWN],
    TIMES_DISTURBED: "other programs or a quota took processors from some of these processes. Such "
    "a process proves nothing. Memory was measured in other processes, so this does not touch it",
    NO_FIT: "the peak is above the memory that a step may use",
    MAYBE_NO_FIT: "the interval of the peak ends above it",
}


def content(data: ReportData) -> Mapping[str, Any]:
    """The answers, a table for each metric, and the cells that no board has measured yet."""
    summaries = (data.summary, *data.others)
    names = board_names(one.run for one in summaries)
    limits = [limit_of_shares(one) for one in summaries]
    tables = []
    for name in metrics.HEADLINES:
        lines = boards(summaries, name, data.baseline)
        labels, shared, layers = _labels([line.cell for line in lines])
        is_same = all(_is_same(line, name) for line in lines) and any(
            len(_measured(line, name)) > 1 for line in lines
        )
        tables.append(
            {
                "metric": metrics.BY_NAME[name],
                "shares": [head_of_shares(one) if name == PEAK else "" for one in summaries],
                "about": _about_peaks(summaries, names) if name == PEAK and not is_same else [],
                "is_same": is_same,
                "shared": shared,
                "layers": layers,
                "lines": [
                    (
                        labels[line.cell],
                        _of_any_board(line, name, data.baseline)
                        if is_same
                        else _quantities(line, name, limits, data.baseline),
                    )
                    for line in lines
                ],
                "disagreements": [
                    (labels[line.cell], _directions(line, names))
                    for line in lines
                    if line.disagrees
                ],
                "missing": _missing(lines, labels, names),
                "unreliable": _unreliable(lines, labels, names),
            }
        )
    different = differences([one.run for one in summaries])
    found = workloads(summaries, names, data) if len(summaries) > 1 else []
    return {
        "workloads": found,
        "badges": _badges(found, data, names, summaries),
        "goal": goal_text(data.goal),
        "least_cosine": f"{data.goal.min_cosine:g}",
        "times_disturbed": TIMES_DISTURBED,
        "tables": tables,
        "boards": names,
        "other_first": _other_first(data),
        "widest": f"{WIDEST:g}",
        "baseline": data.baseline,
        **_learns_alike(summaries, names),
        "differences": different,
        "differ": [each.name for each in different if each.kind != "machine"],
        "same_machine": same_machine([one.run for one in summaries]),
        "disturbed_boards": [
            name
            for name, one in zip(names, summaries, strict=True)
            if any(cell.is_disturbed for cell in one.cells)
        ],
        "pending": Counter(cell.planned.profile for cell in data.cells if cell.status == "pending"),
        "emulated": [
            name
            for name, one in zip(names, summaries, strict=True)
            if one.run.settings.get("emulated")
        ],
        "emulated_means": EMULATED,
        "about_pi": _about_pi(data),
    }


def _about_peaks(summaries: Sequence[RunSummary], names: Sequence[str]) -> list[tuple[str, str]]:
    """What the shares of each board are of, and what peaks leave out."""
    return [
        (name, f"{about_shares(one)} {about_torch(one)}")
        for name, one in zip(names, summaries, strict=True)
        if any(PEAK in cell.estimates for cell in one.cells)
    ]


def _other_first(data: ReportData) -> str:
    """The command that draws this page about the second board."""
    runs = [one.run.id for one in (*data.others[:1], data.summary, *data.others[1:])]
    return shlex.join(["bench", "report", *runs, "--layout", data.layout])


def _about_pi(data: ReportData) -> str:
    """A sentence about times on a Raspberry Pi, if cells wait for one."""
    waiting = {cell.planned.profile for cell in data.cells if cell.status == "pending"}
    return about_other_boards(data.pis) if any(map(is_of_a_pi, waiting)) else ""


def _labels(cells: Sequence[Cell]) -> tuple[Mapping[Cell, str], str, str]:
    """The label of each line, with the options and layers that labels leave out."""
    groups = labelled(cells)
    if len(groups) > 1:
        return short_names(cells), "", ""
    (group,) = groups
    labels = dict(zip(group.cells, group.labels, strict=True))
    return labels, shared_text(group.cells), layers_text(group.cells)


def _badges(
    found: Sequence[Workload],
    data: ReportData,
    names: Sequence[str],
    summaries: Sequence[RunSummary],
) -> list[tuple[str, str]]:
    """The badges of the answers, each with its meaning."""
    noisy = noisy_metrics(data.goal)
    drifting = [n for n, one in zip(names, summaries, strict=True) if not one.is_interleaved]
    values = {
        "baseline": data.baseline,
        "noise": about_noise(data.goal)
        + (f"; {DRIFT}× that on {' and '.join(drifting)}" if drifting else ""),
        "processes": ", ".join(f"{m.noun} {fewest(m.name)}" for m in noisy),
    }
    shown = frozenset().union(*(workload.badges for workload in found))
    return [(badge, text.format(**values)) for badge, text in BADGES.items() if badge in shown]


def _learns_alike(summaries: Sequence[RunSummary], names: Sequence[str]) -> dict[str, Any]:
    """How many losses the boards share, and those in which they differ by more than rounding."""
    losses = losses_on_boards(summaries)
    different = [each for each in losses if not each.is_alike]
    widest = max((each.spread for each in losses), default=0.0)
    labels = short_names(each.cell for each in losses)
    at_most = math.ceil(round(1_000 * widest, 6)) / 1_000
    return {
        "losses": len(losses),
        "largest_loss_spread": percent(at_most) if at_most else "",
        "different_losses": [
            {
                "label": labels[each.cell],
                "metric": each.metric.label,
                "values": [
                    f"{value:.4g} on {name}"
                    for name, value in zip(names, each.values, strict=True)
                    if value is not None
                ],
                "start": {
                    True: "Both began with the same bytes of batch and weights.",
                    False: "They did not begin with the same bytes of batch and weights.",
                    None: "",
                }[each.same_start],
            }
            for each in different
        ],
    }


def _missing(
    lines: Sequence[BoardRow], labels: Mapping[Cell, str], names: Sequence[str]
) -> list[tuple[str, str, str]]:
    """What each board did not measure, and why: the board, the methods, the reason."""
    found = []
    for place, name in enumerate(names):
        texts = [
            (labels[line.cell], reason) for line in lines if (reason := line.boards[place].why_not)
        ]
        found += [(name, first(each.cells, MOST_NAMED), each.text) for each in fold(texts)]
    return found


def _unreliable(
    lines: Sequence[BoardRow], labels: Mapping[Cell, str], names: Sequence[str]
) -> list[tuple[str, str, str]]:
    """What was disturbed or imprecise: the board, the methods, which of both."""
    found = []
    for place, name in enumerate(names):
        measured = [line for line in lines if not line.boards[place].why_not]
        for what, is_so in (("disturbed", _is_disturbed), ("imprecise", _is_imprecise)):
            those = [labels[line.cell] for line in measured if is_so(line.boards[place])]
            if those:
                whole = len(those) == len(measured)
                who = "all methods" if whole else first(those, MOST_NAMED)
                found.append((name, who, what))
    return found


def _is_disturbed(on: CellOnBoard) -> bool:
    return on.is_disturbed


def _is_imprecise(on: CellOnBoard) -> bool:
    return on.cell is not None and on.metric == STEP and on.cell.is_imprecise


def _directions(line: BoardRow, names: Sequence[str]) -> list[tuple[str, Direction]]:
    """The direction on each board that has a ratio."""
    return [
        (name, on.direction)
        for name, on in zip(names, line.boards, strict=True)
        if on.ratio is not None
    ]


def _is_same(line: BoardRow, name: str) -> bool:
    """Whether all boards that measured it have the same exact number."""
    found = _measured(line, name)
    return all(each.basis == "exact" for each in found) and len(set(found)) <= 1


def _measured(line: BoardRow, name: str) -> list[Estimate]:
    """The numbers of all boards that measured it."""
    return [e for on in line.boards if on.cell and (e := on.cell.estimates.get(name))]


def _of_any_board(line: BoardRow, name: str, baseline: str) -> list[Quantity]:
    """The number and its ratio on the first board that measured it."""
    having = (on for on in line.boards if on.cell and name in on.cell.estimates)
    on = next(having, line.boards[0])
    return [_value(on, name), _to_baseline(on, name, baseline)]


def _with_share(peak: Quantity, limit: int | None) -> Quantity:
    """The peak of a cell, with its share of the limit."""
    if not limit or peak.value is None:
        return peak
    return replace(peak, share=percent(peak.value / limit))


def _quantities(
    line: BoardRow, name: str, limits: Sequence[int | None], baseline: str
) -> list[Quantity]:
    quantities = []
    for on, limit in zip(line.boards, limits, strict=True):
        value, ratio = _value(on, name), _to_baseline(on, name, baseline)
        value = _doubted(value, DISTURBED, on.is_disturbed)
        quantities += [
            _with_share(value, limit) if name == PEAK else value,
            _doubted(ratio, PART_DISTURBED, on.is_disturbed or on.is_base_disturbed),
        ]
    if len(line.boards) == 2:  # a column for each pair of more boards would fit no screen
        quantities.append(_between(line))
    return quantities


def _doubted(quantity: Quantity, why: str, is_so: bool) -> Quantity:
    """The same quantity; of no use if that is so, and if it is a number at all."""
    if not is_so or quantity.value is None:
        return quantity
    return replace(quantity, meaning=f"{quantity.meaning}; {why}", is_noisy=True)


def _between(line: BoardRow) -> Quantity:
    """The number of the second board over the first one's; of no use if others disturbed it."""
    found = _ratio(line.between, "of the second board over the first", line.why_no_between)
    return _doubted(found, PART_DISTURBED, any(on.is_disturbed for on in line.boards[:2]))


def _value(on: CellOnBoard, name: str) -> Quantity:
    if on.cell is None:
        return Quantity("–", SHORT_REASON, NOT_PLANNED)
    if not on.cell.estimates:
        return Quantity(on.cell.status, "", on.why_not)
    return quantity_of(on.cell, name)


def _to_baseline(on: CellOnBoard, name: str, baseline: str) -> Quantity:
    """The ratio to the baseline on the same board."""
    if on.cell is not None and name in on.cell.estimates and on.member is None:
        return Quantity("1×", "", f"{baseline} is what the others are compared with", 1.0)
    return _ratio(on.ratio, "of the baseline on that board", on.why_no_ratio)


def _ratio(ratio: Estimate | None, meaning: str, why_not: str) -> Quantity:
    if ratio is None:
        return dash(f"no ratio {meaning}: {why_not}")
    return ratio_quantity(ratio, meaning)


SECTION = Section(
    name="boards",
    title="Board by board",
    content=content,
    about="the page",
)
