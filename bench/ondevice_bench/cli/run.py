"""`bench run`: measure a suite and draw its report."""

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ondevice_bench.cli.arguments import (
    AsJson,
    BatchSizes,
    DataName,
    EpsilonWords,
    Filters,
    FractionWords,
    Hardware,
    LayerWords,
    MemoryCap,
    MethodNames,
    ModelNames,
    OptionWords,
    RankWords,
    SuiteName,
    SuitesFolder,
    WeightsName,
    seconds_of,
    size_of,
    suite_of,
    words_of,
)
from ondevice_bench.cli.report import report_json
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import print_json, print_table

if TYPE_CHECKING:
    from ondevice_bench.analyse.summary import RunSummary


def run(
    suite: SuiteName = None,
    models: ModelNames = None,
    methods: MethodNames = None,
    options: OptionWords = None,
    rank: RankWords = None,
    epsilon: EpsilonWords = None,
    fraction: FractionWords = None,
    layers: LayerWords = None,
    batch: BatchSizes = None,
    data: DataName = None,
    weights: WeightsName = None,
    suites: SuitesFolder = None,
    hardware: Hardware = None,
    memory_cap: MemoryCap = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Spend so long: 90s, 10m, 2h; every cell comes first."),
    ] = None,
    filters: Filters = None,
    out: Annotated[
        Path | None, typer.Option(help="Where results go (default: bench-out/SUITE).")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew instead of going on with an unfinished run.")
    ] = False,
    retry: Annotated[
        Literal["failed"] | None,
        typer.Option(help="Repeat what failed, timed out or ran out of memory in the last run."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: AsJson = False,
) -> int:
    """Measure a suite on this machine and draw its report."""
    from dataclasses import replace

    from ondevice_bench.analyse.learning import learning
    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.record.store import OUT
    from ondevice_bench.report.page import write_report
    from ondevice_bench.report.terminal.plan import plan_misfits
    from ondevice_bench.report.terminal.run import learning_table, run_notes, run_table
    from ondevice_bench.report.terminal.verdict import verdict_lines
    from ondevice_bench.run.progress import for_terminal
    from ondevice_bench.run.request import request
    from ondevice_bench.run.session import NOT_OK, open_session

    if fresh and retry:
        raise BadInput(
            "--fresh starts anew, --retry repeats part of the last run: give one of them"
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    words = words_of(
        models, methods, options, rank, epsilon, fraction, layers, batch, data, weights
    )
    command = shlex.join(["bench", *sys.argv[1:]])
    loaded = suite_of(suite, suites, words)
    cap = None if memory_cap is None else size_of("--memory-cap", memory_cap)
    asked = replace(
        request(loaded, command, hardware, filters or (), cap),
        budget=None if budget is None else seconds_of("--budget", budget),
        fresh=fresh,
        retry=NOT_OK if retry else frozenset(),
    )
    folder = out or OUT / asked.suite.name
    progress = for_terminal(quiet=quiet)
    try:
        with open_session(asked, folder, progress) as session:
            progress.prepare("looking for cells that cannot fit …")
            for line in plan_misfits(session.outlined(), asked.board):
                progress.note(line)
            session.perform_all(progress)
            summary = summarise(session.store, session.store.run(session.run.id))
    finally:
        progress.close()
    page = folder / "report.html"
    write_report([summary], page)
    if as_json:
        print_json(report_json(summary, page))
    else:
        print_table(run_table(summary))
        if lines := learning(summary):
            print_table(learning_table(lines))
        said = [*verdict_lines(summary), *run_notes(summary), f"report: {page}"]
        print("\n".join(said))
    return _run_exit_code(summary)


def _run_exit_code(summary: "RunSummary") -> int:
    """What did not fit under a cap is a result; without one it is a failure."""
    from ondevice_bench.run.session import NOT_OK

    results = {"ok", "oom"} if summary.run.settings.get("memory_cap_bytes") else {"ok"}
    if any(cell.status in NOT_OK - results for cell in summary.cells):
        return ExitCode.CELL_FAILED
    return ExitCode.OK if results & set(summary.statuses) else ExitCode.NOTHING_RAN
