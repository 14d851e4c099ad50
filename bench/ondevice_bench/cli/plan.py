"""`bench plan`: what a run would measure."""

from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import (
    AsJson,
    BatchSizes,
    DataName,
    EpsilonWords,
    Filters,
    FractionWords,
    LayerWords,
    MethodNames,
    ModelNames,
    OptionWords,
    RankWords,
    SuiteName,
    SuitesFolder,
    WeightsName,
    suite_of,
    words_of,
)
from ondevice_bench.terminal import print_json, print_table

if TYPE_CHECKING:
    pass


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
    from ondevice_bench.analyse.find_runs import store_paths
    from ondevice_bench.hardware.probe import probe
    from ondevice_bench.hardware.profile import load_profile, recognise
    from ondevice_bench.hardware.state import allowed_cpus
    from ondevice_bench.record.store import Store
    from ondevice_bench.report.terminal.plan import plan_misfits, plan_table, plan_total
    from ondevice_bench.run.boards import boards, this_board
    from ondevice_bench.run.queries.preview import outline
    from ondevice_bench.suite.plan import plan as expand

    words = words_of(
        models, methods, options, rank, epsilon, fraction, layers, batch, data, weights
    )
    loaded = suite_of(suite, suites, words)
    machine = probe()
    profile = load_profile(hardware) if hardware else recognise(machine)
    known_boards = boards()
    is_here = profile.recognise.matches(machine)
    here = this_board(profile, machine) if is_here else known_boards[profile.name]
    cells = expand(loaded, here, known_boards, filters or ())
    threads = profile.threads_on(machine, allowed_cpus()) if is_here else len(allowed_cpus())
    known: dict[tuple[str, str], float] = {}
    for path in store_paths():
        with Store.open(path) as store:
            known |= store.seconds_by_fingerprint({**machine.to_json(), "threads": threads})
    outlined = outline(loaded, here, cells, threads, known)
    if as_json:
        print_json(
            {
                "suite": loaded.name,
                "profile": profile.name,
                "cells": [item.to_json() for item in outlined],
            }
        )
    else:
        print_table(plan_table(outlined))
        for line in plan_misfits(outlined, here):
            print(line)
        print(plan_total(outlined, loaded.expected.get(here.name)))
