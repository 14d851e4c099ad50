"""Search spaces: the declared ways to train among which `bench recommend` chooses.

A space has the words of a suite, without its networks. The network, the data and the weights come
from the command line, so one space serves all networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model

from ondevice_bench.declare.check import check
from ondevice_bench.declare.document import Document
from ondevice_bench.declare.folders import locate
from ondevice_bench.declare.inherit import read_resolved
from ondevice_bench.declare.schema import StrictSchema, Version
from ondevice_bench.declare.shown import JsonSchema, ShownBeside, inheriting, reads
from ondevice_bench.specs.layer_choice import parse
from ondevice_bench.specs.option import exact_text
from ondevice_bench.suite import shown
from ondevice_bench.suite.cell import Cell, LearningPlan, Train
from ondevice_bench.suite.cell_ids import with_seed, without_seed
from ondevice_bench.suite.entries import (
    AS_LIST,
    NOT_EMPTY,
    BatchSize,
    ChoiceSchema,
    complete_methods,
    method_entries,
)
from ondevice_bench.suite.inherited_paths import from_own_folder
from ondevice_bench.suite.layers import freezes
from ondevice_bench.suite.mixes import with_places
from ondevice_bench.suite.schema import LEARNING, TRAIN
from ondevice_bench.suite.suite import MethodChoice, Suite

FOLDER, DEFAULT = "suites/search", "default"
GRID = (0.1, 0.3, 1.0, 3.0)  # learning rates, as multiples of the rate of `train`


class SpaceSchema(StrictSchema):
    """The file of a search space. `make_space_schema` replaces the fields with specs."""

    schema_version: Version = Field(alias="schema")
    title: str = Field(min_length=1)
    purpose: str = ""
    extends: str | None = None
    methods: tuple[ChoiceSchema, ...]
    layers: Annotated[
        tuple[Annotated[tuple[str, ...], reads(parse, shown.layers)], ...], AS_LIST, NOT_EMPTY
    ] = (("all",),)
    batch: Annotated[tuple[BatchSize, ...], AS_LIST, NOT_EMPTY] = ()
    train: tuple[Train, ...] = (Train(),)
    learning: LearningPlan = LearningPlan()

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        return inheriting(found, {"properties": {"methods": complete_methods()}})


def _no_target() -> JsonSchema:
    return {"properties": {"target": False}}


def _without_target(value: LearningPlan) -> LearningPlan:
    if value.target is not None:
        raise ValueError("target is not part of a search space: give it with `--target`")
    return value


@dataclass(frozen=True)
class Space:
    """Ways to train. Without batches, the batch is that of the command line or of the model."""

    name: str
    path: Path
    title: str
    text: str
    methods: tuple[MethodChoice, ...]
    layers: tuple[str, ...]
    batches: tuple[int, ...]
    trains: tuple[Train, ...]
    learning: LearningPlan = LearningPlan()  # noqa: RUF009  # frozen

    def learning_with(self, train: Train) -> LearningPlan:
        """How candidates with this training learn. Without rates, a grid around `lr` is tried."""
        if self.learning.learning_rates:
            return self.learning
        rates = tuple(float(f"{multiple * train.lr:.3g}") for multiple in GRID)
        return replace(self.learning, learning_rates=rates)

    @property
    def frozen_parts(self) -> tuple[str, ...]:
        """The different choices of what trains at all: `all`, and each choice that freezes layers.

        A method that trains less is faster, so only accuracy compares several of them.
        """
        return tuple(
            dict.fromkeys(layers if freezes(layers) else "all layers" for layers in self.layers)
        )


@cache
def make_space_schema(folder: Path = Path()) -> type[SpaceSchema]:
    """Make the schema for all methods; files are under `folder`."""
    train: Any = TRAIN
    learning: Any = LEARNING
    return create_model(
        "Search space",
        __base__=SpaceSchema,
        methods=(method_entries(folder), ...),
        train=(Annotated[tuple[train, ...], AS_LIST, NOT_EMPTY], (Train(),)),
        learning=(
            Annotated[learning, AfterValidator(_without_target), ShownBeside(_no_target)],
            LearningPlan(),
        ),
    )


def load_space(name: str) -> Space:
    """The space with this name, or in the file of this path. BadInput has all mistakes together."""
    path = locate(FOLDER, name)
    document, *_ = read_resolved(FOLDER, path)
    return space_of(document)


def space_of(document: Document) -> Space:
    """The search space of a document."""
    document = from_own_folder(document)
    path = document.path
    file = check(make_space_schema(path.parent), document)
    return Space(
        name=path.stem,
        path=path,
        title=file.title,
        text=document.text,
        methods=with_places(file.methods, document),
        layers=tuple(dict.fromkeys(word for entry in file.layers for word in entry)),
        batches=tuple(dict.fromkeys(file.batch)),
        trains=tuple(dict.fromkeys(file.train)),
        learning=file.learning,
    )


def suites_in(space: Space, workload: Suite) -> tuple[Suite, ...]:
    """The suites of this workload over the space: one for each way of training."""
    return tuple(
        replace(
            workload,
            methods=space.methods,
            layers=space.layers,
            train=train,
            learning=replace(space.learning_with(train), target=workload.learning.target),
        )
        for train in space.trains
    )


def named_by_training(cell: Cell, trains: Sequence[Train]) -> Cell:
    """The cell with its training in its id, if the space has several and it is not the first."""
    number = trains.index(cell.train)
    if number == 0:
        return cell
    common = f"{without_seed(cell.id)}/{training_words(cell.train, trains[0])}"
    return replace(cell, id=with_seed(common, cell.seed))


def training_words(train: Train, usual: Train) -> str:
    """What is different in this training: `adamw,lr=0.001`."""
    words = [train.optimizer] if train.optimizer != usual.optimizer else []
    words += [
        f"{name}={_text(getattr(train, name))}"
        for name in Train.__dataclass_fields__
        if name != "optimizer" and getattr(train, name) != getattr(usual, name)
    ]
    return ",".join(words)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (
        "null" if value is None else exact_text(value) if isinstance(value, float) else str(value)
    )
