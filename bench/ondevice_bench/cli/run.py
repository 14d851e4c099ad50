"""`bench run`: measure a suite and draw its report."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import (
    AsJson,
    Fresh,
    Hardware,
    MemoryCap,
    Open,
    Quiet,
    ResultsFolder,
    Retry,
    command_line,
    parsed_bytes,
    parsed_seconds,
    parsed_sustain,
)
from ondevice_bench.cli.browser import open_page
from ondevice_bench.cli.hosts import On
from ondevice_bench.cli.suite_flags import SuiteFlags, with_suite_flags
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
    out: ResultsFolder = None,
    fresh: Fresh = False,
    retry: Retry = None,
    show: Open = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Measure a suite on this machine, or on a board, and draw its report."""
    from ondevice_bench.analyse.learning import learning
    from ondevice_bench.api.hosts import measuring_host
    from ondevice_bench.api.measuring import RunOptions, measure_suite, with_report
    from ondevice_bench.report.terminal.board import board_lines
    from ondevice_bench.report.terminal.run import (
        learning_tables,
        run_json,
        run_notes,
        run_tables,
    )
    from ondevice_bench.report.terminal.verdict import answer_lines, answers_of
    from ondevice_bench.running.progress import for_terminal

    cap = None if memory_cap is None else parsed_bytes("--memory-cap", memory_cap)
    options = RunOptions(
        command_line(),
        filters=flags.filters or (),
        budget=None if budget is None else parsed_seconds("--budget", budget),
        sustain=None if sustain is None else parsed_sustain(sustain),
        fresh=fresh,
        retry=retry is not None,
        out=out,
    )
    with measuring_host(on, hardware, cap) as host:
        suite = flags.load(host)
        summary = measure_suite(host, suite, options, for_terminal(quiet=quiet))
    found = with_report(summary, options.folder(suite))
    if as_json:
        print_json(run_json(summary, found.page))
    else:
        print_tables(*run_tables(summary), *learning_tables(learning(summary)))
        print_notes(*run_notes(summary), *board_lines(summary), *found.problems)
        print_notes(*answer_lines(answers_of(summary)))
        print_lines(f"report: {found.page}")
    if show:
        open_page(found.page)
    return found.exit_code
