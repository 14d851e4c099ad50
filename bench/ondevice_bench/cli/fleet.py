"""`bench fleet`: many boards measure one suite."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import (
    AsJson,
    Filters,
    Fresh,
    Open,
    Quiet,
    Retry,
    SuitesFolder,
    command_line,
)
from ondevice_bench.cli.browser import open_page
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import print_json, print_lines, print_notes, print_rows, print_tables
from ondevice_bench.units import number_of

if TYPE_CHECKING:
    from ondevice_bench.analyse.summary import RunSummary
    from ondevice_bench.fleet.fleet_file import Fleet
    from ondevice_bench.fleet.run import Wanted
    from ondevice_bench.running.hosts.host import Host
    from ondevice_bench.running.progress import Progress
    from ondevice_bench.suite.suite import Suite

LAYOUT_OF_BOARDS = "hardware"

FleetFile = Annotated[
    Path, typer.Option("--fleet", metavar="FILE", help="The file that lists the boards.")
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Only boards that have this tag. Several tags: all of them."),
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
    fresh: Fresh = False,
    retry: Retry = None,
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
    """Measure suites on all boards of a fleet. The same command continues after an interruption."""
    _require_dask()
    from ondevice_bench.fleet.fleet_file import load_fleet
    from ondevice_bench.fleet.run import Wanted
    from ondevice_bench.record.command import continuing
    from ondevice_bench.record.model import NOT_OK
    from ondevice_bench.running.outcome import exit_code, exit_code_of_all
    from ondevice_bench.running.progress import for_terminal

    repeat = NOT_OK if retry else frozenset()
    wanted = Wanted(command_line(), fresh, repeat, scheduler, dashboard)
    boards = load_fleet(fleet, tags or ())
    progress = for_terminal(quiet=quiet)
    try:
        found, left = _measured(boards, suites, folder, filters or (), out, wanted, progress)
    finally:
        progress.close()
    _print(found, show=show, as_json=as_json)
    if left:
        raise BadInput(
            f"{left} measurements are left, and no board can do them: the others are stored, and "
            f"`{continuing(wanted.command)}` continues from there"
        )
    return exit_code_of_all(exit_code(each.outcomes, each.run.settings) for _, each in found)


def _measured(
    boards: "Fleet",
    suites: Sequence[str],
    folder: Path | None,
    filters: Sequence[str],
    out: Path | None,
    wanted: "Wanted",
    progress: "Progress",
) -> tuple[list[tuple[Path, "RunSummary"]], int]:
    """The folder and the summary of every run, and the number of measurements that are left."""
    import threading
    from functools import partial

    from ondevice_bench.analyse.summarise import summarise
    from ondevice_bench.fleet.muster import mustered, over_ssh
    from ondevice_bench.fleet.run import requests, running
    from ondevice_bench.record.store import OUT

    stop = threading.Event()
    progress.prepare(f"connecting to {number_of(len(boards.boards), 'board')} …")
    with mustered(boards, progress.note, stop, over_ssh(boards, stop)) as present:
        asked = [
            requests(partial(_load, name, folder), filters, present, wanted)
            for name in dict.fromkeys(suites)
        ]
        places = []
        for of_suite in asked:
            name = of_suite[0].suite.name
            place = OUT / name if out is None else out / name if len(asked) > 1 else out
            places.append((of_suite, place))
        with running(places, present, boards.cooling, wanted, progress, stop) as campaigns:
            found = [
                (each.store.path.parent, summarise(each.store, each.store.run(each.run.id)))
                for each in campaigns
            ]
            return found, sum(each.left for each in campaigns)


def _load(name: str, folder: Path | None, host: "Host") -> "Suite":
    from ondevice_bench.running.queries.described_suite import described
    from ondevice_bench.suite.load import load_suite

    return described(host, load_suite(name, folder))


def _print(found: Sequence[tuple[Path, "RunSummary"]], *, show: bool, as_json: bool) -> None:
    """Draw a page for each folder, and print what each run has found."""
    from ondevice_bench.api.measuring import PAGE
    from ondevice_bench.report.page import LAYOUT, write_report
    from ondevice_bench.report.terminal.fleet import fleet_lines
    from ondevice_bench.report.terminal.run import problem_lines, run_json, run_notes, run_tables
    from ondevice_bench.report.terminal.verdict import answer_lines, answers_of

    for place in dict.fromkeys(place for place, _ in found):
        page = place / PAGE
        summaries = [each for where, each in found if where == place]
        write_report(summaries, page, LAYOUT if len(summaries) == 1 else LAYOUT_OF_BOARDS)
        for each in summaries if not as_json else ():
            print_tables(*run_tables(each))
            print_notes(*run_notes(each), *fleet_lines(each), *problem_lines(each))
            print_notes(*answer_lines(answers_of(each)))
        if not as_json:
            print_lines(f"report: {page}")
        if show:
            open_page(page)
    if as_json:
        print_json([run_json(each, place / PAGE) for place, each in found])


def status(
    fleet: FleetFile = Path("fleet.yaml"),
    tags: Tags = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show the boards of a fleet, what they do now, and the progress of their runs."""
    import threading

    from ondevice_bench.fleet.fleet_file import load_fleet
    from ondevice_bench.fleet.lock_notes import left_locks
    from ondevice_bench.fleet.muster import over_ssh
    from ondevice_bench.fleet.status import board_rows, run_rows

    found = load_fleet(fleet, tags or ())
    boards, runs = board_rows(found, over_ssh(found, threading.Event())), run_rows()
    locks = left_locks([each.name for each in found.boards])
    if as_json:
        left = [{"board": each.board, "unlock": each.unlock} for each in locks]
        print_json({"boards": boards, "runs": runs, "left_locks": left})
        return ExitCode.OK
    print_rows(boards, as_json=False)
    print_notes(*(each.line for each in locks))
    if runs:
        print_lines("")
        print_rows(runs, as_json=False)
    return ExitCode.OK


def _require_dask() -> None:
    if find_spec("distributed") is None:
        raise BadInput("`bench fleet run` needs dask: pip install 'ondevice-bench[fleet]'")
