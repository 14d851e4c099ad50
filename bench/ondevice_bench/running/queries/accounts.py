"""Asking processes for accounts: what the papers' formulas give for cells, and the exact counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from ondevice_bench.errors import BadInput
from ondevice_bench.protocol.job import Job, PassResult, RankNumbers, Reply
from ondevice_bench.running.hosts.host import Host, NoAnswer
from ondevice_bench.running.queries.described_suite import described
from ondevice_bench.running.queries.inspect import TIMEOUT, SkippedCell, ask, ask_about, asked
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs import composition, registry
from ondevice_bench.specs.builtin_methods import BY_CONTENT
from ondevice_bench.specs.composition import Part
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.plan import plan
from ondevice_bench.suite.suite import Suite

# a cell, and ranks by layer that go before its own rule
Wanted: TypeAlias = tuple[Words, Mapping[str, RankNumbers] | None]
# the numbers of an account, or why there is none
Answer: TypeAlias = Mapping[str, Any] | BadInput


def accounts(
    host: Host, suite: Suite, tell: Callable[[str], None]
) -> list[tuple[str, Mapping[str, Any]]]:
    """What is accounted for and its numbers, for each model; BadInput if ranks need data.

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
        result = ask_about(host, suite, item, "account", with_batch=False, layers=layers)
        found.append((name, _values(result)))
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


def _weight_rank(parts: Sequence[Part]) -> str:
    has_one = any(option.name == "weight_rank" for part in parts for option in part.spec.options)
    return " (and --weight-rank for the weights)" if has_one else ""


def accounts_of(host: Host, wanted: Sequence[Wanted]) -> list[Answer]:
    """The account of each of these cells, or why there is none.

    One process makes all that need no code of the user. So torch is imported once, and accounts of
    one network share the walk through it.
    """
    answers: dict[int, Answer] = {}
    jobs: dict[int, Job] = {}
    for place, (words, ranks) in enumerate(wanted):
        try:
            suite = described(host, words.suite())
            if _is_own(suite):
                layers = suite.layers[0]
                answers[place] = _values(
                    ask(host, suite, "account", with_batch=False, layers=layers, ranks=ranks)
                )
            else:
                jobs[place] = _job(host, suite, ranks)
        except BadInput as error:
            answers[place] = error
    answers |= _made_together(host, jobs)
    return [answers[place] for place in range(len(wanted))]


def _is_own(suite: Suite) -> bool:
    (model, *_), (method, *_) = suite.models, suite.methods
    return registry.is_own_model(model.name) or registry.is_own(method.name)


def _job(host: Host, suite: Suite, ranks: Mapping[str, RankNumbers] | None) -> Job:
    """The job of the suite's first cell; SkippedCell if a plan would skip it."""
    (first, *_) = plan(suite, HERE)
    if first.state == "skipped":
        raise SkippedCell(first.reason)
    cell = replace(first.cell, layers=suite.layers[0])
    maker = JobMaker(host, None, suite.sampling, suite.data, suite.weight_sources)
    return maker.job(cell, "account", ranks)


def _made_together(host: Host, jobs: Mapping[int, Job]) -> dict[int, Answer]:
    if not jobs:
        return {}
    requests = [{"job": job.to_text()} for job in jobs.values()]
    try:
        texts = [each["reply"] for each in host.ask("account", requests, TIMEOUT)]
    except NoAnswer as error:
        raise BadInput(f"the code for accounts {error}") from None
    answers: dict[int, Answer] = {}
    for (place, job), text in zip(jobs.items(), texts, strict=True):
        reply = Reply.from_text(text)
        is_made = reply.status == "ok"
        answers[place] = (
            _values(reply.result) if is_made else BadInput(f"{asked(job.cell)}: {reply.reason}")
        )
    return answers


def _values(result: PassResult) -> Mapping[str, Any]:
    return {**result.metrics, **result.details}
