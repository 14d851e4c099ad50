"""The weights and the data that the user gives, so that claims about them can be measured."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ondevice_bench.errors import BadInput, suggestion
from ondevice_bench.papers.data_sets import CLASSES
from ondevice_bench.papers.published import Claim, PublishedClaims
from ondevice_bench.specs import data, weights
from ondevice_bench.specs.user_path import user_path

WEIGHTS, DATA = "--weights", "--data"
_CIFAR10 = "cifar10"


@dataclass(frozen=True)
class Given:
    """Entries of a suite for the user's files, by model and by data set."""

    weights: Mapping[str, Mapping[str, str]]
    data: Mapping[str, Mapping[str, str]]
    classes: Mapping[str, int]  # of the data sets, as far as they are known


def given(
    published: PublishedClaims, weights_texts: Sequence[str], data_texts: Sequence[str]
) -> Given:
    """Read `MODEL=PATH` and `NAME:PATH`; BadInput if no claim needs it, or the files are wrong."""
    models = {c.query.model for c in published.claims if c.query.names_one_model}
    data_sets = {claim.query.data for claim in published.claims} - {None}
    files: dict[str, Mapping[str, str]] = {}
    for text in weights_texts:
        model, path = _pair(WEIGHTS, text, "=", "MODEL=PATH")
        _check_named(WEIGHTS, model, models, files, "is about this model")
        files[model] = _weights(model, path)
    sources: dict[str, Mapping[str, str]] = {}
    classes = dict(CLASSES)
    for text in data_texts:
        name, path = _pair(DATA, text, ":", "NAME:PATH")
        _check_named(DATA, name, data_sets, sources, "names this data")
        sources[name] = _data(name, path)
        of_it = [claim for claim in published.claims if claim.query.data == name]
        found = _classes(sources[name])
        if found is not None:
            _check_classes(f"{DATA} {text}", name, found, of_it)
            classes[name] = found
    return Given(files, sources, classes)


def _pair(option: str, text: str, sign: str, form: str) -> tuple[str, str]:
    name, _, path = text.partition(sign)
    if not name or not path:
        raise BadInput(f"{option} {text}: must be {form}")
    return name, path


def _check_named(
    option: str, name: str, known: set[Any], before: Mapping[str, object], verb: str
) -> None:
    if name in before:
        raise BadInput(f"{option} {name}: is given twice")
    if name not in known:
        listing = ", ".join(sorted(known)) or "none"
        raise BadInput(
            f"{option} {name}: no claim of this paper {verb}{suggestion(name, known)} "
            f"(in its claims: {listing})"
        )


def _weights(model: str, path: str) -> Mapping[str, str]:
    entry = {weights.PRETRAINED: path}
    try:
        weights.parse(entry, Path())
    except ValueError as error:
        raise BadInput(f"{WEIGHTS} {model}: {error}") from None
    return entry


def _data(name: str, path: str) -> Mapping[str, str]:
    """The entry for a folder of CIFAR-10 as published, a folder of classes, or a file of arrays."""
    place = user_path(path, Path())
    is_file = os.path.isfile(place)
    if name == _CIFAR10 and os.path.isdir(place) and any(place.rglob("data_batch_*")):
        entry = {"cifar10": path}
    else:
        if is_file and place.suffix != ".npz":
            raise BadInput(f"{DATA} {name}:{path}: must be a folder, or a file .npz")
        entry = {"npz" if is_file else "folder": path, data.NAME: name}
    try:
        data.parse(entry, Path())
    except ValueError as error:
        raise BadInput(f"{DATA} {name}: {error}") from None
    return entry


def _classes(entry: Mapping[str, str]) -> int | None:
    """The classes of a folder; None if only the content of the files shows them."""
    if "folder" not in entry:
        return None
    folder = user_path(entry["folder"], Path())
    return sum(child.is_dir() for child in folder.iterdir())


def _check_classes(where: str, name: str, found: int, claims: Sequence[Claim]) -> None:
    """BadInput if the folder lacks the classes of the data set, or those that a claim states."""
    for claim in claims:
        needed = dict(claim.query.model_options).get("classes", CLASSES.get(name))
        if needed is not None and needed != found:
            raise BadInput(
                f"{where}: has {found} folders, one for each class; {name} has {needed} classes, "
                f"and the claim {claim.id} needs them"
            )
    if not found:
        raise BadInput(f"{where}: has no folders with images, one for each class")
