"""The command `bench`: each verb parses, calls, prints."""

import json
import os
import shlex
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

import bench
from bench.errors import BadInput, BenchError, ExitCode

if TYPE_CHECKING:
    from bench.analyse.summary import RunSummary
    from bench.run.session import Request
    from bench.suite.suite import Suite
    from bench.suite.words import Words

app = typer.Typer(
    name="bench",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
list_app = typer.Typer()
app.add_typer(list_app, name="list", help="List the names that suites can use.")
show_app = typer.Typer()
app.add_typer(show_app, name="show", help="Show what a model consists of.")

SuiteName = Annotated[
    str | None, typer.Argument(help="A suite's name, or the path of its YAML file.")
]
ModelNames = Annotated[
    list[str] | None,
    typer.Option("--model", help="A model instead of a suite: a name, or ./mynet.py:net."),
]
MethodNames = Annotated[
    list[str] | None, typer.Option("--method", help="With --model: a method (default: vanilla).")
]
OptionWords = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="With --model: an option of a method or model."
    ),
]
RankWords = Annotated[list[str] | None, typer.Option("--rank", help="With --model: the ranks.")]
EpsilonWords = Annotated[
    list[str] | None, typer.Option("--epsilon", help="With --model: share of energy for ranks.")
]
FractionWords = Annotated[
    list[str] | None, typer.Option("--fraction", help="With --model: share of the largest ranks.")
]
LayerWords = Annotated[
    list[str] | None, typer.Option("--layers", help="With --model: the layers to treat.")
]
BatchSizes = Annotated[list[int] | None, typer.Option("--batch", help="With --model: batch size.")]
DataName = Annotated[str | None, typer.Option("--data", help="With --model: what batches hold.")]
WeightsName = Annotated[
    str | None, typer.Option("--weights", help="With --model: random, pretrained, or a file.")
]
SuitesFolder = Annotated[
    Path | None, typer.Option("--suites", help="A folder of suites to look in first.")
]
Hardware = Annotated[
    str | None, typer.Option("--hardware", help="The hardware profile, instead of recognising it.")
]
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", help="Only cells whose id matches: a glob, or a word in the id."),
]
RunName = Annotated[
    str | None,
    typer.Argument(
        help="A suite (its latest run), a run's id, or STORE@RUN (default: the latest run)."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Benchmark and profile the training of neural networks on small devices."""
    del debug  # `main` takes it from anywhere in the line
    if version:
        print(f"bench {bench.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
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

    from bench.analyse.learning import learning
    from bench.analyse.summary import summarise
    from bench.record.store import OUT
    from bench.report import text
    from bench.report.page import write_report
    from bench.run.progress import for_terminal
    from bench.run.session import NOT_OK, open_session

    if fresh and retry:
        raise BadInput(
            "--fresh starts anew, --retry repeats part of the last run: give one of them"
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    words = _words(models, methods, options, rank, epsilon, fraction, layers, batch, data, weights)
    request = replace(
        _request(_suite(suite, suites, words), hardware, filters),
        fresh=fresh,
        retry=NOT_OK if retry else frozenset(),
    )
    folder = out or OUT / request.suite.name
    progress = for_terminal(quiet=quiet)
    try:
        with open_session(request, folder, progress) as session:
            session.perform_all(progress)
            summary = summarise(session.store, session.store.run(session.run.id))
    finally:
        progress.close()
    page = folder / "report.html"
    write_report(summary, page)
    if as_json:
        _print_json(_report_json(summary, page))
    else:
        text.console().print(text.run_table(summary))
        if lines := learning(summary):
            text.console().print(text.learning_table(lines))
        print("\n".join([*text.run_notes(summary), f"report: {page}"]))
    return _run_exit_code(summary)


@app.command()
def plan(
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
    hardware: Annotated[
        str | None, typer.Option("--hardware", help="Plan for this profile, even if elsewhere.")
    ] = None,
    filters: Filters = None,
    as_json: AsJson = False,
) -> None:
    """Show a suite's cells, what is skipped or pending, and what is known beforehand."""
    from bench.analyse.locate import store_paths
    from bench.hardware.probe import probe
    from bench.hardware.profile import load_profile, recognise
    from bench.hardware.state import allowed_cpus
    from bench.record.store import Store
    from bench.report import text
    from bench.run.outline import outline
    from bench.suite.plan import plan as expand

    words = _words(models, methods, options, rank, epsilon, fraction, layers, batch, data, weights)
    loaded = _suite(suite, suites, words)
    machine = probe()
    profile = load_profile(hardware) if hardware else recognise(machine)
    cells = expand(loaded, profile.name, filters or ())
    threads = profile.threads_on(machine, len(allowed_cpus()))
    known: dict[tuple[str, str], float] = {}
    for path in store_paths():
        with Store.open(path) as store:
            known |= store.seconds_by_fingerprint({**machine.to_json(), "threads": threads})
    outlined = outline(loaded, cells, threads, known)
    if as_json:
        _print_json(
            {
                "suite": loaded.name,
                "profile": profile.name,
                "cells": [item.to_json() for item in outlined],
            }
        )
    else:
        text.console().print(text.plan_table(outlined))
        print(text.plan_total(outlined))


@app.command()
def report(
    run_name: RunName = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file (default: report.html beside the store)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a run's results as one HTML file."""
    from bench.analyse.locate import find_run
    from bench.analyse.summary import summarise
    from bench.record.store import Store
    from bench.report.page import write_report

    path, run_id = find_run(run_name)
    with Store.open(path) as store:
        summary = summarise(store, store.run(run_id))
        latest = store.runs()[-1].id
    # an older run's report does not take the place of the latest one's
    name = "report.html" if run_id == latest else f"report-{run_id}.html"
    page = out or path.parent / name
    write_report(summary, page)
    if as_json:
        _print_json(_report_json(summary, page))
    else:
        print(f"report: {page}")


@app.command()
def compare(
    base: Annotated[str, typer.Argument(help="A run: a suite (its latest), an id, or STORE@RUN.")],
    new: Annotated[str, typer.Argument(help="The run that is judged against it.")],
    as_json: AsJson = False,
) -> int:
    """Compare the exact metrics of two runs; exit code 4 where one got worse."""
    from bench.analyse.compare import compare as compare_runs
    from bench.analyse.locate import find_run
    from bench.analyse.summary import summarise
    from bench.record.store import Store
    from bench.report.text import comparison_lines

    summaries = []
    for reference in (base, new):
        path, run_id = find_run(reference)
        with Store.open(path) as store:
            summaries.append(summarise(store, store.run(run_id)))
    comparison = compare_runs(*summaries)
    if as_json:
        _print_json(comparison.to_json())
    else:
        print("\n".join(comparison_lines(comparison)))
    for summary in summaries:
        if summary.run.finished is None:
            print(f"bench: {summary.run.id} is unfinished", file=sys.stderr)
    return comparison.exit_code


@app.command("check-method")
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
    from bench.run.conformance import check

    results = check(method, options or [])
    failed = [result for result in results if result["passed"] is False]
    if as_json:
        _print_json(results)
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
        _print_rows(rows, as_json=False)
        print(f"{len(results)} checks, {len(failed)} failed")
    return ExitCode.CELL_FAILED if failed else ExitCode.OK


@app.command()
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
    as_json: AsJson = False,
) -> None:
    """Accounted memory and FLOPs of treated layers, by closed formulas; nothing is run."""
    from bench.report.account import account_json, account_lines
    from bench.run.asking import account as ask_account
    from bench.suite.words import Words

    said = {"rank": rank, "fraction": fraction, "weight_rank": weight_rank}
    words = Words(
        [model],
        methods=[method],
        options=options or (),
        ranks={rule: [str(value)] for rule, value in said.items() if value is not None},
        layers=[layers],
        batches=() if batch is None else [batch],
    )
    what, found = ask_account(_suite(None, None, words))
    if as_json:
        _print_json(account_json(what, found))
    else:
        print("\n".join(account_lines(what, found)))


@show_app.command("model")
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
    from bench.report import text
    from bench.report.layers import layer_notes, layer_table
    from bench.run.asking import layers

    words = _one_model(model, options, batch)
    suite = _suite(None, None, words)
    found = layers(suite)
    size = suite.models[0].batches[0]
    if as_json:
        _print_json({"model": suite.models[0].name, "batch": size, **found})
    else:
        text.console().print(layer_table(found))
        print("\n".join(layer_notes(found, size)))


@show_app.command("spectrum")
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
    from bench.report import text
    from bench.report.layers import spectrum_rows, spectrum_table
    from bench.run.asking import Refused, spectra

    kinds = weights or ["random", "spectrum:0.75", "pretrained"]
    found: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for kind in kinds:
        words = _one_model(model, options, batch, data=data, weights=kind)
        suite = _suite(None, None, words)
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
        _print_json({"epsilons": epsilons, "weights": by_weights, "unavailable": reasons})
        return
    text.console().print(spectrum_table(epsilons, by_weights))
    if pattern:
        text.console().print(spectrum_rows(epsilons, by_weights, pattern))
    size = suite.models[0].batches[0]
    print(
        f"on data {suite.data.name}, batch {size}; ranks in % of the largest possible: median over "
        "layers (least … most);\ninputs: over the modes of every layer's input; stored: what HOSVD "
        "would keep of all inputs at these ranks"
    )
    for kind, reason in reasons.items():
        print(f"not shown: {kind}: {reason}")


@list_app.command("suites")
def list_suites(suites: SuitesFolder = None, as_json: AsJson = False) -> None:
    """The suites that can be run by name."""
    from bench.declare.folders import declared
    from bench.suite.load import load_suite

    rows = []
    for name, path in declared("suites", suites).items():
        try:
            title = load_suite(str(path)).title
        except BenchError as error:
            title = f"cannot be read: {error.lines[0]}"
        rows.append({"name": name, "title": title, "path": str(path)})
    _print_rows(rows, as_json)


@list_app.command("methods")
def list_methods(as_json: AsJson = False) -> None:
    """The training methods and their options."""
    from bench.specs import registry

    _print_rows([_spec_row(spec) for spec in registry.methods().values()], as_json)


@list_app.command("models")
def list_models(as_json: AsJson = False) -> None:
    """The models and their options."""
    from bench.specs import registry

    _print_rows([_spec_row(spec) for spec in registry.models().values()], as_json)


@list_app.command("hardware")
def list_hardware(as_json: AsJson = False) -> None:
    """The hardware profiles; the one that this machine is has a mark."""
    from bench.hardware.probe import probe
    from bench.hardware.profile import Recognise, profiles, recognise

    machine = probe()
    here = recognise(machine).name
    rows = [
        {"name": p.name, "this machine": p.name == here, "title": p.title, "path": str(p.path)}
        for p in profiles().values()
    ]
    _print_rows(rows, as_json)
    if not as_json:
        facts = ", ".join(f"{key} {getattr(machine, key)!r}" for key in Recognise.model_fields)
        print(f"profiles recognise this machine by: {facts}")


@list_app.command("runs")
def list_runs(as_json: AsJson = False) -> None:
    """The runs below `bench-out`, the oldest first."""
    from bench.analyse.locate import store_paths
    from bench.record.store import Store

    rows = []
    for path in store_paths():
        with Store.open(path) as store:
            rows += [
                {
                    "run": run.id,
                    "profile": run.profile,
                    "started": run.created,
                    "finished": run.finished or "",
                    "store": str(path),
                }
                for run in store.runs()
            ]
    _print_rows(sorted(rows, key=lambda row: row["started"]), as_json)


@list_app.command("metrics")
def list_metrics(as_json: AsJson = False) -> None:
    """What is measured: units, direction, exact or noisy, scope."""
    from bench.record import metrics

    rows = [metric.to_json() for metric in metrics.ALL]
    if not as_json:
        shown = ("name", "kind", "scope", "title")
        rows = [{name: row[name] for name in shown} for row in rows]
    _print_rows(rows, as_json)


def main() -> NoReturn:
    """Run the command; every way to end is an exit code, and none shows a traceback unasked."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output is gone: leave without Python's complaint at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.OK
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        code = ExitCode.INTERRUPTED
    except BenchError as error:
        if debug:
            traceback.print_exc()
        for line in error.lines:
            print(f"bench: {line}", file=sys.stderr)
        code = error.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"bench: internal error: {_summary(error)}{_saved_details()}", file=sys.stderr)
        code = ExitCode.BUG
    sys.exit(int(code))


def _invoke(arguments: list[str]) -> int:
    try:
        return int(app(arguments, standalone_mode=False) or 0)
    except typer.TyperException as error:
        say = getattr(error, "format_message", None)
        message = " ".join((say() if say is not None else str(error)).split())
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "bench"
        print(f"bench: {message} (see `{command} --help`)", file=sys.stderr)
        return ExitCode.BAD_INPUT


def _summary(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}".rstrip(": ")


def _saved_details() -> str:
    """Save the traceback and say where; empty where nothing can be saved."""
    text = f"{shlex.join(sys.argv)}\nbench {bench.__version__}, Python {sys.version}\n\n"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="bench-error-", suffix=".txt", delete=False
        ) as file:
            file.write(text + traceback.format_exc())
    except OSError:
        return "; run again with --debug for details"
    return f"; details are in {file.name}"


def _words(
    models: list[str] | None,
    methods: list[str] | None,
    options: list[str] | None,
    rank: list[str] | None,
    epsilon: list[str] | None,
    fraction: list[str] | None,
    layers: list[str] | None,
    batch: list[int] | None,
    data: str | None,
    weights: str | None,
) -> "Words | None":
    """What was said in the place of a suite; None where a suite was named."""
    others = (methods, options, rank, epsilon, fraction, layers, batch, data, weights)
    if not models:
        if any(other is not None for other in others):
            raise BadInput("--method, --option, --rank and the like go with --model, not a suite")
        return None
    from bench.suite.words import Words

    return Words(
        models=models,
        methods=methods or (),
        options=options or (),
        ranks={"rank": rank or (), "epsilon": epsilon or (), "fraction": fraction or ()},
        layers=layers or (),
        batches=batch or (),
        data=data,
        weights=weights,
    )


def _one_model(
    model: str,
    options: list[str] | None,
    batch: int | None,
    data: str | None = None,
    weights: str | None = None,
) -> "Words":
    from bench.suite.words import Words

    sizes = () if batch is None else (batch,)
    return Words([model], options=options or (), batches=sizes, data=data, weights=weights)


def _suite(name: str | None, folder: Path | None, words: "Words | None") -> "Suite":
    """The suite that is named or said, and what its own models say of themselves."""
    from bench.run.own import describe
    from bench.suite.load import load_suite

    if (name is None) == (words is None):
        raise BadInput("name a suite, or say one with --model (see `bench run --help`)")
    suite = words.suite() if words is not None else load_suite(str(name), folder)
    describe(suite)
    return suite


def _request(suite: "Suite", hardware: str | None, filters: list[str] | None) -> "Request":
    from bench.hardware.probe import probe
    from bench.hardware.profile import recognise
    from bench.run.commit import current_commit
    from bench.run.session import Request
    from bench.suite.plan import plan as expand

    machine = probe()
    profile = recognise(machine, hardware)
    return Request(
        suite=suite,
        plan=expand(suite, profile.name, filters or ()),
        profile=profile,
        machine=machine,
        commit=current_commit(Path.cwd()),
        command=shlex.join(["bench", *sys.argv[1:]]),
    )


def _report_json(summary: "RunSummary", page: Path) -> dict[str, Any]:
    from bench.analyse.learning import learning

    lines = [line.to_json() for line in learning(summary)]
    return {**summary.to_json(), "learning": lines, "report": str(page)}


def _run_exit_code(summary: "RunSummary") -> int:
    from bench.run.session import NOT_OK

    if any(cell.status in NOT_OK for cell in summary.cells):
        return ExitCode.CELL_FAILED
    return ExitCode.OK if "ok" in summary.statuses else ExitCode.NOTHING_RAN


def _spec_row(spec: Any) -> dict[str, Any]:
    options = "\n".join(f"{o.name}: {o.allowed}; {_default(o)}" for o in spec.options)
    return {"name": spec.name, "title": spec.title, "options": options}


def _default(option: Any) -> str:
    if option.default is None:
        return "unset"
    shown = str(option.default)
    return f"default {shown.lower() if isinstance(option.default, bool) else shown}"


def _print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    from bench.report import text

    if as_json:
        _print_json(rows)
        return
    if not rows:
        return
    made = text.table(*rows[0])
    for row in rows:
        made.add_row(
            *(
                "✓" if value is True else "" if value is False else str(value)
                for value in row.values()
            )
        )
    text.console().print(made)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))
