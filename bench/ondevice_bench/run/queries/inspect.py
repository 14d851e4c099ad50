"""Asking a process about one network: its layers, its spectra; nothing of it is stored."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.errors import BadInput
from ondevice_bench.protocol.job import PassResult, RankNumbers
from ondevice_bench.run.hosts.host import Host
from ondevice_bench.run.queries.described_suite import described
from ondevice_bench.run.queries.jobs import JobMaker
from ondevice_bench.run.work_folder import work_folder
from ondevice_bench.specs import composition
from ondevice_bench.specs.builtin_methods import BY_CONTENT
from ondevice_bench.specs.composition import Part
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.plan import plan
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.suite import Suite

TIMEOUT = 3600.0
_HASH = re.compile(r"@\w+")  # of the user's code, in a name


class Refused(BadInput):
    """The network has no such thing; the text says why."""


def ask(
    host: Host,
    suite: Suite,
    pass_name: str,
    *,
    with_batch: bool,
    layers: str = "",
    ranks: Mapping[str, RankNumbers] | None = None,
) -> PassResult:
    """What the pass finds out about the suite's first cell; Refused where a plan would skip it.

    `layers` are looked at instead of the cell's: vanilla treats none, and its cells name none.
    `ranks` by layer go before the cell's own rule.
    """
    (first, *_) = plan(suite, HERE)
    return _ask(host, suite, first, pass_name, with_batch=with_batch, layers=layers, ranks=ranks)


def _ask(
    host: Host,
    suite: Suite,
    item: PlannedCell,
    pass_name: str,
    *,
    with_batch: bool,
    layers: str,
    ranks: Mapping[str, RankNumbers] | None = None,
) -> PassResult:
    if item.state == "skipped":
        raise Refused(item.reason)
    cell = replace(item.cell, layers=layers) if layers else item.cell
    with work_folder("batches") as folder:
        batches = BatchStore(folder) if with_batch else None
        jobs = JobMaker(host, batches, suite.sampling, suite.data, suite.weight_sources)
        try:
            job = jobs.job(cell, pass_name, ranks)
        except NoBatch as error:
            raise Refused(str(error)) from None
        reply = host.run(job, TIMEOUT).reply
    if reply.status != "ok":
        raise BadInput(f"{_asked(cell)}: {reply.reason}")
    return reply.result


def _asked(cell: Cell) -> str:
    """The network, and the method if there is one: either may be at fault."""
    model, method = (_HASH.sub("", name) for name in (cell.model, cell.method))
    return model if method == "vanilla" else f"{method} on {model}"


def layers(host: Host, suite: Suite) -> Mapping[str, Any]:
    """Every layer of the network: shapes, parameters, FLOPs, bytes, and what chooses it."""
    result = ask(host, suite, "layers", with_batch=False)
    return {**result.metrics, **result.details}


def accounts(
    host: Host, suite: Suite, tell: Callable[[str], None]
) -> list[tuple[str, Mapping[str, Any]]]:
    """What is accounted for and its numbers, for each model; BadInput where ranks need data.

    `tell` gets a text before each of them.
    """
    items = plan(suite, HERE)
    for item in items:
        _check_account(item.cell, [i.cell.id for i in items if i.cell.model == item.cell.model])
    found: list[tuple[str, Mapping[str, Any]]] = []
    for number, item in enumerate(items, 1):
        tell(f"{number}/{len(items)} · {item.cell.model}")
        layers = suite.layers[0]
        name = item.cell.id if item.cell.layers == layers else f"{item.cell.id} on {layers}"
        result = _ask(host, suite, item, "account", with_batch=False, layers=layers)
        found.append((name, {**result.metrics, **result.details}))
    return found


def _check_account(cell: Cell, of_the_model: Sequence[str]) -> None:
    """Whether there is an account of the cell, the only one of its model."""
    if len(of_the_model) > 1:
        listed = ", ".join(of_the_model[:3])
        raise BadInput(f"an account is of one cell, but got {len(of_the_model)}: {listed} …")
    parts = composition.parts(cell.method)
    is_one_for_each_layer = len({part.layers for part in parts}) == len(parts)
    if not is_one_for_each_layer or not all(p.spec.treats or p.spec.is_plain for p in parts):
        raise BadInput(
            f"{cell.method}: accounts are only for methods that replace layers. The bytes of this "
            "method are not a sum over layers: measure them with `bench run`"
        )
    given = [name.rpartition(".")[2] for name, _ in cell.method_options]
    rules = [rule for rule in BY_CONTENT if rule in given]
    if rules:
        raise BadInput(
            f"{cell.method}: ranks by {' and '.join(rules)} depend on data that an account does "
            f"not read: give --rank or --fraction{_weight_rank(parts)}. `bench run` chooses such "
            "ranks, and `bench claims` makes accounts with them"
        )


def account_at(
    host: Host, suite: Suite, ranks: Mapping[str, RankNumbers] | None = None
) -> Mapping[str, Any]:
    """The account of the suite's one cell, at its own ranks or at these."""
    result = ask(host, suite, "account", with_batch=False, layers=suite.layers[0], ranks=ranks)
    return {**result.metrics, **result.details}


def account_of(
    host: Host, words: Words, ranks: Mapping[str, RankNumbers] | None = None
) -> Mapping[str, Any]:
    """The account of the one cell that these words describe."""
    return account_at(host, described(host, words.suite()), ranks)


def _weight_rank(parts: Sequence[Part]) -> str:
    has_one = any(option.name == "weight_rank" for part in parts for option in part.spec.options)
    return " (and --weight-rank for the weights)" if has_one else ""


def spectra(host: Host, suite: Suite) -> Mapping[str, Any]:
    """The ranks of weights and inputs at each share of energy."""
    return ask(host, suite, "spectrum", with_batch=True).details
