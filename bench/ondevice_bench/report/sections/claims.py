"""Claims of papers: published, computed and measured numbers on one axis, and the verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench.papers.claims import JudgedClaim, Verdict, in_unit
from ondevice_bench.papers.claims_table import (
    accounted,
    explanation,
    few_words,
    measured,
    published_text,
    sign_of,
    statement,
)
from ondevice_bench.papers.evidence import Measurement
from ondevice_bench.papers.glance import (
    NO_COMMAND,
    Numbers,
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
_SAVED = "% saved"
# by unit; a share in % that compares two methods is a saving
_KINDS: Mapping[str, str] = {
    "x": "Ratios: how many times less than the other method",
    _SAVED: "Savings: the share that is saved",
    "%": "Accuracy and other shares",
    "MiB": "Bytes",
}


@dataclass(frozen=True)
class Mark:
    """A number on the axis; `span` is its interval, as left end and width in percent."""

    place: float
    span: tuple[float, float] | None = None
    is_elsewhere: bool = False  # measured under other conditions


@dataclass(frozen=True)
class Line:
    """A claim beside its numbers."""

    claim: JudgedClaim
    tone: str
    published: str
    computed: str
    measured: tuple[str, ...]
    explanation: tuple[str, ...]
    is_elsewhere: bool  # the measurement is from other conditions
    statement: str
    accounted: tuple[str, ...]
    all_measured: tuple[str, ...]
    marks: Mapping[str, Mark]  # by `published`, `computed`, `measured`


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
        "waiting": [_folded(each) for each in reasons if each.command],
        "undecidable": [_folded(each) for each in reasons if not each.command],
        "no_command": NO_COMMAND,
        "outside": [(each.claim.id, statement(each.claim)) for each in outside],
    }


def _kinds(decided: Sequence[JudgedClaim]) -> list[Kind]:
    """An axis for each unit, those that we know first."""
    by_kind: dict[str, list[JudgedClaim]] = {}
    for each in decided:
        is_saving = each.claim.unit == "%" and each.claim.ratio_of is not None
        by_kind.setdefault(_SAVED if is_saving else each.claim.unit, []).append(each)
    known = [kind for kind in _KINDS if kind in by_kind]
    return [
        _kind(_KINDS.get(kind, kind), by_kind[kind]) for kind in dict.fromkeys([*known, *by_kind])
    ]


def _kind(title: str, some: Sequence[JudgedClaim]) -> Kind:
    found = [numbers(each) for each in some]
    values = [value for each in found for value in _values(each)]
    scale = scale_of(values, is_share=some[0].claim.unit == "%")
    sign = sign_of(some[0].claim)
    ticks = tuple((scale.place(tick), f"{tick:g}{sign}") for tick in scale.ticks())
    lines = tuple(_line(each, own, scale) for each, own in zip(some, found, strict=True))
    return Kind(title, ticks, lines)


def _values(found: Numbers) -> list[float]:
    one = found.measured or found.elsewhere
    ends = [] if one is None else [one.estimate.estimate, one.estimate.lower, one.estimate.upper]
    return [value for value in (found.published, found.computed, *ends) if value is not None]


def _line(each: JudgedClaim, found: Numbers, scale: Scale) -> Line:
    claim, one = each.claim, found.measured or found.elsewhere
    numbers_here = {"published": found.published, "computed": found.computed}
    marks = {
        name: Mark(scale.place(value)) for name, value in numbers_here.items() if value is not None
    }
    if one is not None:
        marks["measured"] = _measured_mark(one, scale, is_elsewhere=found.measured is None)
    return Line(
        each,
        _TONES.get(each.verdict, ""),
        published_text(claim),
        "" if found.computed is None else in_unit(claim, found.computed),
        () if one is None else few_words(claim, one),
        tuple(explanation(each)),
        found.elsewhere is not None,
        statement(claim),
        tuple(accounted(each)),
        tuple(measured(each)),
        marks,
    )


def _measured_mark(one: Measurement, scale: Scale, *, is_elsewhere: bool) -> Mark:
    lower, upper = one.estimate.lower, one.estimate.upper
    if lower is None or upper is None:
        return Mark(scale.place(one.estimate.estimate), None, is_elsewhere)
    left, right = scale.place(lower), scale.place(upper)
    return Mark(scale.place(one.estimate.estimate), (left, round(right - left, 2)), is_elsewhere)


def _folded(reason: WaitingClaims) -> Mapping[str, Any]:
    return {
        "missing": reason.missing,
        "command": reason.command,
        "claims": [
            (
                each.claim.id,
                published_text(each.claim),
                statement(each.claim),
                tuple(measured(each)),
            )
            for each in reason.claims
        ],
    }


SECTION = Section(
    name="claims",
    title="What papers claim",
    text="Only numbers that meet the conditions of a claim decide its verdict. Numbers from other "
    "conditions are pale.",
    content=content,
)
