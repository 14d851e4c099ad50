"""The suites that measure what claims wait for, from the user's weights and data. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ondevice_bench import metrics, passes
from ondevice_bench.declare.document import parse
from ondevice_bench.papers.given import Given
from ondevice_bench.papers.published import Claim, Query
from ondevice_bench.papers.waiting import needs_data, needs_weights
from ondevice_bench.specs import composition, registry
from ondevice_bench.specs.builtin_methods import BY_CONTENT
from ondevice_bench.specs.data import READERS, DataSource
from ondevice_bench.specs.inputs import Images
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import OneOf
from ondevice_bench.suite.cell import Cell, Options, Train
from ondevice_bench.suite.from_flags import SOURCE
from ondevice_bench.suite.layers import freezes
from ondevice_bench.suite.load import suite_of
from ondevice_bench.suite.matrix import cells_of, inputs_of
from ondevice_bench.suite.suite import Suite

PREFIX = "claims"
_USUAL_RULE = {"epsilon": 0.8}  # if a claim leaves the ranks open, any ranks count
_TIME = {
    "warmup": 1,
    "min_samples": 6,
    "max_samples": 20,
    "max_seconds": 60,
    "precision": "5%",
}


@dataclass(frozen=True)
class ClaimTrial:
    """A suite, and the ids of the claims that it can decide."""

    suite: Suite
    claims: tuple[str, ...]


def trials(
    claims: Sequence[Claim], given: Given, board: str, *, everything: bool
) -> tuple[ClaimTrial, ...]:
    """A suite for each model and data set, of the claims for which nothing is missing.

    Without `everything`, only claims on the models and data sets that the user gives.
    """
    by_workload: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        is_asked = everything or _is_about(claim, given)
        if is_asked and not lacks(claim, given, board):
            model = str(claim.query.model)
            of_model = {c.query.data for c in claims if c.query.model == model} - {None}
            usable = [name for name in given.data if _fits(model, given.data[name])]
            usual = next((name for name in usable if name in of_model or not of_model), "")
            by_workload.setdefault((model, claim.query.data or usual), []).append(claim)
    found = (_trial(*workload, some, given) for workload, some in sorted(by_workload.items()))
    return tuple(trial for trial in found if trial is not None)


def obstacles(claims: Sequence[Claim], given: Given, board: str) -> tuple[str, ...]:
    """What the claims on the user's models and data sets still need, each once."""
    needed = (lacks(claim, given, board) for claim in claims if _is_about(claim, given))
    return tuple(dict.fromkeys(filter(None, needed)))


def is_of_trial(suite: str, paper: str) -> bool:
    """Whether a suite of this name was made here, for this paper."""
    return suite.startswith(f"{PREFIX}_{paper}_")


def lacks(claim: Claim, given: Given, board: str) -> str:
    """What a run of the claim on this board still needs; empty if nothing is missing."""
    query = claim.query
    if query.model not in registry.models() or query.method is None:
        return "a network of ours"
    if needs_weights(claim) and query.model not in given.weights:
        pretrained = registry.model(query.model).pretrained
        if pretrained is None or pretrained.path() is None:
            return f"--weights {query.model}=PATH"
    if needs_data(claim) and query.data not in given.data:
        return f"--data {query.data}:PATH"
    if claim.boards and board not in claim.boards:
        return f"a run on {' or '.join(claim.boards)}"
    return ""


def _is_about(claim: Claim, given: Given) -> bool:
    return claim.query.model in given.weights or claim.query.data in given.data


def _fits(model: str, entry: Mapping[str, str]) -> bool:
    kind = next(name for name in entry if name in READERS)
    return DataSource(kind).refuses(inputs_of(registry.model(model), ())) is None


def _trial(model: str, data: str, claims: Sequence[Claim], given: Given) -> ClaimTrial | None:
    name = "_".join(filter(None, (PREFIX, claims[0].paper, model, data)))
    keys = _keys(model, data, claims, given)
    cells = cells_of(_suite(keys, name))
    of_claims = {claim.id: [cell.id for cell in _cells(claim, cells)] for claim in claims}
    wanted = list(dict.fromkeys(cell for some in of_claims.values() for cell in some))
    if not wanted:
        return None
    decided = tuple(claim for claim, some in of_claims.items() if some)
    return ClaimTrial(_suite({**keys, "include": wanted}, name), decided)


