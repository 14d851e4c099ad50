"""`bench fit`: the largest batch that fits a board; nothing is measured."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import (
    AsJson,
    FractionWords,
    LayerWords,
    OptionWords,
    RankWords,
    size_of,
    suite_of,
)
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.suite.board import HERE
from ondevice_bench.terminal import print_json, print_table
from ondevice_bench.units import GIB

DEFAULT_FRACTION = "0.125"


def fit(
    model: Annotated[str, typer.Option("--model", help="A model's name, or ./mynet.py:net.")],
    methods: Annotated[
        list[str] | None, typer.Option("--method", help="A method (default: all that apply).")
    ] = None,
    options: OptionWords = None,
    rank: RankWords = None,
    fraction: FractionWords = None,
    layers: LayerWords = None,
    board: Annotated[
        str | None, typer.Option("--board", help="A hardware profile (default: this machine).")
    ] = None,
    reserve: Annotated[
        str, typer.Option(metavar="SIZE", help="What is left to the system and torch itself.")
    ] = "512M",
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm",
            help="Run the edge under that cap, on this machine; where it fails, look below.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """The largest batch that fits a board, method by method; exit code 6 where none does."""
    from ondevice_bench.analyse.past_speeds import seconds_of_an_example
    from ondevice_bench.report.terminal.fit import fit_notes, fit_table
    from ondevice_bench.run.boards import board_of
    from ondevice_bench.run.queries.fit import fits
    from ondevice_bench.specs import registry
    from ondevice_bench.specs.builtin_methods import BY_CONTENT
    from ondevice_bench.suite.from_flags import Words
    from ondevice_bench.suite.plan import plan

    where = board_of(board)
    kept = size_of("--reserve", reserve)
    if where.memory_gib is None:
        raise BadInput(f"{where.name} does not say how much memory it has: name one that does")
    memory = int(where.memory_gib * GIB)
    if kept >= memory:
        raise BadInput(f"--reserve {reserve}: {where.name} has {where.memory_gib:g} GiB in all")
    names = [word.partition("=")[0].rpartition(".")[2] for word in options or ()]
    by_content = [name for name in names if name in BY_CONTENT]
    if by_content:
        raise BadInput(f"ranks by {by_content[0]} depend on data: give --rank or --fraction")
    chosen = methods or list(registry.methods())
    said = {"rank": rank or [], "fraction": fraction or []}
    if not any(said.values()) and any(_takes_fraction(method) for method in chosen):
        said["fraction"] = [DEFAULT_FRACTION]
    words = Words(
        [model],
        methods=chosen,
        options=options or (),
        ranks=said,
        layers=layers or (),
        batches=[1],
    )
    suite = suite_of(None, None, words)
    known = seconds_of_an_example(where.names)
    found = fits(suite, plan(suite, HERE), memory - kept, known, confirm=confirm)
    if as_json:
        print_json(
            {
                "board": where.name,
                "memory_bytes": memory,
                "reserve_bytes": kept,
                "fits": [item.to_json() for item in found],
            }
        )
    else:
        print_table(fit_table(found))
        print("\n".join(fit_notes(where.name, memory, kept)))
    return ExitCode.OK if any(item.batch for item in found) else ExitCode.NOTHING_RAN


def _takes_fraction(method: str) -> bool:
    from ondevice_bench.specs import registry

    known = () if registry.is_own(method) else registry.method(method).options
    return any(option.name == "fraction" for option in known)
