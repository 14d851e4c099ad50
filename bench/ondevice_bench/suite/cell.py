"""One point of the matrix: a workload, with its readable id and its fingerprint.

Standard library only: workers carry this module.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str
Options: TypeAlias = tuple[tuple[str, Value], ...]

WORKLOAD_VERSION = 2  # raise it when equal words come to mean another workload


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
class Cell:
    """A workload; options hold what departs from the defaults, sorted by name."""

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

    @property
    def fingerprint(self) -> str:
        """A hash of the workload; what equals its default is left out, so new options keep it."""
        always = ("model", "method", "batch", "seed")
        workload = {
            spot.name: _plain(getattr(self, spot.name))
            for spot in fields(self)
            if spot.name in always
            or (spot.name != "id" and getattr(self, spot.name) != spot.default)
        }
        text = json.dumps([WORKLOAD_VERSION, workload], sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def of_any_seed(self) -> str:
        """The fingerprint that cells share which differ in their seed alone."""
        return replace(self, seed=0).fingerprint

    @property
    def of_any_method(self) -> str:
        """The fingerprint that cells share which differ in method, layers and seed alone."""
        plain = replace(self, method="", method_options=(), layers="all", seed=0)
        return plain.fingerprint

    @property
    def of_any_size(self) -> str:
        """The fingerprint that cells share which differ in their batch and seed alone."""
        return replace(self, batch=0, seed=0).fingerprint

    def to_dict(self) -> dict[str, Any]:
        """The cell as plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Cell":
        """The inverse of `to_dict`."""
        known = dict(values)
        for name in ("model_options", "method_options"):
            known[name] = tuple((key, value) for key, value in known[name])
        known["train"] = Train(**known["train"])
        return Cell(**known)


def _plain(value: object) -> object:
    if isinstance(value, Train):
        return {
            spot.name: getattr(value, spot.name)
            for spot in fields(value)
            if getattr(value, spot.name) != spot.default
        }
    return value
