"""Records and progress as small pieces of HTML, for notebooks. Standard library only."""

from collections.abc import Iterable, Sequence
from html import escape

MOST = 60  # rows


def html_table(caption: str, titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A plain table. Every text is escaped; rows beyond the first 60 are only counted."""
    lines = [tuple(map(_text, row)) for row in rows]
    shown = [f"<tr>{_cells(line, 'td')}</tr>" for line in lines[:MOST]]
    if len(lines) > MOST:
        more = f"and {len(lines) - MOST} more"
        shown.append(f'<tr><td colspan="{len(titles)}">{more}</td></tr>')
    head = _cells([*map(_text, titles)], "th")
    return (
        f"<table><caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(shown)}</tbody></table>"
    )


def paragraphs(lines: Iterable[str]) -> str:
    """Lines of text, each a paragraph."""
    return "".join(f"<p>{_text(line)}</p>" for line in lines)


def progress_bar(share: tuple[int, int] | None, text: str, notes: Iterable[str]) -> str:
    """A bar that shows `share` (done, of all), the text beside it, and notes below."""
    bar = "" if share is None else f'<progress value="{share[0]}" max="{share[1]}"></progress> '
    line = f"<p>{bar}{_text(text)}</p>" if text else ""
    return f"<div>{line}{paragraphs(notes)}</div>"


def _cells(texts: Sequence[str], tag: str) -> str:
    return "".join(f"<{tag}>{text}</{tag}>" for text in texts)


def _text(value: object) -> str:
    return "" if value is None else escape(str(value))
