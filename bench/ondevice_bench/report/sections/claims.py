"""Claims of papers, with the numbers that were computed and measured here."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench.papers.claims_table import accounted, measured, statement
from ondevice_bench.report.sections.section import ReportData, Section


def content(data: ReportData) -> Mapping[str, Any] | None:
    """A line for each claim."""
    lines = [
        {
            "id": each.claim.id,
            "paper": each.claim.paper,
            "statement": statement(each.claim),
            "accounted": list(accounted(each)),
            "measured": list(measured(each)),
            "verdict": each.verdict,
            "because": each.because,
        }
        for each in data.claims
    ]
    return {"lines": lines} if lines else None


SECTION = Section(
    name="claims",
    title="What papers claim",
    text="Only numbers that meet the conditions of a claim decide its verdict. Numbers from other "
    "conditions are listed, too, and the text says which conditions differ.",
    content=content,
)
