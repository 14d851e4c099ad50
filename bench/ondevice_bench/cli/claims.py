"""`bench claims`: published numbers, and those that are computed and measured here."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import A_RUN, AsJson, Quiet, command_line
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import (
    print_errors,
    print_json,
    print_lines,
    print_notes,
    print_tables,
)
from ondevice_bench.units import number_of

if TYPE_CHECKING:
    from ondevice_bench.analyse.summary import RunSummary
    from ondevice_bench.papers.claims import JudgedClaim
    from ondevice_bench.papers.given import Given
    from ondevice_bench.papers.judge_claims import AccountAnswer
    from ondevice_bench.papers.published import PublishedClaims
    from ondevice_bench.running.hosts.host import Host
    from ondevice_bench.running.queries.accounts import Wanted
    from ondevice_bench.running.request import Request

NOTHING_TO_DRAW = "--out: there is no run to draw: start with `bench run paper_wasi_small`"


def claims(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help=f"Runs: each is {A_RUN} (default: the latest run of each suite).",
        ),
    ] = None,
    paper: Annotated[
        str | None, typer.Option("--paper", help="One paper: gradient_filter, hosvd, asi, wasi.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--claims", help="The claims of this file only, instead of the built-in ones."
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=PATH",
            help="With --paper: your file with the pretrained weights of a model. The claims on "
            "this model that still wait are measured.",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:PATH",
            help="With --paper: your copy of a data set that the claims name: cifar10:DIR.",
        ),
    ] = None,
    measure_all: Annotated[
        bool,
        typer.Option(
            "--run", help="With --paper: measure all claims that wait and need no files of yours."
        ),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure again what an earlier run has measured.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also draw an HTML page with these claims.")
    ] = None,
    details: Annotated[
        bool,
        typer.Option("--details", help="Print scopes, exact counts, and runs that differ."),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Compare the claims of papers with numbers computed and measured here."""
    from ondevice_bench.analyse.resolve_run import latest_summaries, stored_summary
    from ondevice_bench.papers.claims_file import load_published
    from ondevice_bench.papers.claims_table import claims_json
    from ondevice_bench.papers.given import given
    from ondevice_bench.report.page import write_report
    from ondevice_bench.running.hosts.local import local_host
    from ondevice_bench.validation.claims import with_what_is_not_measured

    published = load_published(file).of_paper(paper)
    measures = bool(weights or data or measure_all)
    if measures and len(published.papers) > 1:
        raise BadInput("--weights, --data and --run are for one paper: give --paper, too")
    if fresh and not measures:
        raise BadInput("--fresh measures again: give --weights, --data or --run, too")
    by_user = given(published, weights or (), data or ())
    summaries = [stored_summary(name) for name in runs] if runs else latest_summaries()
    if out is not None and not summaries and not measures:
        raise BadInput(NOTHING_TO_DRAW)
    code = ExitCode.OK
    with local_host() as host:
        judge = partial(_judged, published, host, kept={}, quiet=quiet)
        if measures:
            # what this command measured before, perhaps in part, does not change what it measures
            before = judge([each for each in summaries if not _is_own(each, published)])
            trial_runs, code = _measured(
                host, before, by_user, everything=measure_all, fresh=fresh, quiet=quiet
            )
            new = {each.run.id for each in trial_runs}
            summaries = [*trial_runs, *(each for each in summaries if each.run.id not in new)]
        verdicts = with_what_is_not_measured(judge(summaries))
    if out is not None and not summaries:
        raise BadInput(NOTHING_TO_DRAW)
    if out is not None:
        write_report(summaries, out, "paper", claims=verdicts)
    if as_json:
        print_json(claims_json(published, verdicts))
    else:
        _print(published, verdicts, details=details)
        if out is not None:
            print_lines(f"report: {out}")
    return code


