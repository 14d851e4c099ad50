"""The table of docs/reliability.md."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.campaign.tally import Tally

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- the campaign's table -->", "<!-- end of the table -->"
HEAD = ("| what | tries | how they ended | failures |", "| --- | ---: | --- | ---: |")


def table(tallies: Sequence[Tally]) -> str:
    """A row for each kind that was tried."""
    return "\n".join([*HEAD, *(tally.row() for tally in tallies if tally.tried)])


def rows_of(page: str) -> dict[str, str]:
    """The rows of the page's table, by what they are about."""
    _, _, rest = page.partition(f"{BEGIN}\n")
    rows, _, _ = rest.partition(END)
    return {row.split(" | ")[0].removeprefix("| "): row for row in rows.splitlines()[len(HEAD) :]}


def with_rows(page: str, tallies: Iterable[Tally], kinds: Iterable[str]) -> str:
    """The page with the rows of these tallies. Other rows stay. The order is that of `kinds`."""
    rows = rows_of(page) | {tally.kind: tally.row() for tally in tallies if tally.tried}
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [*HEAD, *(rows[kind] for kind in kinds if kind in rows)]
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}"
