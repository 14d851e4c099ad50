"""Claims of papers: published, computed and measured numbers on one axis, and the verdicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench import units
from ondevice_bench.papers.claims import JudgedClaim, Verdict
from ondevice_bench.papers.claims_table import (
    accounted,
    computed_lines,
    explanation,
    few_words,
    measured,
    published_text,
    statement,
)
from ondevice_bench.papers.glance import (
    NO_COMMAND,
    WaitingClaims,
    by_reason,
    by_verdict,
    counts,
    numbers,
)
from ondevice_bench.papers.scale import Scale, scale_of
from ondevice_bench.report.sections.section import ReportData, Section

_TONES: Mapping[Verdict, str] = {
    "reproduced": "proven",
    "reproduced as accounted, not as measured": "not-proven-yet",
    "not reproduced": "failed",
}
RATIOS = "Ratios: how many times less than the other method"
SAVINGS = "Savings: the share that is saved"
SHARES = "Accuracy and other shares"
BYTES, FLOPS = "Bytes", "FLOPs"
# by unit: the kind, and what one is in the unit of the axis (MiB, MFLOP)
_KINDS: Mapping[str, tuple[str, float]] = {
    "x": (RATIOS, 1),
    "%": (SHARES, 1),
    "KiB": (BYTES, 1 / 1024),
    "MiB": (BYTES, 1),
    "GiB": (BYTES, 1024),
    "MFLOP": (FLOPS, 1),
    "GFLOP": (FLOPS, 1000),
}
_TICKS: Mapping[str, Callable[[float], str]] = {
    RATIOS: "{:g}×".format,
    SAVINGS: "{:g} %".format,
    SHARES: "{:g} %".format,
    BYTES: "{:g} MiB".format,
    FLOPS: lambda value: units.flops(1e6 * value),
}


@dataclass(frozen=True)
class Line:
    """A claim beside its numbers.

    `marks` are their places on the axis in percent, by `published`, `computed` and `measured`.
    `span` is the interval of the measured one: its left end and width.
    """

    claim: JudgedClaim
    tone: str
    published: str
    computed: tuple[str, ...]
    measured: tuple[str, ...]
    explanation: tuple[str, ...]
    is_elsewhere: bool  # the measurement is from other conditions
    statement: str
    accounted: tuple[str, ...]
    all_measured: tuple[str, ...]
    marks: Mapping[str, float]
    span: tuple[float, float] | None


@dataclass(frozen=True)
class Kind:
    """The claims whose numbers are on one axis."""

    title: str
    ticks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]


def content(data: ReportData) -> Mapping[str, Any] | None:
    """The verdicts, an axis for each kind of number, and what the other claims wait for."""
    if not data.claims:
        return None
    by = dict(by_verdict(data.claims))
    reasons = by_reason(by.pop("not testable here", ()))
    outside = by.pop("not part of the method", ())
    return {
        "counts": tuple(counts(data.claims)),
        "kinds": _kinds([each for some in by.values() for each in some]),
        "waiting": [_folded(each) for each in reasons if each.reason.is_decided],
        "undecidable": [_folded(each) for each in reasons if not each.reason.is_decided],
        "no_command": NO_COMMAND,
        "outside": [(each.claim.id, statement(each.claim)) for each in outside],
    }


def _kinds(decided: Sequence[JudgedClaim]) -> list[Kind]:
    """An axis for each kind of number, in the order of `_TICKS`."""
    by_kind: dict[str, list[JudgedClaim]] = {kind: [] for kind in _TICKS}
    for each in decided:
        kind, _ = _KINDS[each.claim.unit]
        is_saving = kind == SHARES and each.claim.ratio_of is not None
        by_kind[SAVINGS if is_saving else kind].append(each)
    return [_kind(title, some) for title, some in by_kind.items() if some]


def _kind(title: str, some: Sequence[JudgedClaim]) -> Kind:
    found = [_on_axis(each) for each in some]
    values = [value for each in found for value in each.values]
    scale = scale_of(values, is_share=title in (SAVINGS, SHARES))
    ticks = tuple((scale.place(tick), _TICKS[title](tick)) for tick in scale.ticks())
    lines = tuple(_line(each, own, scale) for each, own in zip(some, found, strict=True))
    return Kind(title, ticks, lines)


@dataclass(frozen=True)
class _OnAxis:
    """The numbers of a claim in the unit of its axis, by the name of the mark."""

    numbers: Mapping[str, float]
    interval: tuple[float, float] | None

    @property
    def values(self) -> tuple[float, ...]:
        return (*self.numbers.values(), *(self.interval or ()))


def _on_axis(each: JudgedClaim) -> _OnAxis:
    found, (_, factor) = numbers(each), _KINDS[each.claim.unit]
    one = found.measured or found.elsewhere
    estimate = None if one is None else one.estimate
    given = {
        "published": found.published,
        "computed": found.computed,
        "measured": None if estimate is None else estimate.estimate,
    }
    here = {name: value * factor for name, value in given.items() if value is not None}
    if estimate is None or estimate.lower is None or estimate.upper is None:
        return _OnAxis(here, None)
    return _OnAxis(here, (estimate.lower * factor, estimate.upper * factor))


def _line(each: JudgedClaim, own: _OnAxis, scale: Scale) -> Line:
    claim, found = each.claim, numbers(each)
    one = found.measured or found.elsewhere
    return Line(
        claim=each,
        tone=_TONES.get(each.verdict, ""),
        published=published_text(claim),
        computed=tuple(computed_lines(each)),
        measured=() if one is None else few_words(claim, one),
        explanation=tuple(explanation(each)),
        is_elsewhere=found.elsewhere is not None,
        statement=statement(claim),
        accounted=tuple(accounted(each)),
        all_measured=tuple(measured(each)),
        marks={name: scale.place(value) for name, value in own.numbers.items()},
        span=None if own.interval is None else scale.span(*own.interval),
    )


def _folded(some: WaitingClaims) -> Mapping[str, Any]:
    return {
        "reason": some.reason,
        "claims": [
            (
                each.claim.id,
                published_text(each.claim),
                statement(each.claim),
                tuple(measured(each)),
            )
            for each in some.claims
        ],
    }


SECTION = Section(
    name="claims",
    title="What papers claim",
    text="Only numbers that meet the conditions of a claim decide its verdict. Numbers from other "
    "conditions are pale.",
    content=content,
    about="the page",
)
