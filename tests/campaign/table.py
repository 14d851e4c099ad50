"""The table of docs/reliability.md."""

from collections.abc import Sequence
from pathlib import Path

from tests.campaign.tally import Tally

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- the campaign's table -->", "<!-- end of the table -->"


def table(tallies: Sequence[Tally]) -> str:
    """A row for each kind that was tried."""
    head = ["| what | tries | how they ended | failures |", "| --- | ---: | --- | ---: |"]
    return "\n".join([*head, *(tally.row() for tally in tallies if tally.tried)])


def write(tallies: Sequence[Tally]) -> None:
    """Replace the table of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(tallies)}\n{END}{after}", encoding="utf-8")
