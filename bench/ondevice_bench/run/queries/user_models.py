"""Asking other processes about the user's networks and batches: the parent runs no such code."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.errors import BadInput
from ondevice_bench.run.hosts.launch import OURS, Interpreter, worker_environment
from ondevice_bench.specs import inputs as kinds
from ondevice_bench.specs import registry
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.specs.option import Value, resolved
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.plan import choices
from ondevice_bench.suite.suite import Suite

TIMEOUT = 600.0


def describe(suite: Suite, within: Interpreter = OURS) -> None:
    """Let the suite's own networks say what they take, and check its files of weights.

    Own networks are known to the registry with their inputs and layers afterwards; BadInput with a
    line for each that gives no network, or whose weights do not fit.
    """
    asked: list[tuple[str, dict[str, Value], str | None]] = []
    for choice in suite.models:
        spec = registry.model(choice.name)
        sources = choice.weights or (suite.weights,)
        files = {source.path for source in sources if source.kind == "file"}
        for given in choices(choice):
            options = {**(spec.fixed or {}), **resolved(spec.options, dict(given)), **dict(given)}
            asked += [(choice.name, options, str(file)) for file in files]
            if spec.is_own and not files:
                asked.append((choice.name, options, None))
    if not asked:
        return
    answers = _ask(
        "describe",
        [
            {
                "model": registry.model(name).implementation,
                "options": options,
                "weights": weights,
                "head": None if registry.model(name).is_own else registry.model(name).layout.head,
            }
            for name, options, weights in asked
        ],
        within,
    )
    wrong = [
        f"{suite.path}: {name.partition('@')[0]}: {answer['error']}"
        for (name, *_), answer in zip(asked, answers, strict=True)
        if "error" in answer
    ]
    if wrong:
        raise BadInput(*dict.fromkeys(wrong))
    for name in dict.fromkeys(name for name, *_ in asked if registry.model(name).is_own):
        said = {
            _key(options): answer
            for (other, options, _), answer in zip(asked, answers, strict=True)
            if other == name
        }
        _put_in(name, said)


def _put_in(name: str, said: Mapping[str, Mapping[str, Any]]) -> None:
    first = next(iter(said.values()))

    def inputs(options: Mapping[str, Value]) -> kinds.Inputs:
        return kinds.from_json(said[_key(options)]["inputs"])

    registry.describe(
        name,
        inputs=inputs,
        layer_kinds=frozenset(kind for answer in said.values() for kind in answer["kinds"]),
        layout=ModelLayout(**first["layout"]),
    )


def batch(
    store: BatchStore, implementation: str, cell: Cell, use: str, within: Interpreter = OURS
) -> Any:
    """The file with a batch that the user's function made; NoBatch where it made none."""
    path = store.path(implementation, cell.model, cell.batch, cell.seed, use)
    if not path.exists():
        # another use is another seed, so that ranks are not chosen on the batch that is measured
        seed = cell.seed if use == "batch" else cell.seed + 2**31
        store.folder.mkdir(parents=True, exist_ok=True)
        request = {"model": implementation, "size": cell.batch, "seed": seed, "path": str(path)}
        (answer,) = _ask("batch", [request], within)
        if "error" in answer:
            raise NoBatch(str(answer["error"]))
    return path


def _key(options: Mapping[str, Value]) -> str:
    return json.dumps(dict(options), sort_keys=True)


def _ask(
    what: str, requests: Sequence[Mapping[str, Any]], within: Interpreter
) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(
            [within.program, "-P", "-m", "ondevice_bench.worker.describe", what],
            input=json.dumps(requests),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env=worker_environment(len(os.sched_getaffinity(0)), within.sources),
        )
    except subprocess.TimeoutExpired:
        raise BadInput(f"the model's code did not answer within {TIMEOUT:g} s") from None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        said = (done.stderr.strip().splitlines() or ["no reason was printed"])[-1]
        raise BadInput(f"the model's code ended its process with {done.returncode}: {said}")
    answers: list[dict[str, Any]] = json.loads(lines[-1])
    return answers
