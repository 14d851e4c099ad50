"""A summary of all claims: their numbers side by side, by verdict, and what the rest waits for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ondevice_bench.papers.claims import JudgedClaim, Verdict, computed_value, shows
from ondevice_bench.papers.evidence import MeasuredClaim
from ondevice_bench.papers.waiting import Waiting, waiting

NO_COMMAND = "something that no command here gives"
# in the order of a reader's interest
VERDICTS: tuple[Verdict, ...] = (
    "reproduced",
    "reproduced as accounted, not as measured",
    "reproduced as accounted, not measured yet",
    "not reproduced",
    "not testable here",
    "not part of the method",
)


@dataclass(frozen=True)
class Numbers:
    """What a claim publishes, what is computed for it, and what is measured, in its unit.

    `elsewhere` is the nearest measurement under other conditions, if no other one counts.
    """

    published: float | None
    computed: float | None
    measured: MeasuredClaim | None
    elsewhere: MeasuredClaim | None


@dataclass(frozen=True)
class WaitingClaims:
    """Claims that wait for the same."""

    reason: Waiting
    claims: tuple[JudgedClaim, ...]


def numbers(each: JudgedClaim) -> Numbers:
    """The three numbers of a claim."""
    claim = each.claim
    of_metric = [one for one in each.measured if one.metric in claim.measured[:1]]
    meeting = [one for one in of_metric if not one.differs]
    decides = next((one for one in meeting if shows(claim, one) == "yes"), None)
    return Numbers(
        claim.value,
        computed_value(claim, each.accounts),
        decides or (meeting[0] if meeting else None),
        of_metric[0] if of_metric and not meeting else None,
    )


def by_verdict(judged: Sequence[JudgedClaim]) -> Iterator[tuple[Verdict, tuple[JudgedClaim, ...]]]:
    """The claims by verdict, without verdicts that no claim has."""
    for verdict in VERDICTS:
        some = tuple(each for each in judged if each.verdict == verdict)
        if some:
            yield verdict, some


def by_reason(judged: Sequence[JudgedClaim]) -> tuple[WaitingClaims, ...]:
    """The claims that wait, by what they wait for. Those that a command decides come first."""
    found: dict[Waiting, list[JudgedClaim]] = {}
    for each in judged:
        reason = waiting(each)
        if reason is not None:
            found.setdefault(reason, []).append(each)
    some = [WaitingClaims(reason, tuple(claims)) for reason, claims in found.items()]

    def order(each: WaitingClaims) -> tuple[bool, bool, int]:
        return not each.reason.is_decided, not each.reason.in_short, -len(each.claims)

    return tuple(sorted(some, key=order))


def counts(judged: Sequence[JudgedClaim]) -> Iterator[tuple[int, str, str]]:
    """How many claims have each verdict, and for what the rest waits: number, verdict, what."""
    for verdict, some in by_verdict(judged):
        if verdict != "not testable here":
            yield len(some), verdict, ""
            continue
        yield len(some), "waiting", ""
        by_missing: dict[str, int] = {}
        for each in by_reason(some):
            reason = each.reason
            text = reason.in_short or (reason.missing if reason.is_decided else NO_COMMAND)
            by_missing[text] = by_missing.get(text, 0) + len(each.claims)
        for text, number in by_missing.items():
            yield number, "", f"for {text}"
