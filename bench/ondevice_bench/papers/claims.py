"""The verdict on a published claim, from numbers that were computed and measured here. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ondevice_bench import metrics, units
from ondevice_bench.analyse.choice import fewest
from ondevice_bench.papers.accounts import Account
from ondevice_bench.papers.evidence import MeasuredClaim
from ondevice_bench.papers.published import Claim, Reach
from ondevice_bench.units import MIB

Verdict = Literal[
    "reproduced",
    "reproduced as accounted, not measured yet",
    "reproduced as accounted, not as measured",
    "not reproduced",
    "not testable here",
    "not part of the method",
]
ABOUT = 0.05  # the largest relative difference that "about" allows
WIDEST = 0.2  # of the number; a wider interval around it decides nothing
CLOSE = 0.5  # differences are given in % up to this
LISTED = 3
_LEAST: tuple[Reach, ...] = ("up to", "over")  # a larger number agrees, too
_REACHED: tuple[Verdict, ...] = ("reproduced", "reproduced as accounted, not measured yet")


@dataclass(frozen=True)
class JudgedClaim:
    """A claim, its numbers here, and the verdict."""

    claim: Claim
    accounts: tuple[Account, ...]
    measured: tuple[MeasuredClaim, ...]
    verdict: Verdict
    because: str

    def to_dict(self) -> dict[str, Any]:
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
            "needs": claim.needs,
            "command": claim.command,
            "remark": claim.remark,
            "verdict": self.verdict,
            "because": self.because,
            "accounted": [
                {
                    "cell": one.cell,
                    "dialect": claim.dialect,
                    "published": one.published,
                    "exact": one.exact,
                    "differs": list(one.differs),
                    "why_not": one.why_not,
                }
                for one in self.accounts
            ],
            "measured": [
                {
                    "run": one.run,
                    "board": one.board,
                    "cell": one.cell,
                    "metric": one.metric,
                    "scope": metrics.described(one.metric).scope,
                    **one.estimate.to_dict(),
                    "processes": one.processes,
                    "differs": list(one.differs),
                    "anatomy": one.anatomy,
                }
                for one in self.measured
            ],
        }


def judge(
    claim: Claim, accounts: Sequence[Account], measured: Sequence[MeasuredClaim]
) -> JudgedClaim:
    """The verdict on one claim. Only numbers that meet its conditions decide it."""
    verdict, because = _verdict(
        claim,
        [one for one in accounts if not one.differs],
        [one for one in measured if not one.differs],
    )
    if claim.reach in _LEAST and verdict in _REACHED:
        because = f"at least as much; {because}"
    return JudgedClaim(claim, tuple(accounts), tuple(measured), verdict, because)


def _verdict(
    claim: Claim, accounts: Sequence[Account], measured: Sequence[MeasuredClaim]
) -> tuple[Verdict, str]:
    if claim.computed == "secondary":
        return "not part of the method", claim.scope
    if claim.untestable or claim.value is None:
        return "not testable here", claim.untestable or "it has no number"
    deciding = [one for one in measured if one.metric == claim.measured[0]]
    if claim.computed == "measured":
        return _as_measured(claim, deciding)
    best = computed_value(claim, accounts)
    if best is None:
        return (
            "not testable here",
            f"it needs {claim.needs}" if claim.needs else "there is no account of it",
        )
    computed = f"computed: {in_unit(claim, best)}"
    if not agrees(claim, best):
        return "not reproduced", ", ".join(filter(None, [computed, apart(claim, best)]))
    if not claim.measured:
        return "reproduced", computed
    if not deciding:
        return "reproduced as accounted, not measured yet", computed
    verdict, because = _as_measured(claim, deciding)
    match verdict:
        case "reproduced":
            return "reproduced", f"{computed}; measured: {because}"
        case "not reproduced":
            worst = next((one.anatomy for one in deciding if one.anatomy), "")
            why = f"{computed}; measured: {because}{'; ' if worst else ''}{worst}"
            return "reproduced as accounted, not as measured", why
    return "reproduced as accounted, not measured yet", f"{computed}; {because}"


def computed_value(claim: Claim, accounts: Sequence[Account]) -> float | None:
    """The computed number that decides: the nearest one, or the largest for `up to` and `over`."""
    values = [one.published for one in accounts if one.published is not None and not one.differs]
    if not values:
        return None
    return max(values) if claim.reach in _LEAST else _nearest(claim, values)


def apart(claim: Claim, value: float) -> str:
    """The relative difference of a computed number that is close, as text: 0.02% less."""
    assert claim.value is not None
    if claim.unit == "%" or not claim.value:
        return ""
    share = value / claim.value - 1
    return f"{abs(share):.2%} {'more' if share > 0 else 'less'}" if abs(share) < CLOSE else ""


def _as_measured(claim: Claim, measurements: Sequence[MeasuredClaim]) -> tuple[Verdict, str]:
    """The verdict by the deciding metric, on every board that meets the conditions."""
    if not measurements:
        return "not testable here", _missing(claim)
    answers = [(each, shows(claim, each)) for each in measurements]
    for each, answer in answers:
        if answer == "yes":
            return "reproduced", _on_board(claim, each)
    for each, answer in answers:
        if answer == "unsure":
            why = "and the interval is too wide to decide"
            if not _is_sure(each):
                needed = fewest(each.metric)
                why = f"but {needed} processes on each side are needed, not {each.processes}"
            return "not testable here", f"{_on_board(claim, each)}, {why}"
    return "not reproduced", ", ".join(_on_board(claim, each) for each in measurements[:LISTED])


def _on_board(claim: Claim, each: MeasuredClaim) -> str:
    return f"{measured_text(claim, each)} on {each.board}"


def _missing(claim: Claim) -> str:
    boards = f"a run on {' or '.join(claim.boards)}" if claim.boards else "a run of such a cell"
    return f"it needs {boards}{f', and {claim.needs}' if claim.needs else ''}"


def _is_sure(each: MeasuredClaim) -> bool:
    bounded = each.estimate.lower is not None and each.estimate.upper is not None
    return bounded and each.processes >= fewest(each.metric)


def agrees(claim: Claim, value: float) -> bool:
    """Whether a computed number agrees with the published one, within the claim's `reach`."""
    assert claim.value is not None
    match claim.reach:
        case "exactly":
            return abs(value - claim.value) <= claim.half_digit
        case "about":
            return abs(value - claim.value) <= max(claim.half_digit, ABOUT * claim.value)
        case _:
            return value >= claim.value - claim.half_digit