def _judged(
    published: "PublishedClaims",
    host: "Host",
    summaries: "Sequence[RunSummary]",
    *,
    kept: "dict[str, AccountAnswer]",
    quiet: bool,
) -> "tuple[JudgedClaim, ...]":
    """Every claim judged. A terminal sees that accounts are made."""
    from ondevice_bench.papers.judge_claims import judge_claims
    from ondevice_bench.running.progress import for_terminal
    from ondevice_bench.running.queries.accounts import accounts_of

    progress = for_terminal(quiet=quiet or not sys.stderr.isatty())

    def made(wanted: "Sequence[Wanted]") -> "Sequence[AccountAnswer]":
        accounts, claims = len(wanted), len(published.claims)
        progress.prepare(f"{number_of(accounts, 'account')} of {number_of(claims, 'claim')}")
        return accounts_of(host, wanted)

    try:
        return judge_claims(published, summaries, made, kept)
    finally:
        progress.close()


def _is_own(summary: "RunSummary", published: "PublishedClaims") -> bool:
    from ondevice_bench.papers.trials import is_of_trial

    return is_of_trial(summary.run.suite, published.papers[0].name)


def _measured(
    host: "Host",
    before: "Sequence[JudgedClaim]",
    by_user: "Given",
    *,
    everything: bool,
    fresh: bool,
    quiet: bool,
) -> "tuple[list[RunSummary], ExitCode]":
    """The runs that decide what waits, and their exit code. All is checked before one begins."""
    from dataclasses import replace

    from ondevice_bench.api.measuring import measure
    from ondevice_bench.papers.trials import obstacles, trials
    from ondevice_bench.papers.waiting import is_measurable
    from ondevice_bench.record.store import OUT
    from ondevice_bench.running.outcome import exit_code, exit_code_of_all
    from ondevice_bench.running.progress import for_terminal
    from ondevice_bench.running.queries.described_suite import described
    from ondevice_bench.running.queries.first_batch import require_first_batch
    from ondevice_bench.running.request import request

    board = host.profile.name
    waits = [each.claim for each in before if is_measurable(each)]
    found = trials(waits, by_user, board, everything=everything)
    if not found:
        needed = obstacles(waits, by_user, board)
        if needed:
            raise BadInput(f"nothing can be measured yet: the claims also need {', '.join(needed)}")
        print_errors("no claim waits for a measurement with this")
    tasks = [replace(request(host, trial.suite, command_line()), fresh=fresh) for trial in found]
    if refused := [task for task in tasks if not task.planned]:
        raise BadInput(*(f"{task.suite.name}: {task.plan[0].reason}" for task in refused))
    for task in tasks:
        described(host, task.suite)  # the files of weights are checked
        require_first_batch(host, task)
    summaries = []
    for task in tasks:
        folder = OUT / task.suite.name
        summary = None if fresh else _measured_before(task, folder)
        if summary is None:
            summary = measure(task, folder, for_terminal(quiet=quiet))
        else:
            print_errors(f"measured before: {summary.run.id} (--fresh measures again)")
        summaries.append(summary)
    codes = (exit_code(each.outcomes, each.run.settings) for each in summaries)
    return summaries, exit_code_of_all(codes)


def _measured_before(task: "Request", folder: Path) -> "RunSummary | None":
    from ondevice_bench.analyse.summarise import summarise
    from ondevice_bench.record.store import FILE_NAME, Store
    from ondevice_bench.running.resume import measured_before
    from ondevice_bench.running.session import software_of

    if not (folder / FILE_NAME).exists():
        return None
    with Store.open(folder / FILE_NAME) as store:
        run = measured_before(store, task, software_of(task.host))
        return None if run is None else summarise(store, run)


def _print(
    published: "PublishedClaims",
    verdicts: "Sequence[JudgedClaim]",
    *,
    details: bool,
) -> None:
    """The papers, a summary, and the claims of each verdict."""
    from ondevice_bench.papers.claims_table import (
        claims_table,
        notes_on_units,
        summary_table,
        verdict_tables,
    )

    print_notes(
        *(
            f"{each.name}: {each.title}{f' ({each.reference})' if each.reference else ''}"
            for each in published.papers
        )
    )
    print_notes(*notes_on_units(verdicts))
    print_lines("")
    print_tables(summary_table(verdicts))
    if details:
        print_tables(claims_table(verdicts))
        return
    for title, command, table in verdict_tables(verdicts):
        print_notes(title)
        if command:
            print_lines(f"  {command}")
        print_tables(table)
    print_notes("Scopes, exact counts, and runs under other conditions: bench claims --details")
