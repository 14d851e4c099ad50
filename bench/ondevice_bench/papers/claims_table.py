"""Published claims and the numbers here, as text. Each number has its scope."""

from collections.abc import Iterator, Sequence
from typing import Any

from ondevice_bench.papers.claims import JudgedClaim, comparison, in_unit, measured_text
from ondevice_bench.papers.dialects import EXACT
from ondevice_bench.papers.published import Claim, PublishedClaims
from ondevice_bench.terminal import Table

LISTED = 3  # measurements that a table lists


def claims_json(published: PublishedClaims, judged: Sequence[JudgedClaim]) -> dict[str, Any]:
    """Papers, and claims with all their numbers."""
    return {
        "papers": {
            paper.name: {"title": paper.title, "reference": paper.reference}
            for paper in published.papers
        },
        "claims": [each.to_dict() for each in judged],
    }


def claims_table(judged: Sequence[JudgedClaim]) -> Table:
    """A row for each claim."""
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


def _conditions(differs: Sequence[str]) -> str:
    return f"; other conditions: {', '.join(differs)}" if differs else ""
