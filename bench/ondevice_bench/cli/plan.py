"""`bench plan`: the cells that a run would measure."""

from typing import Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.cli.hosts import On, planning_host
from ondevice_bench.cli.suite_flags import SuiteFlags, with_suite_flags
from ondevice_bench.terminal import print_json, print_notes, print_tables


@with_suite_flags
def plan(
    flags: SuiteFlags,
    hardware: Annotated[
        str | None,
        typer.Option(
            "--hardware",
            help="Plan for this profile. It may be that of another machine.",
            autocompletion=names.profiles,
        ),
    ] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Show a suite's cells before a run, with their memory, FLOPs and expected time."""
    from ondevice_bench.analyse.past_speeds import seconds_of_passes
    from ondevice_bench.report.terminal.plan import (
        plan_lines,
        plan_misfits,
        plan_tables,
        plan_total,
    )
    from ondevice_bench.running.boards import board_named, boards, means_host
    from ondevice_bench.running.preview import preview
    from ondevice_bench.suite.plan import plan as plan_cells

    with planning_host(on, hardware) as host:
        board = board_named(hardware, host)
        suite = flags.load(host)
        cells = plan_cells(suite, board, boards(), flags.filters or ())
        past = seconds_of_passes(host.identity) if means_host(hardware, host) else {}
        previews = preview(host, suite, board, cells, past)
    if as_json:
        print_json(
            {
                "suite": suite.name,
                "profile": board.name,
                "cells": [item.to_dict() for item in previews],
            }
        )
    else:
        print_tables(*plan_tables(previews))
        print_notes(*plan_lines(previews), *plan_misfits(previews, board))
        known = (suite.expected[name] for name in board.names if name in suite.expected)
        print_notes(plan_total(previews, next(known, None)))
