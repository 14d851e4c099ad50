"""The command's tree: every verb, in the order of the help."""

from typing import Annotated

import typer

import ondevice_bench
from ondevice_bench.cli import (
    asking,
    claiming,
    comparing,
    examining,
    history,
    listing,
    measuring,
    results,
)

app = typer.Typer(
    name="bench",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Benchmark and profile the training of neural networks on small devices."""
    del debug  # `main` takes it from anywhere in the line
    if version:
        print(f"bench {ondevice_bench.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


app.command()(measuring.run)
app.command()(measuring.plan)
app.command()(asking.fit)
app.command()(examining.doctor)
app.command()(results.report)
app.command()(results.compare)
app.command()(comparing.ab)
app.command()(history.history)
app.command()(results.export)
app.command("import")(results.import_bundle)
app.command()(asking.account)
app.command()(claiming.claims)
app.command()(asking.check_method)

show = typer.Typer()
app.add_typer(show, name="show", help="Show what a model consists of, or a cell's figures.")
show.command("cell")(results.show_cell)
show.command("model")(asking.show_model)
show.command("spectrum")(asking.show_spectrum)

baseline = typer.Typer()
app.add_typer(baseline, name="baseline", help="Keep a run's figures beside the code.")
baseline.command("save")(results.save_baseline)

listed = typer.Typer()
app.add_typer(listed, name="list", help="List the names that suites can use.")
listed.command("suites")(listing.list_suites)
listed.command("methods")(listing.list_methods)
listed.command("models")(listing.list_models)
listed.command("hardware")(listing.list_hardware)
listed.command("runs")(listing.list_runs)
listed.command("metrics")(listing.list_metrics)
