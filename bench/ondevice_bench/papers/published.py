"""Published claims as declarations: the number, its cells, and how it is checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Literal, get_args

from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.specs import composition, registry
from ondevice_bench.specs.option import Option
from ondevice_bench.suite.cell import Cell, Options, Train
from ondevice_bench.suite.layers import freezes

Computed = Literal["accounted", "measured", "secondary"]
Reach = Literal["exactly", "about", "up to", "over"]
Unit = Literal["KiB", "MiB", "GiB", "MFLOP", "GFLOP", "x", "%"]
# what one of these units is, in bytes or FLOPs
SIZES: Mapping[Unit, float] = {
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "MFLOP": 1e6,
    "GFLOP": 1e9,
}
# the unit of a metric for each unit of a number without `ratio_of`, and a factor
UNITS_OF_METRICS: Mapping[Unit, tuple[str, float]] = {
    **{unit: ("bytes", 1 / SIZES[unit]) for unit in ("KiB", "MiB", "GiB")},
    **{unit: ("flops", 1 / SIZES[unit]) for unit in ("MFLOP", "GFLOP")},
    "%": ("", 100.0),
}
AccountedQuantity = Literal[
    "activation",
    "weight",
    "training",
    "inference",
    "training_flops",
    "inference_flops",
    "backward_flops",  # of the changed layers, and of the head if the dialect counts it
    "layer_backward_flops",  # of the changed layers only
]
ACCOUNTED: tuple[str, ...] = get_args(AccountedQuantity)
_HEAD = "classes"
# no paper says what it does with gradients after a step
_COMPARED = tuple(each.name for each in fields(Train) if each.name != "zero_grad")


@dataclass(frozen=True)
class Query:
    """The cells of a claim. None stands for any value, `*` in a model for any text.

    `train` is the training of the paper. It counts when a run is compared with the claim.
    """

    model: str | None = None
    method: str | None = None
    layers: str | None = None
    batch: int | None = None
    weights: str | None = None
    data: str | None = None
    model_options: Options = ()
    method_options: Options = ()
    dtype: str = "float32"
    train: Train | None = None

    def is_near(self, cell: Cell) -> bool:
        """Whether the cell is of that model and method."""
        return self._is_of_model(cell.model) and self.method in (None, cell.method)

    @property
    def names_one_model(self) -> bool:
        """Whether the claim is about one network, not about several that match a pattern."""
        return self.model is not None and "*" not in self.model

    def _is_of_model(self, model: str) -> bool:
        if self.model is None or self.names_one_model:
            return self.model in (None, model)
        return fnmatchcase(model, self.model)

    def differs(self, cell: Cell) -> tuple[str, ...]:
        """The conditions of the claim that the cell does not meet."""
        conditions: dict[str, tuple[object, object]] = {
            name: (getattr(self, name), getattr(cell, name))
            for name in ("model", "method", "batch", "layers", "dtype")
        }
        if self._is_of_model(cell.model):
            del conditions["model"]
        # vanilla changes no layers: its cells are the same for all choices that freeze nothing
        if cell.method == "vanilla" and not freezes(cell.layers) and not freezes(self.layers or ""):
            del conditions["layers"]
        # a source has a hash or a number after its kind
        for name in ("weights", "data"):
            expected, actual = getattr(self, name), getattr(cell, name)
            is_kind = expected and ":" not in expected
            conditions[name] = (expected, re.split(r"[:@(]", actual)[0] if is_kind else actual)
        differing = [
            f"{name} {actual} instead of {expected}"
            for name, (expected, actual) in conditions.items()
            if expected not in (None, actual)
        ]
        if self.model is not None and self.names_one_model:
            # a network means its own size, with any head
            wanted = _without_defaults(self.model_options, _options_of_model(self.model))
            differing += _differences(wanted, cell.model_options, optional=_HEAD)
        if self.method_options:
            wanted = _without_defaults(self.method_options, _options_of_method(self.method))
            differing += _differences(wanted, cell.method_options)
        return tuple(differing)

    def differs_in_a_run(self, cell: Cell) -> tuple[str, ...]:
        """As `differs`, with the conditions that only a measured number depends on."""
        training = [
            f"{name} {_said(actual)} instead of {_said(expected)}"
            for name in (_COMPARED if self.train else ())
            if (actual := getattr(cell.train, name)) != (expected := getattr(self.train, name))
        ]
        allocator = [f"allocator {cell.allocator} instead of the default"] * bool(cell.allocator)
        return (*self.differs(cell), *training, *allocator)


@dataclass(frozen=True)
class Claim:
    """One published statement. `published` is the number as printed, with all its digits.

    `origin` is the file of the claim, if the user named one.
    """

    id: str
    paper: str
    says: str
    source: str
    scope: str
    computed: Computed
    published: str | None
    unit: Unit
    reach: Reach
    quantity: str | None
    dialect: str
    ratio_of: str | None
    measured: tuple[str, ...]
    boards: tuple[str, ...]
    query: Query
    needs: str
    untestable: str
    remark: str
    epochs: int | None = None  # of training before an accuracy was measured
    command: str = ""  # it shows what a user's weights and data give
    place: str = ""  # the file and the line
    origin: str = ""

    @property
    def value(self) -> float | None:
        """The number; None if the statement has none."""
        return None if self.published is None else float(self.published)

    @property
    def decimals(self) -> int:
        """The number of decimals that were printed."""
        return len((self.published or "").partition(".")[2])

    @property
    def half_digit(self) -> float:
        """Half a unit of the last digit that was printed."""
        return 0.5 * 10.0**-self.decimals


@dataclass(frozen=True)
class Paper:
    """The source of claims."""

    name: str
    title: str
    reference: str


@dataclass(frozen=True)
class PublishedClaims:
    """Papers and their claims."""

    papers: tuple[Paper, ...]
    claims: tuple[Claim, ...]

    def paper(self, name: str) -> Paper:
        """The paper with this name."""
        return next(paper for paper in self.papers if paper.name == name)

    def of_paper(self, name: str | None) -> "PublishedClaims":
        """The claims of one paper, or all."""
        if name is None:
            return self
        papers = {paper.name: paper for paper in self.papers}
        if name not in papers:
            raise BadInput(f"--paper: {unknown('paper', name, papers)}")
        claims = tuple(claim for claim in self.claims if claim.paper == name)
        return PublishedClaims((papers[name],), claims)


def _said(value: object) -> str:
    """The value as a suite has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _options_of_model(name: str) -> tuple[Option, ...]:
    return () if registry.is_own_model(name) else registry.model(name).options


def _options_of_method(name: str | None) -> tuple[Option, ...]:
    return () if name is None or registry.is_own(name) else composition.options(name)


def _without_defaults(options: Options, specs: Sequence[Option]) -> Options:
    """The options as cells have them: without those that are the default."""
    defaults = {spec.name: spec.default for spec in specs}
    return tuple((name, value) for name, value in options if defaults.get(name) != value)


def _differences(expected: Options, actual: Options, optional: str = "") -> list[str]:
    """The options that differ. The `optional` one counts only if it is expected."""
    wanted, present = dict(expected), dict(actual)
    return [
        f"{name} {present.get(name, 'unset')} instead of {wanted.get(name, 'unset')}"
        for name in dict.fromkeys((*wanted, *present))
        if wanted.get(name) != present.get(name) and not (name == optional and name not in wanted)
    ]
