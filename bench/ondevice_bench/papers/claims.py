"""The verdict on a published claim: pure, from what is accounted and measured here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ondevice_bench import units
from ondevice_bench.analyse.verdict import fewest
from ondevice_bench.papers.accounts import Account
from ondevice_bench.papers.evidence import Measured
from ondevice_bench.papers.published import Claim
from ondevice_bench.record import metrics
from ondevice_bench.units import MIB

Verdict = Literal[
    "reproduced",
    "reproduced as accounted, not measured yet",
    "reproduced as accounted, not as measured",
    "not reproduced",
    "not testable here",
    "not part of the method",
]
ABOUT = 0.05  # what a paper's "about" may be off
WIDEST = 0.2  # of the figure: a wider interval that holds it says nothing
NAMED = 3


@dataclass(frozen=True)
class Judged:
    """A claim, all that was found of it, and what follows."""

    claim: Claim
    accounts: tuple[Account, ...]
    measured: tuple[Measured, ...]
    verdict: Verdict
    because: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        claim = self.claim
        return {
            "id": claim.id,
            "paper": claim.paper,
            "says": claim.says,
            "published": claim.value,
            "unit": claim.unit,
            "reach": claim.reach,
            "source": claim.source,
            "computed": claim.computed,
            "scope": claim.scope,
            "verdict": self.verdict,
            "because": self.because,
            "accounted": [
                {
                    "cell": found.cell,
                    "dialect": claim.dialect,
                    "published": found.published,
                    "exact": found.exact,
                    "differs": list(found.differs),
                }
                for found in self.accounts
            ],
            "measured": [
                {
                    "run": found.run,
                    "board": found.board,
                    "cell": found.cell,
                    "metric": found.metric,
                    "scope": metrics.described(found.metric).scope,
                    **found.found.to_json(),
                    "processes": found.processes,
                    "differs": list(found.differs),
                    "anatomy": found.anatomy,
                }
                for found in self.measured
            ],
        }


def judge(claim: Claim, accounts: Sequence[Account], measured: Sequence[Measured]) -> Judged:
    """The verdict on one claim; only what meets its conditions bears one."""
    verdict, because = _verdict(
        claim,
        [found for found in accounts if not found.differs],
        [found for found in measured if not found.differs],
    )
    return Judged(claim, tuple(accounts), tuple(measured), verdict, because)


def _verdict(
    claim: Claim, accounts: Sequence[Account], measured: Sequence[Measured]
) -> tuple[Verdict, str]:
    if claim.computed == "secondary":
        return "not part of the method", claim.scope
    if claim.untestable or claim.value is None:
        return "not testable here", claim.untestable or "it has no figure"
    deciding = [found for found in measured if found.metric == claim.measured[0]]
    if claim.computed == "measured":
        return _as_measured(claim, deciding)
    values = [found.published for found in accounts if found.published is not None]
    if not values:
        return "not testable here", f"it needs {claim.needs}" if claim.needs else "no account of it"
    best = max(values) if claim.reach in ("up to", "over") else _nearest(claim, values)
    said = f"accounted: {figure(claim, best)}"
    if not agrees(claim, best):
        return "not reproduced", said
    if not claim.measured:
        return "reproduced", said
    if not deciding:
        return "reproduced as accounted, not measured yet", said
    verdict, because = _as_measured(claim, deciding)
    match verdict:
        case "reproduced":
            return "reproduced", f"{said}; measured: {because}"
        case "not reproduced":
            worst = next((found.anatomy for found in deciding if found.anatomy), "")
            why = f"{said}; measured: {because}{'; ' if worst else ''}{worst}"
            return "reproduced as accounted, not as measured", why
    return "reproduced as accounted, not measured yet", f"{said}; {because}"


def _as_measured(claim: Claim, found: Sequence[Measured]) -> tuple[Verdict, str]:
    """What the deciding metric says, over every board that met the conditions."""
    if not found:
        return "not testable here", _missing(claim)
    told = [(each, tells(claim, each)) for each in found]
    for each, says in told:
        if says == "yes":
            return "reproduced", _on_board(claim, each)
    for each, says in told:
        if says == "unsure":
            why = "too wide an interval to tell"
            if not _is_sure(each):
                why = f"from {each.processes} processes a side, and {fewest(each.metric)} can tell"
            return "not testable here", f"{_on_board(claim, each)}, {why}"
    return "not reproduced", ", ".join(_on_board(claim, each) for each in found[:NAMED])


def _on_board(claim: Claim, each: Measured) -> str:
    return f"{shown(claim, each)} on {each.board}"


def _missing(claim: Claim) -> str:
    boards = f"a run on {' or '.join(claim.boards)}" if claim.boards else "a run of such a cell"
    return f"it needs {boards}{f', and {claim.needs}' if claim.needs else ''}"


def _is_sure(each: Measured) -> bool:
    bounded = each.found.lower is not None and each.found.upper is not None
    return bounded and each.processes >= fewest(each.metric)


def agrees(claim: Claim, value: float) -> bool:
    """Whether an accounted figure is the published one: to its last digit, or as far as it goes."""
    assert claim.value is not None
    match claim.reach:
        case "exactly":
            return abs(value - claim.value) <= claim.half_digit
        case "about":
            return abs(value - claim.value) <= max(claim.half_digit, ABOUT * claim.value)
        case _:
            return value >= claim.value - claim.half_digit


def tells(claim: Claim, each: Measured) -> Literal["yes", "no", "unsure"]:
    """Whether a measured figure is the published one; both bounds are widened by what is noise.

    Of a ratio or a saving more than was claimed is as good. An interval that holds the figure says
    so only if it is narrow.
    """
    assert claim.value is not None
    if not _is_sure(each):
        return "unsure"
    low, high = _widened(claim, each)
    slack = max(claim.half_digit, ABOUT * claim.value if claim.reach == "about" else 0.0)
    is_gain = claim.ratio_of is not None
    if high < claim.value - slack or (low > claim.value + slack and not is_gain):
        return "no"
    if is_gain and low >= claim.value - slack:
        return "yes"
    assert each.found.lower is not None
    assert each.found.upper is not None
    narrow = each.found.upper - each.found.lower <= WIDEST * claim.value
    return "yes" if narrow else "unsure"


def _widened(claim: Claim, each: Measured) -> tuple[float, float]:
    low, high = each.found.lower, each.found.upper
    assert low is not None
    assert high is not None
    noise = 1 + metrics.described(each.metric).threshold
    if claim.unit == "%" and claim.ratio_of is not None:  # noise is of what is left
        return 100 - (100 - low) * noise, 100 - (100 - high) / noise
    return low / noise, high * noise


def _nearest(claim: Claim, values: Sequence[float]) -> float:
    published = claim.value
    assert published is not None
    return min(values, key=lambda value: abs(value - published))


def figure(claim: Claim, value: float) -> str:
    """A number in the claim's unit."""
    match claim.unit:
        case "MiB":
            return units.mib(value * MIB)
        case "x":
            return units.ratio(value)
    return f"{value:.2f} %"


def against(claim: Claim) -> str:
    """What a ratio or a saving is of."""
    if claim.ratio_of is None:
        return ""
    how = "over its own" if claim.unit == "x" else "saved"
    return f", {claim.ratio_of}'s {how}:"


def shown(claim: Claim, each: Measured) -> str:
    """A measured figure with its interval, and what it is of."""
    found, label = each.found, metrics.described(each.metric).label
    said = f"{label}{against(claim)} {figure(claim, found.estimate)}"
    if found.basis == "exact":
        return said
    if found.lower is None or found.upper is None:
        return f"{said} (no interval)"
    return f"{said} ({figure(claim, found.lower)} … {figure(claim, found.upper)})"
