"""`bench fleet`: many boards measure one suite."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from ondevice_bench.cli.arguments import (
    AsJson,
    Filters,
    Open,
    Quiet,
    SuitesFolder,
    command_line,
)
from ondevice_bench.cli.browser import open_page
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import print_json, print_lines, print_notes, print_rows, print_tables

FleetFile = Annotated[
    Path, typer.Option("--fleet", metavar="FILE", help="The file that lists the boards.")
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="Only boards that have this tag. Repeat it.")
]


def run(
    suites: Annotated[
        list[str], typer.Argument(metavar="SUITE...", help="Suites: names, or paths of files.")
    ],
    fleet: FleetFile = Path("fleet.yaml"),
    tags: Tags = None,
    folder: SuitesFolder = None,
    filters: Filters = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder for the results (default: bench-out/SUITE). With several suites, each "
            "has a folder in it."
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start a new run even if one is unfinished.")
    ] = False,
    retry: Annotated[
        Literal["failed"] | None,
        typer.Option(help="Repeat what failed, timed out or ran out of memory in the last run."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Use this scheduler of dask: tls://HOST:PORT, with dask's own settings for TLS.",
        ),
    ] = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Serve dask's pages on this machine.")
    ] = False,
    show: Open = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Measure suites on all boards of a fleet. The same command goes on after an interruption."""
    _require_dask()
    if fresh and retry:
        raise BadInput(
            "--fresh starts a new run, --retry repeats part of the last one: give one of them"
        )
    import threading

    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.fleet.fleet_file import load_fleet
    from ondevice_bench.fleet.muster import mustered, over_ssh
    from ondevice_bench.fleet.run import Wanted, requests, running
    from ondevice_bench.record.store import OUT
    from ondevice_bench.report.page import write_report
    from ondevice_bench.report.terminal.fleet import fleet_lines
    from ondevice_bench.report.terminal.run import problem_lines, run_json, run_notes, run_tables
    from ondevice_bench.report.terminal.verdict import short_verdict_lines
    from ondevice_bench.run.outcome import exit_code
    from ondevice_bench.run.progress import for_terminal
    from ondevice_bench.run.queries.described_suite import described
    from ondevice_bench.run.session import NOT_OK
    from ondevice_bench.suite.load import load_suite

    boards = load_fleet(fleet, tags or ())
    wanted = Wanted(command_line(), fresh, NOT_OK if retry else frozenset(), scheduler, dashboard)
    stop, progress = threading.Event(), for_terminal(quiet=quiet)
    try:
        progress.prepare(f"connecting to {len(boards.boards)} boards …")
        with mustered(boards, progress.note, stop, over_ssh(boards, stop)) as present:
            asked = [
                requests(
                    lambda host, name=name: described(host, load_suite(name, folder)),
                    filters or (),
                    present,
                    wanted,
                )
                for name in dict.fromkeys(suites)
            ]
            names = [each[0].suite.name for each in asked]
            folders = [
                OUT / name if out is None else out / name if len(asked) > 1 else out
                for name in names
            ]
            with running(
                list(zip(asked, folders, strict=True)),
                present,
                boards.cooling,
                wanted,
                progress,
                stop,
            ) as campaigns:
                found = [
                    (campaign, summarise(campaign.store, campaign.store.run(campaign.run.id)))
                    for campaign in campaigns
                ]
    finally:
        progress.close()
    codes = []
    for place in dict.fromkeys(campaign.store.path.parent for campaign, _ in found):
        summaries = [each for campaign, each in found if campaign.store.path.parent == place]
        page = place / "report.html"
        write_report(summaries, page)
        for summary in summaries:
            if as_json:
                print_json(run_json(summary, page))
            else:
                print_tables(*run_tables(summary))
                print_notes(
                    *short_verdict_lines(summary),
                    *fleet_lines(summary),
                    *problem_lines(summary),
                    *run_notes(summary),
                )
            codes.append(exit_code(summary.statuses, summary.run.settings))
        if not as_json:
            print_lines(f"report: {page}")
        if show:
            open_page(page)
    left = sum(campaign.left for campaign, _ in found)
    if left:
        raise BadInput(
            f"{left} measurements are left, and no board can make them: what was measured is "
            f"stored, and `{wanted.command}` goes on from there"
        )
    return max(codes)


def status(
    fleet: FleetFile = Path("fleet.yaml"),
    tags: Tags = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show the boards of a fleet, what they do now, and how far their runs are."""
    import threading

    from ondevice_bench.fleet.fleet_file import load_fleet
    from ondevice_bench.fleet.muster import over_ssh
    from ondevice_bench.fleet.status import board_rows, run_rows

    found = load_fleet(fleet, tags or ())
    boards, runs = board_rows(found, over_ssh(found, threading.Event())), run_rows()
    if as_json:
        print_json({"boards": boards, "runs": runs})
        return ExitCode.OK
    print_rows(boards, as_json=False)
    if runs:
        print_lines("")
        print_rows(runs, as_json=False)
    return ExitCode.OK


def _require_dask() -> None:
    if find_spec("distributed") is None:
        raise BadInput("`bench fleet run` needs dask: pip install 'ondevice-bench[fleet]'")
