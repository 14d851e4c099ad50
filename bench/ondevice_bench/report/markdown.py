"""Text inside Markdown."""

_MARKS = "\\|*_`<>[]&~"


def escaped(text: str) -> str:
    """Text that cannot end a table cell or start markup."""
    for mark in _MARKS:
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def table(titles: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table."""
    return [
        f"| {' | '.join(titles)} |",
        f"|{' --- |' * len(titles)}",
        *(f"| {' | '.join(map(escaped, row))} |" for row in rows),
    ]