def _suite(keys: Mapping[str, Any], name: str) -> Suite:
    # every line of JSON is YAML
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
    return suite_of(parse(Path(SOURCE), text), name)


def _keys(model: str, data: str, claims: Sequence[Claim], given: Given) -> dict[str, Any]:
    spec = registry.model(model)
    methods = [side for claim in claims for side in _sides(claim)]
    by_content = any(
        name.rpartition(".")[2] in BY_CONTENT for _, options in methods for name, _ in options
    )
    measure = _passes(claims)
    train, dtypes = claims[0].query.train, _distinct(claim.query.dtype for claim in claims)
    return {
        "schema": 1,
        "title": f"Claims of {claims[0].paper} on {model}",
        "purpose": f"Made by `bench claims`, for {', '.join(claim.id for claim in claims)}.",
        "models": _distinct(_model_entry(spec, claim.query, data, given) for claim in claims),
        "methods": _distinct(_method_entry(*each) for each in methods),
        "layers": _distinct(claim.query.layers or "all" for claim in claims),
        "data": given.data.get(data) or data or _usual_data(spec, by_content=by_content),
        "weights": given.weights.get(model) or _usual_weights(claims, by_content=by_content),
        "measure": measure,
        "rounds": {
            name: max(passes.ROUNDS[name], passes.BY_NAME[name].fewest_processes)
            for name in measure
            if name in passes.ROUNDS
        },
        **({} if train in (None, Train()) else {"train": asdict(train)}),
        **({} if dtypes == ["float32"] else {"dtype": dtypes}),
        "time": _TIME,
        "timeout": "2h",
    }


def _sides(claim: Claim) -> Iterator[tuple[str, Options]]:
    """The claim's method, and the one that it is compared with, each with its options."""
    method = str(claim.query.method)
    options = claim.query.method_options or _usual_options(method)
    yield method, options
    if claim.ratio_of is not None:
        known = {option.name for option in composition.options(claim.ratio_of)}
        yield claim.ratio_of, tuple(pair for pair in options if pair[0] in known)


def _usual_options(method: str) -> Options:
    required = any(
        isinstance(group, OneOf) and group.required and "epsilon" in group.names
        for spec in composition.specs(method)
        for group in spec.one_of
    )
    return tuple(_USUAL_RULE.items()) if required and "+" not in method else ()


def _model_entry(spec: ModelSpec, query: Query, data: str, given: Given) -> dict[str, Any]:
    options: dict[str, Any] = dict(query.model_options)
    if data in given.classes and any(option.name == "classes" for option in spec.options):
        options.setdefault("classes", given.classes[data])
    return {spec.name: {**options, "batch": query.batch or spec.batch}}


def _method_entry(method: str, options: Options) -> dict[str, Any]:
    if "+" not in method:
        return {method: dict(options)}
    return {
        "compose": [
            {
                part: {
                    name.removeprefix(f"{part}."): value
                    for name, value in options
                    if name.startswith(f"{part}.")
                }
            }
            for part in method.split("+")
        ]
    }


def _passes(claims: Sequence[Claim]) -> list[str]:
    """The passes of the claims' metrics. The trace has the ranks, and the layer of each byte."""
    named = {metrics.BY_NAME[name].pass_name for claim in claims for name in claim.measured}
    return [name for name in passes.IN_SUITES if name in {passes.TRACE, *named}]


def _usual_data(spec: ModelSpec, *, by_content: bool) -> str:
    """Natural data if ranks depend on it."""
    if not by_content:
        return "synthetic"
    return "photos" if isinstance(inputs_of(spec, ()), Images) else "text"


def _usual_weights(claims: Sequence[Claim], *, by_content: bool) -> Any:
    """Those of a package, or with the spectrum of trained ones if ranks depend on it."""
    if any(needs_weights(claim) for claim in claims):
        return "pretrained"
    return {"spectrum": 0.75} if by_content else "random"


def _cells(claim: Claim, cells: Sequence[Cell]) -> Iterator[Cell]:
    """The first cell that meets the claim's conditions, and those that it is compared with."""
    own = next((cell for cell in cells if not claim.query.differs(cell)), None)
    if own is None:
        return
    yield own
    for cell in cells:
        if cell.method != claim.ratio_of or cell.of_any_method != own.of_any_method:
            continue
        is_plain = cell.method == "vanilla" and not freezes(own.layers)
        if is_plain or cell.layers == own.layers:
            yield cell


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())
