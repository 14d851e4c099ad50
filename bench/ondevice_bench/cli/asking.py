"""Verbs that ask a worker about a method or a model; nothing is measured."""

from typing import Annotated, Any

import typer

from ondevice_bench.cli.arguments import (
    AsJson,
    FractionWords,
    LayerWords,
    OptionWords,
    RankWords,
    one_model,
    size_of,
    suite_of,
)
from ondevice_bench.cli.printing import print_json, print_rows
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.suite.board import HERE
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
    from ondevice_bench.report.terminal import tables
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
        tables.console().print(fit_table(found))
        print("\n".join(fit_notes(where.name, memory, kept)))
    return ExitCode.OK if any(item.batch for item in found) else ExitCode.NOTHING_RAN


def _takes_fraction(method: str) -> bool:
    from ondevice_bench.specs import registry

    known = () if registry.is_own(method) else registry.method(method).options
    return any(option.name == "fraction" for option in known)


def check_method(
    method: Annotated[
        str, typer.Argument(help="A method's name, or a class in a file: ./mine.py:Mine.")
    ],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the method."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check a method against what every method must hold; exit code 3 where one check fails."""
    from ondevice_bench.run.queries.conformance import check

    results = check(method, options or [])
    failed = [result for result in results if result["passed"] is False]
    if as_json:
        print_json(results)
    else:
        shown = {True: "ok", False: "FAILED", None: "not checked"}
        rows = [
            {
                "check": r["check"],
                "layer": r["case"],
                "": shown[r["passed"]],
                "what was found": r["said"],
            }
            for r in results
        ]
        print_rows(rows, as_json=False)
        print(f"{len(results)} checks, {len(failed)} failed")
    return ExitCode.CELL_FAILED if failed else ExitCode.OK


def account(
    model: Annotated[str, typer.Option("--model", help="A model's name, or ./mynet.py:net.")],
    method: Annotated[str, typer.Option("--method", help="A method that replaces layers.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="An option of the method or model."),
    ] = None,
    rank: Annotated[str | None, typer.Option(help="The ranks: 8, or 8x16x32.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of the largest ranks.")] = None,
    weight_rank: Annotated[int | None, typer.Option(help="The rank of weights.")] = None,
    layers: Annotated[str, typer.Option(help="The layers that are treated.")] = "all",
    batch: Annotated[int | None, typer.Option(help="Batch size (default: the model's).")] = None,
    dialect: Annotated[
        str,
        typer.Option(help="Beside the exact count, as a paper counts: gf, hosvd, asi, wasi."),
    ] = "exact",
    as_json: AsJson = False,
) -> None:
    """Accounted memory and FLOPs of treated layers, by closed formulas; nothing is run."""
    from ondevice_bench.papers.account_table import (
        account_json,
        account_lines,
        dialect_notes,
        dialect_table,
    )
    from ondevice_bench.papers.dialects import EXACT, check_dialect
    from ondevice_bench.report.terminal.tables import console
    from ondevice_bench.run.queries.inspect import account as ask_account
    from ondevice_bench.suite.from_flags import Words

    check_dialect(dialect, method)
    said = {"rank": rank, "fraction": fraction, "weight_rank": weight_rank}
    words = Words(
        [model],
        methods=[method],
        options=options or (),
        ranks={rule: [str(value)] for rule, value in said.items() if value is not None},
        layers=[layers],
        batches=() if batch is None else [batch],
    )
    what, found = ask_account(suite_of(None, None, words))
    if as_json:
        print_json(account_json(what, found, dialect))
        return
    print("\n".join(account_lines(what, found, with_flops=dialect == EXACT)))
    if dialect != EXACT:
        if found["dialects"][dialect]["lines"]:
            console().print(dialect_table(dialect, found))
        print("\n".join(dialect_notes(dialect, found)))


def show_model(
    model: Annotated[str, typer.Argument(help="A model's name, or ./mynet.py:net.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the model."),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size (default: the model's).")] = None,
    as_json: AsJson = False,
) -> None:
    """A model's layers: shapes, parameters, FLOPs, activation bytes, and what chooses them."""
    from ondevice_bench.report.terminal import tables
    from ondevice_bench.report.terminal.layers import layer_notes, layer_table
    from ondevice_bench.run.queries.inspect import layers

    words = one_model(model, options, batch)
    suite = suite_of(None, None, words)
    found = layers(suite)
    size = suite.models[0].batches[0]
    if as_json:
        print_json({"model": suite.models[0].name, "batch": size, **found})
    else:
        tables.console().print(layer_table(found))
        print("\n".join(layer_notes(found, size)))


def show_spectrum(
    model: Annotated[str, typer.Argument(help="A model's name, or ./mynet.py:net.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the model."),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size (default: the model's).")] = None,
    data: Annotated[str, typer.Option(help="What the batch holds.")] = "synthetic",
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Kinds to compare (default: random, spectrum:0.75, pretrained)."),
    ] = None,
    pattern: Annotated[
        str | None, typer.Option("--layer", help="Print the ranks of the layers that match.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The ranks that hold each share of energy, for random, decaying and pretrained weights."""
    from ondevice_bench.report.terminal import tables
    from ondevice_bench.report.terminal.layers import spectrum_rows, spectrum_table
    from ondevice_bench.run.queries.inspect import Refused, spectra

    kinds = weights or ["random", "spectrum:0.75", "pretrained"]
    found: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for kind in kinds:
        words = one_model(model, options, batch, data=data, weights=kind)
        suite = suite_of(None, None, words)
        try:
            answer = spectra(suite)
        except Refused as error:
            if weights:
                raise
            reasons[kind] = str(error)
            continue
        found[suite.weights.name] = answer
    if not found:
        raise BadInput(*dict.fromkeys(reasons.values()))
    epsilons = next(iter(found.values()))["epsilons"]
    by_weights = {kind: answer["layers"] for kind, answer in found.items()}
    if as_json:
        print_json({"epsilons": epsilons, "weights": by_weights, "unavailable": reasons})
        return
    tables.console().print(spectrum_table(epsilons, by_weights))
    if pattern:
        tables.console().print(spectrum_rows(epsilons, by_weights, pattern))
    size = suite.models[0].batches[0]
    print(
        f"on data {suite.data.name}, batch {size}; ranks in % of the largest possible: median over "
        "layers (least … most);\ninputs: over the modes of every layer's input; stored: what HOSVD "
        "would keep of all inputs at these ranks"
    )
    for kind, reason in reasons.items():
        print(f"not shown: {kind}: {reason}")
