"""`bench site`: a published history, as a folder of static pages."""

import functools
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, Open
from ondevice_bench.cli.browser import open_page
from ondevice_bench.terminal import print_errors, print_json, print_lines
from ondevice_bench.units import number_of

MOST_LINES = 20


def site(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR",
            help="Bundles, stores, or folders with some of them (default: bench-out). The site "
            "keeps the runs that it has.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="SITE", help="The folder of the site.")
    ] = Path("site"),
    show: Open = False,
    as_json: AsJson = False,
) -> None:
    """Make static pages of runs of many boards, suites and commits, or add runs to them."""
    from ondevice_bench.record.store import OUT
    from ondevice_bench.running.commit import places
    from ondevice_bench.site.index_page import PATH
    from ondevice_bench.site.manifest import FILE_NAME
    from ondevice_bench.site.publish import publish

    given = paths or ([OUT] if OUT.is_dir() else [])
    done = publish(given, out, functools.partial(places, Path.cwd()))
    for problem in done.left_out:
        print_errors(f"left out: {problem}")
    if done.rebuilt:
        print_errors(f"{out / FILE_NAME} {done.rebuilt}: all pages are made again")
    page = out / PATH
    if as_json:
        print_json({**asdict(done), "site": str(page)})
    else:
        for card in done.newest[:MOST_LINES]:
            against = f" against {card.against}" if card.against else ""
            where = f"{card.suite} on {card.board}, {card.commit}{against}"
            print_lines(f"{where}: {card.verdict}")
        if len(done.newest) > MOST_LINES:
            print_lines(f"{len(done.newest) - MOST_LINES} more are on the page")
        grown = f", {done.grown} grown" if done.grown else ""
        print_lines(
            f"site: {page}: {number_of(done.runs, 'run')}, {done.added} new{grown}; "
            f"{done.written} of {number_of(done.pages, 'page')} written"
        )
    if show:
        open_page(page)