def shows(claim: Claim, each: MeasuredClaim) -> Literal["yes", "no", "unsure"]:
    """Whether a measured number agrees with the published one. The noise widens both bounds.

    A ratio, a saving, or a number with `up to` or `over` may also be larger than claimed. An
    interval around the published number counts only if it is narrow.
    """
    assert claim.value is not None
    if not _is_sure(each):
        return "unsure"
    low, high = _widened(claim, each)
    slack = max(claim.half_digit, ABOUT * claim.value if claim.reach == "about" else 0.0)
    is_gain = claim.ratio_of is not None or claim.reach in _LEAST
    if high < claim.value - slack or (low > claim.value + slack and not is_gain):
        return "no"
    if is_gain and low >= claim.value - slack:
        return "yes"
    assert each.estimate.lower is not None
    assert each.estimate.upper is not None
    narrow = each.estimate.upper - each.estimate.lower <= WIDEST * claim.value
    return "yes" if narrow else "unsure"


def _widened(claim: Claim, each: MeasuredClaim) -> tuple[float, float]:
    low, high = each.estimate.lower, each.estimate.upper
    assert low is not None
    assert high is not None
    noise = 1 + metrics.described(each.metric).threshold
    if (
        claim.unit == "%" and claim.ratio_of is not None
    ):  # the noise is of the bytes or time that remain
        return 100 - (100 - low) * noise, 100 - (100 - high) / noise
    return low / noise, high * noise


def _nearest(claim: Claim, values: Sequence[float]) -> float:
    published = claim.value
    assert published is not None
    return min(values, key=lambda value: abs(value - published))


def in_unit(claim: Claim, value: float) -> str:
    """A number in the claim's unit."""
    match claim.unit:
        case "MiB":
            return units.mib(value * MIB)
        case "x":
            return units.ratio(value)
        case "KiB" | "GiB" | "MFLOP" | "GFLOP":
            return f"{value:.{claim.decimals + 1}f} {claim.unit}"
    return f"{value:.2f} %"


def comparison(claim: Claim) -> str:
    """The two sides of a ratio or a saving, as text."""
    if claim.ratio_of is None:
        return ""
    how = "over its own" if claim.unit == "x" else "saved"
    return f", {claim.ratio_of}'s {how}:"


def measured_text(claim: Claim, each: MeasuredClaim) -> str:
    """A measured number with its interval, and its metric."""
    estimate, label = each.estimate, metrics.described(each.metric).label
    text = f"{label}{comparison(claim)} {in_unit(claim, estimate.estimate)}"
    if estimate.basis == "exact":
        return text
    if estimate.lower is None or estimate.upper is None:
        return f"{text} (no interval)"
    return f"{text} ({in_unit(claim, estimate.lower)} … {in_unit(claim, estimate.upper)})"
