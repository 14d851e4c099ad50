"""`bench report`: a run's results as one HTML file, or as text."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import A_RUN, AsJson, Open
from ondevice_bench.cli.browser import open_page
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.files import atomic_write
from ondevice_bench.terminal import print_errors, print_json, print_lines, printable

if TYPE_CHECKING:
    from ondevice_bench.papers.claims import JudgedClaim
    from ondevice_bench.running.hosts.host import Host
    from ondevice_bench.running.queries.accounts import Answer, Wanted
    from ondevice_bench.suite.from_flags import Words

LINES_AT_ONCE = 1_000


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            autocompletion=names.results,
            help=f"The run: {A_RUN} (default: the latest run). "
            "More runs, for example of other boards, are shown beside the first.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The file to write (default: report.html beside the store; report-boards.html "
            "for several runs).",
        ),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="A page layout's name, or the path of its YAML file.")
    ] = None,
    templates: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Use the templates in this folder before ours."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The method that the others are compared with.")
    ] = None,
    compare_hardware: Annotated[
        bool,
        typer.Option(
            "--compare-hardware",
            help="Also show the suite's latest run on each other board in the same store.",
        ),
    ] = False,
    fits: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also show what fits a board: a file that `bench fit --json` wrote.",
        ),
    ] = None,
    form: Annotated[
        Literal["html", "text", "md", "csv", "json"],
        typer.Option("--format", help="html writes a file. The others print, or write to --out."),
    ] = "html",
    show: Open = False,
    as_json: AsJson = False,
) -> None:
    """Draw a run's results as one HTML file, or print them."""
    from ondevice_bench.analyse.history import HistoryQuery
    from ondevice_bench.analyse.report_runs import report_runs
    from ondevice_bench.papers.claims_file import load_published
    from ondevice_bench.papers.judge_claims import judge_claims
    from ondevice_bench.report.layout import load_layout
    from ondevice_bench.report.page import write_report
    from ondevice_bench.report.terminal.csv_lines import csv_lines
    from ondevice_bench.report.terminal.formats import formatted
    from ondevice_bench.report.terminal.run import run_json
    from ondevice_bench.running.commit import places
    from ondevice_bench.running.hosts.local import local_host
    from ondevice_bench.suite.fit_file import read_fits
    from ondevice_bench.validation.claims import with_what_is_not_measured

    if as_json and form not in ("html", "json"):
        raise BadInput(f"--json and --format {form}: give one of them")
    _require_effect(form, layout=layout, templates=templates, open=show, baseline=baseline)
    selected = report_runs(runs or (), other_boards=compare_hardware)
    if baseline is not None and baseline not in (methods := selected.methods()):
        raise BadInput(f"--baseline: {unknown('method of this run', baseline, methods)}")
    if fits is not None and form != "html":
        raise BadInput("--fits: only the HTML page shows what fits a board")
    found_fits = None if fits is None else read_fits(fits)
    if form == "csv":
        _print_or_write(csv_lines(selected.cells()), out)
        return
    summaries = selected.summaries()
    if form != "html":
        _print_or_write([formatted(summaries, form, baseline)], out)
        return
    layout = layout or ("hardware" if compare_hardware or len(summaries) > 1 else "run")
    page = out or selected.page(of_boards=layout == "hardware")
    if compare_hardware and len({one.run.profile for one in summaries}) == 1:
        print_errors(
            f"{summaries[0].run.suite} was measured on {summaries[0].run.profile} only: run it on "
            "another board, and `bench import` its bundle here"
        )
    shown = load_layout(layout).sections
    if fits is not None and "fits" not in shown:
        raise BadInput(f"--fits: the layout {layout} has no section `fits`")
    claims: tuple[JudgedClaim, ...] = ()
    if "claims" in shown:
        with local_host() as host:
            judged = judge_claims(load_published(), summaries, partial(_accounts_of, host))
        claims = with_what_is_not_measured(judged)
    query = HistoryQuery(places(Path.cwd(), [one.run.commit for one in summaries]))
    write_report(
        summaries,
        page,
        layout,
        baseline,
        query=query,
        claims=claims,
        fits=found_fits,
        templates=templates,
    )
    if as_json:
        print_json(run_json(summaries[0], page))
    else:
        print_lines(f"report: {page}")
    if show:
        open_page(page)


def _require_effect(form: str, *, baseline: str | None, **of_pages: object) -> None:
    """BadInput for an option that this format would ignore."""
    for name, given in of_pages.items():
        if given and form != "html":
            raise BadInput(f"--{name} goes with --format html, not {form}")
    if baseline is not None and form == "csv":
        raise BadInput("--baseline: the lines of --format csv have no ratios")


def _print_or_write(texts: "Iterable[str]", out: Path | None) -> None:
    """Print the texts, or write them to a file, one after the other."""
    if out is None:
        rest = iter(texts)
        while some := tuple(islice(rest, LINES_AT_ONCE)):
            print_lines(*some)
        return
    with atomic_write(out) as file:
        for text in texts:
            file.write(f"{printable(text)}\n".encode())
    print_lines(f"report: {out}")


def _accounts_of(host: "Host", wanted: "Sequence[Wanted]") -> "Sequence[Answer]":
    """The accounts of the cells of claims, without code from files: a report only draws."""
    from ondevice_bench.running.queries.accounts import accounts_of

    ours = [each for each in wanted if not _own_code(each[0])]
    made = iter(accounts_of(host, ours))
    return [
        BadInput(f"{name}: a report does not run your code; `bench claims --out` does")
        if (name := _own_code(words))
        else next(made)
        for words, _ in wanted
    ]


def _own_code(words: "Words") -> str:
    """The first model or method that is the user's own; empty without one."""
    from ondevice_bench.specs import registry

    own = (*filter(registry.is_own_model, words.models), *filter(registry.is_own, words.methods))
    return next(iter(own), "")
