"""Asking other processes about the user's networks and batches: the parent runs no such code."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.host import Host, NoAnswer, Question
from ondevice_bench.specs import inputs as kinds
from ondevice_bench.specs import registry
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.specs.option import Value, resolved
from ondevice_bench.suite.cell import Cell, without_hash
from ondevice_bench.suite.matrix import choices, inputs_of
from ondevice_bench.suite.suite import ModelChoice, Suite

TIMEOUT = 600.0
# of each network, by its options: suites, or a suite and its variants, may use other options
_descriptions: dict[str, dict[str, Mapping[str, Any]]] = {}


def describe(host: Host, suite: Suite) -> None:
    """Ask the suite's own networks for their inputs, and check its files of weights.

    Afterwards the registry has the inputs and layers of each. BadInput has a line for each model
    that gives no network, or whose weights do not fit. It also comes if no network reads the data.
    """
    questions: list[tuple[str, dict[str, Value], str | None]] = []
    for choice in suite.models:
        spec = registry.model(choice.name)
        sources = choice.weights or (suite.weights,)
        files = {source.path for source in sources if source.path is not None}
        for options in every_options(choice):
            questions += [(choice.name, options, str(file)) for file in files]
            if spec.is_own and not files:
                questions.append((choice.name, options, None))
    if not questions:
        return
    answers = ask_of_networks(
        host,
        "describe",
        [
            {
                "model": host.code(registry.model(name).implementation),
                "options": options,
                "weights": None if weights is None else host.put(Path(weights)),
                "head": None if registry.model(name).is_own else registry.model(name).layout.head,
                "auxiliary": registry.model(name).layout.auxiliary,
            }
            for name, options, weights in questions
        ],
    )
    wrong = [
        f"{suite.path}: {without_hash(name)}: {answer['error']}"
        for (name, *_), answer in zip(questions, answers, strict=True)
        if "error" in answer
    ]
    if wrong:
        raise BadInput(*dict.fromkeys(wrong))
    for name in dict.fromkeys(name for name, *_ in questions if registry.model(name).is_own):
        descriptions = {
            _key(options): answer
            for (other, options, _), answer in zip(questions, answers, strict=True)
            if other == name
        }
        _put_in(name, descriptions)
    _require_a_reader(suite)


def _require_a_reader(suite: Suite) -> None:
    """Refuse data that no network reads: all of them have batches of their own."""
    kinds_of_inputs = (
        inputs_of(registry.model(choice.name), options)
        for choice in suite.models
        for options in choices(choice)
    )
    if suite.data != DataSource() and all(
        isinstance(inputs, kinds.OwnBatch) for inputs in kinds_of_inputs
    ):
        raise BadInput(
            f"{suite.path}: data: {suite.data.name} is not used, because each network has a batch "
            "function of its own: read your examples there, or remove the function"
        )


def every_options(choice: ModelChoice) -> Iterator[dict[str, Value]]:
    """The options with which a suite builds the network."""
    spec = registry.model(choice.name)
    for given in choices(choice):
        yield {**(spec.fixed or {}), **resolved(spec.options, dict(given)), **dict(given)}


def ask_of_networks(
    host: Host, question: Question, requests: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """An answer to each request. Files of different folders are loaded by different processes.

    Files beside them can have the same name.
    """
    by_folder: dict[Path | None, list[int]] = {}
    for number, request in enumerate(requests):
        file = request["model"].rpartition(":")[0]
        folder = Path(file).parent if file.endswith(".py") else None
        by_folder.setdefault(folder, []).append(number)
    answers: dict[int, dict[str, Any]] = {}
    for numbers in by_folder.values():
        try:
            found = host.ask(question, [requests[number] for number in numbers], TIMEOUT)
        except NoAnswer as error:
            raise BadInput(f"the model's code {error}") from None
        answers |= dict(zip(numbers, found, strict=True))
    return [answers[number] for number in range(len(requests))]


def _put_in(name: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Add these descriptions to the earlier ones of the network: a plan may need both."""
    first = next(iter(found.values()))
    # a new mapping: what another tree of `bench ab` said of its own file stays in its spec
    descriptions = _descriptions[name] = {**_descriptions.get(name, {}), **found}

    def inputs(options: Mapping[str, Value]) -> kinds.Inputs:
        return kinds.from_dict(descriptions[_key(options)]["inputs"])

    def missing_parts(options: Mapping[str, Value]) -> frozenset[str]:
        return frozenset(descriptions[_key(options)]["missing_parts"])

    def missing_modules(options: Mapping[str, Value]) -> frozenset[str]:
        # `bench` of an earlier commit, which `bench ab` asks, does not say it
        return frozenset(descriptions[_key(options)].get("missing_modules", ()))

    def has_dropout(options: Mapping[str, Value]) -> bool:
        return bool(descriptions[_key(options)].get("has_dropout", False))

    registry.describe(
        name,
        inputs=inputs,
        missing_parts=missing_parts,
        missing_modules=missing_modules,
        layer_kinds=frozenset(kind for answer in descriptions.values() for kind in answer["kinds"]),
        layout=ModelLayout(**first["layout"]),
        has_own_loss=first["has_own_loss"],
        # `bench` of an earlier commit, which `bench ab` asks, does not say it
        completes_layout=first.get("completes_layout", False),
        has_dropout=has_dropout,
        # of a module of an installed package; also unknown to such an earlier `bench`
        code=first.get("code", ""),
        code_file=first.get("code_file", ""),
    )


def batch(host: Host, store: BatchStore, implementation: str, cell: Cell, use: str) -> Path:
    """The file with a batch of the user's function; NoBatch if the function gives none."""
    path = store.path(implementation, cell.model, cell.batch, cell.seed, use)
    if not path.exists():
        # another use is another seed, so that ranks are not chosen on the batch that is measured
        seed = cell.seed if use == "batch" else cell.seed + 2**31
        store.folder.mkdir(parents=True, exist_ok=True)
        model = host.code(implementation)
        request = {"model": model, "size": cell.batch, "seed": seed, "path": str(path)}
        try:
            (answer,) = host.ask("batch", [request], TIMEOUT)
        except NoAnswer as error:
            raise NoBatch(f"the model's code {error}") from None
        if "error" in answer:
            raise NoBatch(str(answer["error"]))
    return path


def _key(options: Mapping[str, Value]) -> str:
    return json.dumps(dict(options), sort_keys=True)
