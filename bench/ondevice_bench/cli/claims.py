"""`bench claims`: published numbers, and those that are computed and measured here."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json, print_lines, print_tables


def claims(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Suites, run ids or STORE@RUN (default: the latest run of each suite).",
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
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also draw an HTML page with these claims.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the claims of papers with numbers computed and measured here."""
    from ondevice_bench.analyse.find_runs import find_run, latest_runs
    from ondevice_bench.analyse.resolve_run import summary_at
    from ondevice_bench.papers.claims_file import load_published
    from ondevice_bench.papers.claims_table import claims_json, claims_table
    from ondevice_bench.papers.judge_claims import judge_claims
    from ondevice_bench.report.page import write_report
    from ondevice_bench.run.hosts.local import local_host
    from ondevice_bench.run.queries.inspect import account_of

    published = load_published(file).of_paper(paper)
    places = [find_run(name) for name in runs] if runs else latest_runs()
    summaries = [summary_at(*place) for place in places]
    if out is not None and not summaries:
        raise BadInput("--out: there is no run to draw: start with `bench run paper_wasi_small`")
    with local_host() as host:
        verdicts = judge_claims(published, summaries, partial(account_of, host))
    if out is not None:
        write_report(summaries, out, "paper", claims=verdicts)
    if as_json:
        print_json(claims_json(published, verdicts))
        return
    for each in published.papers:
        print_lines(f"{each.name}: {each.title}{f' ({each.reference})' if each.reference else ''}")
    print_tables(claims_table(verdicts))
    if out is not None:
        print_lines(f"report: {out}")
