"""The tree of verbs, in the order of the help."""

from typing import Annotated

import typer

import ondevice_bench
from ondevice_bench.cli import (
    ab,
    accept_change,
    account,
    board,
    check_method,
    claims,
    compare,
    completion,
    doctor,
    export,
    fit,
    fleet,
    history,
    import_,
    init,
    list_,
    new_method,
    plan,
    prune,
    recommend,
    report,
    run,
    save_baseline,
    schema,
    show_cell,
    show_model,
    show_spectrum,
    site,
    validate_board,
)
from ondevice_bench.terminal import print_lines

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
    del debug  # `main` reads it from any place in the line
    if version:
        print_lines(f"bench {ondevice_bench.__version__}")
    elif context.invoked_subcommand is None:
        print_lines(context.get_help())


app.command()(init.init)
app.command()(run.run)
app.command()(plan.plan)
app.command()(fit.fit)
app.command()(recommend.recommend)
app.command()(doctor.doctor)
app.command()(report.report)
app.command()(compare.compare)
app.command()(ab.ab)
app.command()(history.history)
app.command()(site.site)
app.command()(export.export)
app.command("import")(import_.import_)
app.command()(prune.prune)
app.command()(account.account)
app.command()(claims.claims)
app.command()(schema.schema)
app.command()(completion.completion)
app.command()(new_method.new_method)
app.command()(check_method.check_method)

show = typer.Typer()
app.add_typer(show, name="show", help="Show the numbers of a cell, or a model's layers or ranks.")
show.command("cell")(show_cell.show_cell)
show.command("model")(show_model.show_model)
show.command("spectrum")(show_spectrum.show_spectrum)

baseline = typer.Typer()
app.add_typer(
    baseline, name="baseline", help="Save a run as a small file to commit, or accept changes in it."
)
baseline.command("save")(save_baseline.save_baseline)
baseline.command("accept")(accept_change.accept_change)

boards = typer.Typer()
app.add_typer(
    boards, name="board", help="Set up, check and validate boards on the network, for `--on`."
)
boards.command("setup")(board.setup)
boards.command("list")(board.list_boards)
boards.command("check")(board.check)
boards.command("remove")(board.remove)
boards.command("validate")(validate_board.validate)

fleets = typer.Typer()
app.add_typer(fleets, name="fleet", help="Measure suites on many boards at the same time.")
fleets.command("run")(fleet.run)
fleets.command("status")(fleet.status)

lists = typer.Typer()
app.add_typer(lists, name="list", help="List the names that suites can use, and past runs.")
lists.command("suites")(list_.list_suites)
lists.command("methods")(list_.list_methods)
lists.command("models")(list_.list_models)
lists.command("hardware")(list_.list_hardware)
lists.command("runs")(list_.list_runs)
lists.command("metrics")(list_.list_metrics)
