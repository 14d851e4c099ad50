"""`bench report`: a run's results as one HTML file, or as text."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.files import written_whole
from ondevice_bench.terminal import print_json

if TYPE_CHECKING:
    from ondevice_bench.analyse.summary import RunSummary


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="A suite (its latest run), a run's id, or STORE@RUN (default: the latest run); "
            "runs of other boards beside it.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file (default: report.html beside the store)."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="A layout's name, or the path of its YAML file.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The method that others are weighed against.")
    ] = None,
    compare_hardware: Annotated[
        bool,
        typer.Option(
            "--compare-hardware",
            help="Beside it the latest run of the same suite on each other board in its store.",
        ),
    ] = False,
    form: Annotated[
        Literal["html", "text", "md", "csv", "json"],
        typer.Option("--format", help="All but html are printed, or written where --out says."),
    ] = "html",
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw a run's results as one HTML file, or print them."""
    from ondevice_bench.analyse.find_runs import find_run, on_other_boards
    from ondevice_bench.analyse.history import Asked
    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.cli.claims import claims_on
    from ondevice_bench.record.store import Store
    from ondevice_bench.report.page import write_report
    from ondevice_bench.report.terminal.formats import written
    from ondevice_bench.run.commit import places

    found = [find_run(name) for name in runs] if runs else [find_run(None)]
    if compare_hardware:
        path, run_id = found[0]
        beside = [(path, other) for other in on_other_boards(path, run_id)]
        found += [each for each in beside if each not in found]
    summaries, latest = [], set()
    for path, run_id in found:
        with Store.open(path) as store:
            summaries.append(summarise(store, store.run(run_id)))
            latest.add(store.runs()[-1].id)
    methods = {cell.planned.cell.method for cell in summaries[0].cells}
    if baseline is not None and baseline not in methods:
        raise BadInput(f"--baseline: {unknown('method of this run', baseline, methods)}")
    if form != "html":
        text = written(summaries, form, baseline)
        if out is None:
            print(text)
            return
        with written_whole(out) as file:
            file.write(f"{text}\n".encode())
        print(f"report: {out}")
        return
    path, run_id = found[0]
    # an older run's report does not take the place of the latest one's
    name = "report.html" if run_id in latest else f"report-{run_id}.html"
    page = out or path.parent / name
    chosen = layout or ("hardware" if compare_hardware or len(summaries) > 1 else "run")
    asked = Asked(places(Path.cwd(), [one.run.commit for one in summaries]))
    claims = claims_on(chosen, summaries)
    write_report(summaries, page, chosen, baseline, asked=asked, claims=claims)
    if as_json:
        print_json(report_json(summaries[0], page))
    else:
        print(f"report: {page}")
    if show:
        webbrowser.open(page.resolve().as_uri())


def report_json(summary: "RunSummary", page: Path) -> dict[str, Any]:
    """A run's summary, what it says of learning, and where its page is."""
    from ondevice_bench.analyse.learning import learning

    lines = [line.to_json() for line in learning(summary)]
    return {**summary.to_json(), "learning": lines, "report": str(page)}
