"""`bench plan`: what a run would measure."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.cli.suite_flags import SuiteFlags, with_suite_flags
from ondevice_bench.terminal import print_json, print_table


@with_suite_flags
def plan(
    flags: SuiteFlags,
    hardware: Annotated[
        str | None,
        typer.Option("--hardware", help="Plan for this profile, also for another machine."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a suite's cells and what is known before they run: memory, FLOPs and time."""
    from ondevice_bench.analyse.past_speeds import seconds_of_passes
    from ondevice_bench.hardware.probe import probe
    from ondevice_bench.hardware.profile import load_profile, recognise
    from ondevice_bench.hardware.state import allowed_cpus
    from ondevice_bench.report.terminal.plan import plan_misfits, plan_table, plan_total
    from ondevice_bench.run.boards import board_on, boards
    from ondevice_bench.run.queries.preview import outline
    from ondevice_bench.suite.plan import plan as plan_cells

    machine, allowed = probe(), allowed_cpus()
    profile = load_profile(hardware) if hardware else recognise(machine)
    board = board_on(profile, machine)
    is_here = profile.recognise.matches(machine)
    threads = profile.threads_on(machine, allowed) if is_here else len(allowed)

    suite = flags.load()
    cells = plan_cells(suite, board, boards(), flags.filters or ())
    past = seconds_of_passes({**machine.to_json(), "threads": threads})
    outlines = outline(suite, board, cells, threads, past)
    if as_json:
        print_json(
            {
                "suite": suite.name,
                "profile": profile.name,
                "cells": [item.to_json() for item in outlines],
            }
        )
    else:
        print_table(plan_table(outlines))
        for line in plan_misfits(outlines, board):
            print(line)
        print(plan_total(outlines, suite.expected.get(board.name)))
