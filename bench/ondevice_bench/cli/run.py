"""`bench run`: measure a suite and draw its report."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ondevice_bench.cli.arguments import (
    AsJson,
    Hardware,
    MemoryCap,
    Open,
    Quiet,
    command_line,
    parsed_bytes,
    parsed_seconds,
    parsed_sustain,
)
from ondevice_bench.cli.browser import open_page
from ondevice_bench.cli.hosts import On, measuring_host
from ondevice_bench.cli.measuring import measure
from ondevice_bench.cli.suite_flags import SuiteFlags, with_suite_flags
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json, print_lines, print_notes, print_tables


@with_suite_flags
def run(
    flags: SuiteFlags,
    on: On = None,
    hardware: Hardware = None,
    memory_cap: MemoryCap = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Stop after this time: 90s, 10m, 2h. Every cell is measured before any cell gets "
            "more samples.",
        ),
    ] = None,
    sustain: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Also train each cell for this time without pause (the pass `sustained`): 5m, "
            "20m, 1h.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for the results (default: bench-out/SUITE).")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start a new run even if one is unfinished.")
    ] = False,
    retry: Annotated[
        Literal["failed"] | None,
        typer.Option(help="Repeat what failed, timed out or ran out of memory in the last run."),
    ] = None,
    show: Open = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Measure a suite on this machine, or on a board, and draw its report."""
    from dataclasses import replace

    from ondevice_bench.analyse.learning import learning
    from ondevice_bench.record.store import OUT
    from ondevice_bench.report.page import write_report
    from ondevice_bench.report.terminal.board import board_lines
    from ondevice_bench.report.terminal.run import (
        learning_tables,
        problem_lines,
        run_json,
        run_notes,
        run_tables,
    )
    from ondevice_bench.report.terminal.verdict import short_verdict_lines
    from ondevice_bench.run.outcome import exit_code
    from ondevice_bench.run.request import request
    from ondevice_bench.run.session import NOT_OK

    if fresh and retry:
        raise BadInput(
            "--fresh starts a new run, --retry repeats part of the last one: give one of them"
        )
    cap = None if memory_cap is None else parsed_bytes("--memory-cap", memory_cap)
    seconds = None if budget is None else parsed_seconds("--budget", budget)
    with measuring_host(on, hardware, cap) as host:
        suite = flags.load(host)
        if sustain is not None:
            suite = suite.sustained(parsed_sustain(sustain))
        task = replace(
            request(host, suite, command_line(), flags.filters or ()),
            budget=seconds,
            fresh=fresh,
            retry=NOT_OK if retry else frozenset(),
        )
        folder = out or OUT / task.suite.name
        summary = measure(task, folder, quiet=quiet)
    page = folder / "report.html"
    write_report([summary], page)
    if as_json:
        print_json(run_json(summary, page))
    else:
        print_tables(*run_tables(summary), *learning_tables(learning(summary)))
        answers = (*short_verdict_lines(summary), *board_lines(summary))
        print_notes(*answers, *problem_lines(summary), *run_notes(summary))
        print_lines(f"report: {page}")
    if show:
        open_page(page)
    return exit_code(summary.statuses, summary.run.settings)
