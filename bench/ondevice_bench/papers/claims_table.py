"""Published claims beside what was found here, as text; each number with its scope."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ondevice_bench.papers.claims import Judged, against, figure, shown
from ondevice_bench.papers.dialects import EXACT
from ondevice_bench.papers.published import Claim, Published
from ondevice_bench.terminal import table

if TYPE_CHECKING:
    from rich.table import Table

NAMED = 3  # what a table names of what was measured


def claims_json(published: Published, judged: Sequence[Judged]) -> dict[str, Any]:
    """Papers, and claims with all that was found of them."""
    return {
        "papers": {
            paper.name: {"title": paper.title, "reference": paper.reference}
            for paper in published.papers
        },
        "claims": [each.to_json() for each in judged],
    }


def claims_table(judged: Sequence[Judged]) -> "Table":
    """A row for each claim."""
    made = table("claim", "published, and of what", "accounted here", "measured here", "verdict")
    for each in judged:
        made.add_row(
            each.claim.id,
            statement(each.claim),
            "\n".join(accounted(each)) or "–",
            "\n".join(measured(each)) or "–",
            f"{each.verdict}: {each.because}",
            end_section=True,
        )
    return made


def statement(claim: Claim) -> str:
    """What is claimed, where, and its scope."""
    source = f" ({claim.source})" if claim.source else ""
    remark = f"; {claim.remark}" if claim.remark else ""
    return f"{claim.says}{source}; {claim.computed}; scope: {claim.scope}{remark}"


def accounted(each: Judged) -> Iterator[str]:
    """The figure by the paper's formulas and by the exact count, and of what."""
    claim = each.claim
    of = against(claim) or ":"
    for found in each.accounts:
        parts = []
        if found.published is not None and claim.dialect != EXACT:
            parts.append(f"as {claim.dialect} counts{of} {figure(claim, found.published)}")
        if found.exact is not None:
            parts.append(f"exact, same layers{of} {figure(claim, found.exact)}")
        if parts:
            yield f"{'; '.join(parts)}; of {found.cell}{_but(found.differs)}"


def measured(each: Judged) -> Iterator[str]:
    """What boards measured, what meets the conditions first."""
    claim = each.claim
    for found in each.measured[:NAMED]:
        yield f"{shown(claim, found)}; on {found.board}, {found.cell}{_but(found.differs)}"
    more = len(each.measured) - NAMED
    if more > 0:
        yield f"and {more} more (--json)"


def _but(differs: Sequence[str]) -> str:
    return f"; other conditions: {', '.join(differs)}" if differs else ""
