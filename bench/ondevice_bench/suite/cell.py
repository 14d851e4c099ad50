"""One point of the matrix: a workload, with its readable id and its fingerprint.

Standard library only: workers carry this module.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str
Options: TypeAlias = tuple[tuple[str, Value], ...]

WORKLOAD_VERSION = 2  # raise it if the same fields get another meaning


def without_hash(name: str) -> str:
    """The name of a model, a method or a file without the hash. Its own name can have an `@`."""
    before, at, _ = name.rpartition("@")
    return before if at else name


@dataclass(frozen=True)
class Train:
    """How a step trains; the defaults are the settings of WASI's experiments."""

    optimizer: str = "sgd"
    lr: float = 0.05
    momentum: float = 0.0
    weight_decay: float = 1e-4
    clip: float | None = 2.0
    zero_grad: str = "none"
    freeze_bn: bool = True


@dataclass(frozen=True)
class LearningPlan:
    """How long the pass `learning` trains, on how many examples, and how a rate is chosen."""

    epochs: int = 3
    target: float | None = None  # the accuracy to reach; time and energy until then are measured
    examples: int = 1000  # to learn from
    validation: int = 250  # to choose the learning rate by
    test: int = 1000
    learning_rates: tuple[float, ...] = ()  # the grid, ascending; empty: the rate of `train`
    rate_epochs: int = 1  # with each rate of the grid

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "LearningPlan":
        """Read the plain values of a plan."""
        return LearningPlan(**{**values, "learning_rates": tuple(values.get("learning_rates", ()))})


@dataclass(frozen=True)
class Cell:
    """A workload. Its options are sorted by name, without those that have their default."""

    id: str = field(compare=False)
    model: str
    method: str
    batch: int
    seed: int = 0
    model_options: Options = ()
    method_options: Options = ()
    layers: str = "all"
    dtype: str = "float32"
    data: str = "synthetic"
    weights: str = "random"
    train: Train = Train()
    allocator: str = ""  # empty: that of the C library, or what the user preloads
    learning: LearningPlan | None = None  # None: the suite does not measure how a cell learns
    # the split that calibrates ranks or bases; empty: all examples, as before this field existed
    calibrated_on: str = ""
    # how images are scaled, if not as for ImageNet; empty also before this field existed
    scaling: str = ""
    # raised for the few cells that have other numbers since some version, with all other fields
    # equal (`matrix._revision`); 0 also before this field existed
    revision: int = 0
    # the hash of the model's code, if the name of the model has none: it is in an installed package
    code: str = ""
    label: str = field(default="", compare=False)  # the user's own for the method, if there is one

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the workload. It leaves out defaults, so new options do not change it.

        The allocator is not part of it: it is a condition of the launch. Nor is the label.
        """
        always, outside = ("model", "method", "batch", "seed"), ("id", "allocator", "label")
        workload = {
            each.name: _plain(getattr(self, each.name))
            for each in fields(self)
            if each.name in always
            or (each.name not in outside and getattr(self, each.name) != each.default)
        }
        text = json.dumps([WORKLOAD_VERSION, workload], sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def key(self) -> str:
        """The fingerprint, with the allocator if one is named: only equal keys are compared."""
        return f"{self.fingerprint}+{self.allocator}" if self.allocator else self.fingerprint

    @property
    def of_any_seed(self) -> str:
        """The common key of cells that differ only in their seed."""
        return replace(self, seed=0).key

    @property
    def of_any_method(self) -> tuple[Any, ...]:
        """The common values of cells that differ in method, layers, seed and allocator.

        Label, split of the calibration and revision belong to the method.
        """
        return _of_any_method(self)

    @property
    def of_any_size(self) -> str:
        """The common key of cells that differ only in batch and seed."""
        return replace(self, batch=0, seed=0).key

    def to_dict(self) -> dict[str, Any]:
        """The cell as plain values. Fields with an empty default are left out if they are empty."""
        return {name: value for name, value in asdict(self).items() if value or name not in _RARE}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Cell":
        """The inverse of `to_dict`."""
        arguments = dict(values)
        for name in ("model_options", "method_options"):
            arguments[name] = tuple((key, value) for key, value in arguments[name])
        arguments["train"] = Train(**arguments["train"])
        if arguments.get("learning"):
            arguments["learning"] = LearningPlan.from_dict(arguments["learning"])
        return Cell(**arguments)


_RARE = ("allocator", "learning", "calibrated_on", "scaling", "revision", "code", "label")
_OF_A_METHOD = (
    *("id", "method", "method_options", "layers", "seed", "allocator", "calibrated_on", "label"),
    "revision",
)
_of_any_method = attrgetter(*(each.name for each in fields(Cell) if each.name not in _OF_A_METHOD))


def _plain(value: object) -> object:
    if isinstance(value, Train | LearningPlan):
        return {
            each.name: getattr(value, each.name)
            for each in fields(value)
            if getattr(value, each.name) != each.default
        }
    return value
