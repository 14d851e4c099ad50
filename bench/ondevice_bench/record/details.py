"""The details of a record, as typed values.

A record holds its details as JSON. A field that an earlier version did not write has its default
here. A field that only a later version writes is ignored.
"""

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter

# the note of an energy: what the meter counts, then how finely this process read it
OF_METER = "the energy is that of "
_METER_NOTE = re.compile(rf"{OF_METER}(.*?)(, a reading every .*|, in steps of .*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Precision:
    """The precision that a time pass aims at, the one it reached, and what ended it."""

    asked: float
    reached: float | None  # None if there were too few samples for an interval
    ended_by: str


@dataclass(frozen=True, slots=True)
class DeclaredSize:
    """What a method stores of an input, and the whole input, by the method's own formula."""

    stored: int
    whole: int
    unit: str  # bytes, or elements in an early record


@dataclass(frozen=True, slots=True)
class TreatedLayer:
    """Ranks and sizes of one layer that a method changes; None if the method has none."""

    shape: tuple[int, ...] | None = None  # of the layer's input
    activation_ranks: tuple[int, ...] | None = None
    weight_rank: int | None = None
    stored_elements: int | None = None  # of all stored tensors, of whatever type
    stored_bytes: int | None = None
    input_bytes: int | None = None  # of the whole input

    @property
    def declared(self) -> DeclaredSize | None:
        """The declared size; None if the layer saw no input or no size is declared."""
        if self.stored_bytes is not None and self.input_bytes is not None:
            return DeclaredSize(self.stored_bytes, self.input_bytes, "bytes")
        if self.stored_elements is None or self.shape is None:
            return None
        return DeclaredSize(self.stored_elements, math.prod(self.shape), "elements")


@dataclass(frozen=True, slots=True)
class SavedByModule:
    """Bytes that a module saved for backward, and the kind of most of them."""

    bytes: float
    kind: str


@dataclass(frozen=True, slots=True)
class MemoryCurve:
    """Resident memory during a memory pass; empty if it was not sampled."""

    seconds: Sequence[float] = ()
    rss_bytes: Sequence[float] = ()
    marks: tuple[tuple[str, float], ...] = ()  # stages, each with the second at which it began

    def __post_init__(self) -> None:
        """Keep the samples in little memory: a page has the curves of all cells."""
        object.__setattr__(self, "seconds", array("d", self.seconds))
        object.__setattr__(self, "rss_bytes", array("d", self.rss_bytes))


@dataclass(frozen=True, slots=True)
class SustainedCurve:
    """A training without pause, second by second; empty if there was none.

    A column that ends early could not be read from then on. One that is missing has a reason.
    """

    seconds: Sequence[float] = ()  # when each row ended; a row is a second, or a longer step
    columns: Mapping[str, Sequence[float]] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    throttled_by: tuple[str, ...] = ()  # what lowered the clock first
    first_celsius: float | None = None  # before the first step

    def __post_init__(self) -> None:
        """Keep the numbers in little memory: a page has the curves of all cells."""
        columns = {name: array("d", values) for name, values in self.columns.items()}
        object.__setattr__(self, "seconds", array("d", self.seconds))
        object.__setattr__(self, "columns", columns)


@dataclass(frozen=True, slots=True)
class LayerGradient:
    """A layer's weight gradient, compared with vanilla's."""

    cosine: float | None = None


@dataclass(frozen=True, slots=True)
class TriedRate:
    """A learning rate of the grid, and the accuracy on so many validation examples.

    `reason` says why there is no accuracy.
    """

    rate: float
    accuracy: float | None = None
    reason: str = ""
    examples: int = 0


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """The accuracy on the test examples before training and after each epoch.

    `seconds` and `joules` are those of training until then, without the tests.
    """

    accuracy: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    joules: tuple[float, ...] = ()  # empty without a meter
    loss: tuple[float, ...] = ()  # the mean over the steps of each epoch
    rate: float | None = None
    examples: int = 0
    test: int = 0


@dataclass(frozen=True, slots=True)
class Details:
    """The data of a record that are not metrics. Each pass fills its own fields."""

    notes: tuple[str, ...] = ()
    unit: str = ""  # the board that measured it, in a run of several boards
    # calibrate
    ranks: Mapping[str, Any] = field(default_factory=dict)  # by layer
    # memory
    curve: MemoryCurve = MemoryCurve()
    swap_bytes: float | None = None
    # trace
    batch_sha256: str = ""
    weights_sha256: str = ""
    treated: Mapping[str, TreatedLayer] = field(default_factory=dict)
    left_alone: Mapping[str, str] = field(default_factory=dict)  # the reason, by layer
    saved: Mapping[str, SavedByModule] = field(default_factory=dict)  # "": outside of all modules
    # time
    disturbed: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # by metric
    foreign_cpu_share: float | None = None
    precision: Precision | None = None
    # sustained
    sustained: SustainedCurve = SustainedCurve()
    # fidelity
    layers: Mapping[str, Mapping[str, LayerGradient]] = field(default_factory=dict)  # by moment
    # learning_rate
    tried_rates: tuple[TriedRate, ...] = ()
    chosen_rate: float | None = None
    # learning
    learned: LearningCurve = LearningCurve()

    @property
    def meter(self) -> str:
        """What the meter of the energy counts; empty without a meter."""
        found = map(_METER_NOTE.fullmatch, self.notes)
        return next((each[1] for each in found if each), "")

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Details":
        """Read the JSON of a record; ValueError if it is not that of a record."""
        return _adapter().validate_python(values)

    @staticmethod
    def from_json(text: str) -> "Details":
        """Read the JSON text of a record; ValueError if it is not that of a record."""
        return _EMPTY if text == "{}" else _adapter().validate_json(text)


_EMPTY = Details()


@cache
def _adapter() -> "TypeAdapter[Details]":
    from pydantic import TypeAdapter

    return TypeAdapter(Details)
