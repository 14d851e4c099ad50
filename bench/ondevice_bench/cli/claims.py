"""`bench claims`: published figures beside what is accounted and measured here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondevice_bench.cli.arguments import AsJson, suite_of
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json, print_table

if TYPE_CHECKING:
    from ondevice_bench.analyse.summary import RunSummary
    from ondevice_bench.papers.accounts import Wanted
    from ondevice_bench.papers.claims import Judged
    from ondevice_bench.papers.published import Published


def claims(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...", help="Suites, ids or STORE@RUN (default: the latest of each suite)."
        ),
    ] = None,
    paper: Annotated[
        str | None, typer.Option("--paper", help="One paper: gradient_filter, hosvd, asi, wasi.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--claims", help="A file of claims that goes before ours.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also draw a page with these claims.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What papers publish, what it comes to here, and what follows."""
    from ondevice_bench.analyse.find_runs import find_run, latest_runs
    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.papers.claims_file import load_published
    from ondevice_bench.papers.claims_table import claims_json, claims_table
    from ondevice_bench.record.store import Store
    from ondevice_bench.report.page import write_report

    published = load_published(file).of(paper)
    summaries = []
    for path, run_id in [find_run(name) for name in runs] if runs else latest_runs():
        with Store.open(path) as store:
            summaries.append(summarise(store, store.run(run_id)))
    if out is not None and not summaries:
        raise BadInput("--out: a page is of runs, and there is none: `bench run paper_wasi_small`")
    judged = judge_all(published, summaries)
    if out is not None:
        write_report(summaries, out, "paper", claims=judged)
    if as_json:
        print_json(claims_json(published, judged))
        return
    for each in published.papers:
        print(f"{each.name}: {each.title}{f' ({each.reference})' if each.reference else ''}")
    print_table(claims_table(judged))
    if out is not None:
        print(f"report: {out}")


def claims_on(layout: str, summaries: Sequence["RunSummary"]) -> tuple["Judged", ...]:
    """Every claim, for a layout that shows them."""
    from ondevice_bench.papers.claims_file import load_published
    from ondevice_bench.report.layout import load_layout

    if "claims" not in load_layout(layout).sections:
        return ()
    return judge_all(load_published(), summaries)


def judge_all(published: "Published", summaries: Sequence["RunSummary"]) -> tuple["Judged", ...]:
    """Every claim, with accounts asked of a process where they can tell."""
    from ondevice_bench.papers.accounts import account, wanted
    from ondevice_bench.papers.claims import judge
    from ondevice_bench.papers.evidence import measured

    asked: dict[str, Mapping[str, Any]] = {}
    judged = []
    for claim in published.claims:
        accounts = []
        for each in wanted(claim, summaries):
            try:
                mine = _asked(each, asked)
                base = _asked(each.plain, asked) if claim.ratio_of else None
            except BadInput as error:
                raise BadInput(f"claim {claim.id}: {error.lines[0]}") from None
            accounts.append(account(claim, each, mine, base))
        judged.append(judge(claim, accounts, measured(claim, summaries)))
    return tuple(judged)


def _asked(wanted: "Wanted", known: dict[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The account, asked for once."""
    from ondevice_bench.run.queries.inspect import account_at
    from ondevice_bench.suite.from_flags import Words

    key = f"{wanted.query} {wanted.ranks}"
    if key not in known:
        query = wanted.query
        options = (*query.model_options, *query.method_options)
        words = Words(
            [str(query.model)],
            methods=[str(query.method)],
            options=[f"{name}={_word(value)}" for name, value in options],
            layers=[str(query.layers)],
            batches=[] if query.batch is None else [query.batch],
        )
        known[key] = account_at(suite_of(None, None, words), wanted.ranks)
    return known[key]


def _word(value: object) -> str:
    """A value as `--option` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
