"""What papers publish, beside what was accounted and measured here."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench.papers.claims_table import accounted, measured, statement
from ondevice_bench.report.sections.section import Section, Shown


def content(shown: Shown) -> Mapping[str, Any] | None:
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
        for each in shown.claims
    ]
    return {"lines": lines} if lines else None


SECTION = Section(
    name="claims",
    title="What papers claim",
    text="A verdict is given only on figures that meet a claim's conditions; what was found under "
    "other conditions stands beside it, with what differs.",
    content=content,
)
