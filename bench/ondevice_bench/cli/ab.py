"""`bench ab`: two git refs against each other, interleaved on this machine."""

import contextlib
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, FailOn, Filters, Hardware, failing, seconds_of
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.terminal import print_json, print_table

INSTALL = "pip install -e ."

if TYPE_CHECKING:
    from ondevice_bench.ab.worktree import Tree
    from ondevice_bench.analyse.cell_pair import Pair
    from ondevice_bench.run.hosts.launch import Interpreter
    from ondevice_bench.run.request import Request


def ab(
    base: Annotated[str, typer.Argument(help="A git ref, or . for the tree as it is.")],
    new: Annotated[str, typer.Argument(help="The ref that is judged against it.")],
    suite: Annotated[
        str, typer.Option(help="A suite's name, or the path of its file within the repository.")
    ] = "regression",
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="Time for rounds, after exact metrics: 90s, 10m.")
    ] = "10m",
    threshold: Annotated[
        float, typer.Option(help="What a step may change without being called slower or faster.")
    ] = 0.02,
    isolated: Annotated[
        bool,
        typer.Option("--isolated", help="Each ref in an environment of its own, installed there."),
    ] = False,
    install: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND", help=f"With --isolated: how (default: {INSTALL}); run in its tree."
        ),
    ] = None,
    hardware: Hardware = None,
    filters: Filters = None,
    fail_on: FailOn = "regressed",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: AsJson = False,
) -> int:
    """Measure two git refs in turn, cell by cell; exit code 4 where the second is worse."""
    from ondevice_bench.ab.comparison import Duel
    from ondevice_bench.ab.environment import environment_of
    from ondevice_bench.ab.worktree import tree_of
    from ondevice_bench.record.store import OUT
    from ondevice_bench.report.terminal.ab import duel_json, duel_lines, duel_table
    from ondevice_bench.run.hosts.launch import Interpreter
    from ondevice_bench.run.progress import for_terminal
    from ondevice_bench.run.session import open_session

    seconds, judged = seconds_of("--budget", budget), failing(fail_on)
    if not 0 < threshold < 1:
        raise BadInput(f"--threshold: must be in (0, 1), got {threshold:g}")
    if install is not None and not isolated:
        raise BadInput("--install goes with --isolated: both refs share one environment without it")
    command = INSTALL if install is None else install
    progress = for_terminal(quiet=quiet)
    with contextlib.ExitStack() as stack:
        stack.callback(progress.close)
        trees = [stack.enter_context(tree_of(ref)) for ref in (base, new)]
        within = [
            stack.enter_context(environment_of(tree, command, progress.note))
            if isolated
            else Interpreter(sources=tree.sources)
            for tree in trees
        ]
        asked = [
            _request(tree, place, suite, hardware, filters or [])
            for tree, place in zip(trees, within, strict=True)
        ]
        pairs, alone = _pairs(*asked)
        sessions = [
            stack.enter_context(open_session(request, OUT / folder, progress, place))
            for request, folder, place in zip(asked, ("ab-base", "ab-new"), within, strict=True)
        ]
        duel = Duel(sessions[0], sessions[1], pairs, threshold, progress)
        duel.fight(seconds)
        for session in sessions:
            session.finish()
    names = [f"{tree.ref} ({tree.commit})" for tree in trees]
    if as_json:
        print_json(duel_json(names, duel.pairs, alone))
    else:
        print_table(duel_table(duel.pairs))
        print("\n".join(duel_lines(names, duel.pairs, alone, threshold)))
    return _exit_code(duel.pairs, alone, judged)


def _request(
    tree: "Tree", within: "Interpreter", name: str, hardware: str | None, filters: list[str]
) -> "Request":
    """The suite as that tree has it, or as we do; each process short, because rounds count."""
    from dataclasses import replace

    from ondevice_bench.run.queries.user_models import describe
    from ondevice_bench.run.request import request
    from ondevice_bench.suite.load import load_suite

    file = tree.root / name
    folder = tree.root / "suites"
    loaded = load_suite(str(file if file.is_file() else name), folder if folder.is_dir() else None)
    describe(loaded, within)
    short = replace(loaded, measure=("trace", "time"), rounds={"time": 1}, variants={})
    asked = request(short, shlex.join(["bench", *sys.argv[1:]]), hardware, filters)
    here = tuple(item for item in asked.plan if item.state == "planned")
    return replace(asked, plan=here, commit=tree.commit, origin="ab")


def _pairs(base: "Request", new: "Request") -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Cells of both sides by what they are called without hashes of code; then those of one."""
    import re

    def named(request: "Request") -> dict[str, str]:
        return {re.sub(r"@[0-9a-f]{8}", "", i.cell.id): i.cell.id for i in request.plan}

    one, other = named(base), named(new)
    alone = [name for name in {**one, **other} if name not in one or name not in other]
    return {name: (one[name], other[name]) for name in one if name in other}, alone


def _exit_code(pairs: "list[Pair]", alone: list[str], judged: frozenset[str]) -> ExitCode:
    """A gate that measured nothing must never look green."""
    verdicts = set().union(*(pair.verdicts for pair in pairs))
    if "regressed" in verdicts & judged:
        return ExitCode.REGRESSION
    if "failed" in verdicts:
        return ExitCode.CELL_FAILED
    if not pairs:
        return ExitCode.NOTHING_RAN
    if alone or "inconclusive" in verdicts & judged or not any(pair.base for pair in pairs):
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK
