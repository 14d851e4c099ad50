"""Published claims and the numbers here, as text. Each number has its scope."""

from collections.abc import Iterator, Sequence
from typing import Any

from ondevice_bench.metrics import described
from ondevice_bench.papers.claims import (
    JudgedClaim,
    Verdict,
    apart,
    comparison,
    in_unit,
    measured_text,
)
from ondevice_bench.papers.dialects import EXACT
from ondevice_bench.papers.evidence import MeasuredClaim
from ondevice_bench.papers.glance import Numbers, by_reason, by_verdict, counts, numbers
from ondevice_bench.papers.published import Claim, PublishedClaims
from ondevice_bench.papers.waiting import waiting
from ondevice_bench.terminal import Table
from ondevice_bench.units import number_of

BYTES = "KB, MB and GB of these papers are counted as KiB, MiB and GiB (powers of 1024)"
LISTED = 3  # measurements that a table lists
_SIGNS = {"x": "×", "%": " %"}
_REACHES = {"about": "about ", "up to": "up to ", "over": "over "}
_EXPLAINED: tuple[Verdict, ...] = ("reproduced as accounted, not as measured", "not reproduced")


def claims_json(published: PublishedClaims, judged: Sequence[JudgedClaim]) -> dict[str, Any]:
    """Papers, counts of verdicts, and claims with all their numbers and what they wait for."""
    reasons = [waiting(each) for each in judged]
    return {
        "papers": {
            paper.name: {"title": paper.title, "reference": paper.reference}
            for paper in published.papers
        },
        "verdicts": {verdict: len(some) for verdict, some in by_verdict(judged)},
        "claims": [
            {
                **each.to_dict(),
                "missing": reason.missing if reason else "",
                "command": reason.command if reason else "",
            }
            for each, reason in zip(judged, reasons, strict=True)
        ],
    }


def notes_on_units(judged: Sequence[JudgedClaim]) -> list[str]:
    """How the bytes that a paper prints are counted, if a claim is about bytes."""
    return [BYTES] if any(each.claim.unit in ("KiB", "MiB", "GiB") for each in judged) else []


def summary_table(judged: Sequence[JudgedClaim]) -> Table:
    """How many claims have each verdict, and for what the others wait."""
    rows = Table("claims", "verdict", heading=number_of(len(judged), "claim"))
    for number, verdict, what in counts(judged):
        rows.add_row(*((str(number), verdict) if verdict else ("", f"  {number} {what}")))
    return rows


def verdict_tables(judged: Sequence[JudgedClaim]) -> Iterator[tuple[str, str, Table]]:
    """For each verdict, and for each reason to wait: a title, perhaps a command, and a table."""
    for verdict, some in by_verdict(judged):
        if verdict == "not testable here":
            for each in by_reason(some):
                title = f"waiting ({len(each.claims)}): {each.reason.missing}"
                if each.reason.command and not each.reason.is_decided:
                    title += ". This command does not decide it:"
                yield title, each.reason.command, _waiting_table(each.claims)
        else:
            yield f"{verdict} ({len(some)})", "", _numbers_table(some)


def published_text(claim: Claim) -> str:
    """The number as printed: up to 62×."""
    if claim.published is None:
        return "–"
    sign = _SIGNS.get(claim.unit, f" {claim.unit}")
    return f"{_REACHES.get(claim.reach, '')}{claim.published}{sign}"


def claims_table(judged: Sequence[JudgedClaim]) -> Table:
    """A row for each claim, with all its numbers."""
    rows = Table("claim", "published", "computed here", "measured here", "verdict")
    for each in judged:
        rows.add_row(
            each.claim.id,
            statement(each.claim),
            "\n".join(accounted(each)) or "–",
            "\n".join(measured(each)) or "–",
            f"{each.verdict}: {each.because}",
            end_section=True,
        )
    return rows


