"""`bench recommend`: which way to train a network on a board."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import (
    AsJson,
    Hardware,
    Quiet,
    Reserve,
    command_line,
    model_names,
    parsed_bytes,
    parsed_reserve,
    parsed_seconds,
)
from ondevice_bench.cli.hosts import On
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import print_json, print_lines, print_notes, print_tables

if TYPE_CHECKING:
    from ondevice_bench.recommend.answer import Recommendation
    from ondevice_bench.running.hosts.host import Host
    from ondevice_bench.suite.board import Board

DEFAULT_COSINE = 0.9  # as the goal of a suite


def recommend(
    model: Annotated[
        str,
        typer.Option(
            "--model", help="A model's name, or ./mynet.py:net.", autocompletion=names.models
        ),
    ],
    board: Annotated[
        str | None,
        typer.Option(
            "--board",
            help="The hardware profile to train on (default: this machine).",
            autocompletion=names.profiles,
        ),
    ] = None,
    space: Annotated[
        str,
        typer.Option(help="What to choose from: the name of a search space, or its YAML file."),
    ] = "default",
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the model."),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layers",
            help="The layers that a method may change (default: as in the search space).",
        ),
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option("--batch", help="The batch size; repeat it to choose from several."),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Your examples: folder:DIR, npz:FILE, …")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="random, pretrained, or a file of weights."),
    ] = None,
    minimise: Annotated[
        str,
        typer.Option(
            help="The metric to minimise: step_seconds, peak_rss, energy, time_to_accuracy, "
            "energy_to_accuracy, or another goal of suites."
        ),
    ] = "step_seconds",
    min_cosine: Annotated[
        float | None,
        typer.Option(
            "--min-cosine",
            help="The lowest allowed cosine with the gradient of plain training (default: 0.9, "
            "unless --min-accuracy or --target is given).",
        ),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option("--min-accuracy", help="The lowest allowed accuracy after a short training."),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            "--target", help="The accuracy to reach, for time_to_accuracy and energy_to_accuracy."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            help="How often a candidate may train, each time with its own seed: at most 20 "
            "(default: 3).",
        ),
    ] = None,
    memory_cap: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="The memory that a process may allocate (default: the memory of the board minus "
            "--reserve).",
        ),
    ] = None,
    reserve: Reserve = None,
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="Answer within this time: 90s, 30m, 2h.")
    ] = "30m",
    on: On = None,
    hardware: Hardware = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder for the results (default: bench-out/recommend-MODEL)."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure again what an earlier search has measured.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Measure, and choose a method, its ranks and the batch for a network on a board.

    Exit code 6 if nothing meets the limits, 5 if the budget ended before the search.
    """
    from ondevice_bench.recommend.ask import Network, memory_bytes, narrowed
    from ondevice_bench.recommend.question import SEEDS, Limits, Question, goal_named
    from ondevice_bench.recommend.search import Search
    from ondevice_bench.record.store import OUT
    from ondevice_bench.running.boards import boards
    from ondevice_bench.running.progress import for_terminal
    from ondevice_bench.suite.space import load_space

    goal, seconds = goal_named(minimise), parsed_seconds("--budget", budget)
    if seconds <= 0:
        raise BadInput("--budget: must be more than 0 seconds")
    if min_cosine is None and min_accuracy is None and target is None:
        min_cosine = DEFAULT_COSINE
    names = model_names([model])
    if len(names) > 1:
        raise BadInput(f"--model: a search is for one network, got {len(names)}: {model}")
    chosen = narrowed(load_space(space), layers or (), batch or ())
    if memory_cap is not None and reserve is not None:
        raise BadInput("--memory-cap and --reserve: both say how much a process may allocate")
    cap = None if memory_cap is None else parsed_bytes("--memory-cap", memory_cap)
    asked, is_here = _target(on, board, hardware)
    limit = memory_bytes(asked, cap, parsed_reserve(reserve), boards().values())
    question = Question(
        goal, Limits(limit, min_cosine, min_accuracy), target, SEEDS if seeds is None else seeds
    )
    if seeds is not None and not question.learns:
        raise BadInput("--seeds: only trainings have seeds: give --min-accuracy or --target")
    network = Network(names[0], options or (), data, weights)
    progress = for_terminal(quiet=quiet)
    try:
        with _host(on, board if is_here else None, hardware, limit) as host:
            workload = network.workload(host, chosen, question)
            search = Search(
                host=host,
                space=chosen,
                workload=workload,
                question=question,
                board=asked.name,
                is_here=is_here,
                out=out or OUT / f"recommend-{workload.name}",
                command=command_line(),
                budget=seconds,
                fresh=fresh,
            )
            found = search.answer(progress)
    finally:
        progress.close()
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)
    return ExitCode.OK if found.is_decided else ExitCode.INCONCLUSIVE


def _target(on: str | None, board: str | None, hardware: str | None) -> "tuple[Board, bool]":
    """The board of the answer, and whether the machine that measures is this board."""
    if on is not None:
        if board is not None:
            raise BadInput("--on and --board: --on names the board; its profile is --hardware")
        from ondevice_bench.api.hosts import board_on_network

        with board_on_network(on, hardware) as remote:
            return remote.board, True
    from ondevice_bench.hardware.profile import load_profile
    from ondevice_bench.running.boards import board_named
    from ondevice_bench.running.hosts.local import local_host

    with local_host(hardware) as host:
        if board is None:
            return host.board, True
        is_here = load_profile(board).recognise.matches(host.machine)
        if is_here and hardware is not None and board != hardware:
            raise BadInput(f"--board {board} and --hardware {hardware}: both mean this machine")
        return board_named(board, host), is_here


def _host(on: str | None, board: str | None, hardware: str | None, limit: int) -> "Host":
    """The board of `--on`, or this machine with the profile of the board; under the limit."""
    if on is not None:
        from ondevice_bench.api.hosts import board_on_network

        return board_on_network(on, hardware, limit)
    from ondevice_bench.running.hosts.local import local_host

    return local_host(hardware if board is None else board, limit)


def _print(found: "Recommendation") -> None:
    from ondevice_bench.recommend.text import headline, paste_lines, rest_lines, rivals_table

    print_notes(*headline(found))
    table = rivals_table(found)
    if table is not None:
        print_lines("")
        print_tables(table)
    for line in rest_lines(found):
        if line.startswith(" "):  # a command: on one line, to be copied
            print_lines(line)
        else:
            print_notes(line)
    print_lines("", *paste_lines(found))