def statement(claim: Claim) -> str:
    """The claim, its source and its scope."""
    source = f" ({claim.source})" if claim.source else ""
    remark = f"; {claim.remark}" if claim.remark else ""
    return f"{claim.says}{source}; {claim.computed}; scope: {claim.scope}{remark}"


def accounted(each: JudgedClaim) -> Iterator[str]:
    """The number by the paper's formulas and by the exact count, and the cell."""
    claim = each.claim
    of = comparison(claim) or ":"
    for account in each.accounts:
        parts = []
        if account.published is not None and claim.dialect != EXACT:
            parts.append(f"as {claim.dialect} counts{of} {in_unit(claim, account.published)}")
        if account.exact is not None:
            parts.append(f"exact, same layers{of} {in_unit(claim, account.exact)}")
        if account.why_not:
            yield f"no account of {account.cell}: {account.why_not}"
        if parts:
            yield f"{'; '.join(parts)}; of {account.cell}{_conditions(account.differs)}"


def measured(each: JudgedClaim) -> Iterator[str]:
    """The measurements on boards. The ones that meet the conditions come first."""
    for one in each.measured[:LISTED]:
        text = measured_text(each.claim, one)
        yield f"{text}; on {one.board}, {one.cell}{_conditions(one.differs)}"
    more = len(each.measured) - LISTED
    if more > 0:
        yield f"and {more} more (--json)"


def computed_lines(each: JudgedClaim) -> list[str]:
    """The computed number, and how far it is from the published one if they do not agree."""
    value = numbers(each).computed
    if value is None:
        return []
    far = apart(each.claim, value) if each.verdict == "not reproduced" else ""
    return [text for text in (in_unit(each.claim, value), far) if text]


def few_words(claim: Claim, one: MeasuredClaim) -> tuple[str, ...]:
    """A measured number in few words: the number, its interval, its metric and board."""
    estimate = one.estimate
    lines = [in_unit(claim, estimate.estimate)]
    if estimate.basis != "exact" and estimate.lower is not None and estimate.upper is not None:
        lines.append(f"{in_unit(claim, estimate.lower)} … {in_unit(claim, estimate.upper)}")
    return (*lines, f"{described(one.metric).label}, {one.board}")


def explanation(each: JudgedClaim) -> list[str]:
    """Why the numbers differ, as far as it is known, or what would still measure the claim."""
    if each.verdict == "not part of the method":
        return [each.because]
    reason = waiting(each)
    if reason is not None:
        return [f"waits for {reason.missing}: {reason.command}"]
    if each.verdict not in _EXPLAINED:
        return []
    one = numbers(each).measured
    is_of_bytes = one is not None and described(one.metric).unit == "bytes"
    whose = one.anatomy if one is not None and is_of_bytes else ""
    return [text for text in (each.claim.remark, whose) if text]


def _numbers_table(some: Sequence[JudgedClaim]) -> Table:
    rows = Table("claim", "published", "computed", "measured")
    for each in some:
        claim, found = each.claim, numbers(each)
        source = f" ({claim.source})" if claim.source else ""
        rows.add_row(
            "\n".join([claim.id, f"{claim.says}{source}", *explanation(each)]),
            published_text(claim),
            "\n".join(computed_lines(each)) or "–",
            "\n".join(_measured_lines(claim, found)),
            end_section=True,
        )
    return rows


def _measured_lines(claim: Claim, found: Numbers) -> tuple[str, ...]:
    if found.measured is not None:
        return few_words(claim, found.measured)
    return ("–",) if found.elsewhere is None else ("only under other conditions",)


def _waiting_table(some: Sequence[JudgedClaim]) -> Table:
    rows = Table("claim", "published", "it says")
    for each in some:
        rows.add_row(each.claim.id, published_text(each.claim), each.claim.says)
    return rows


def _conditions(differs: Sequence[str]) -> str:
    return f"; other conditions: {', '.join(differs)}" if differs else ""
