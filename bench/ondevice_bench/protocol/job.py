"""Jobs, which the parent sends to a worker, and replies. Standard library only."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from ondevice_bench import bounded_json, passes
from ondevice_bench.protocol.turns import Turns
from ondevice_bench.suite.cell import Cell, Value
from ondevice_bench.suite.suite import Sampling

# the path of a method's implementation, the method's options, and its layers in a mix
MethodCall: TypeAlias = tuple[str, Mapping[str, Value]] | tuple[str, Mapping[str, Value], str]
# kind of weights ("random", "spectrum", "file"), decay of their spectrum, path of their file
WeightsCall: TypeAlias = Mapping[str, Any]
# the ranks of one layer: {"activation": [8, 16, 32], "weight": 64 or null}
RankNumbers: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One pass over one cell. Besides the job, a worker reads only batch and weights."""

    cell: Cell
    pass_name: str
    model: str  # the path of its implementation
    model_options: Mapping[str, Value]
    methods: tuple[MethodCall, ...]
    layout: Mapping[str, str] | None  # None: from the user's file, or guessed
    inputs: Mapping[str, Any]
    batch_path: str
    weights: WeightsCall
    sampling: Sampling
    cpus: tuple[int, ...]
    created_ns: int  # by the monotonic clock
    ranks: Mapping[str, RankNumbers] | None = None
    calibration_path: str = ""  # the calibration batch, if the method keeps something of it
    examples: Mapping[str, str] | None = None  # files of training and held-out examples
    memory_cap: int | None = None  # bytes that the process may allocate
    turns: Turns | None = None  # for a time pass that takes turns with another worker
    step: Mapping[str, Any] | None = None  # the user's own step: `UserStep` as a mapping
    sustain: float = 0.0  # seconds of a pass that trains without pause
    throttled_by: str = ""  # how the board reports that it lowers its clock, by its profile
    power: Mapping[str, Any] | None = None  # the meter of the profile: `Power` with its folder
    source: Mapping[str, Any] | None = None  # `DataSource`, for a pass that reads the data itself

    @property
    def is_spawned(self) -> bool:
        """Whether the pass needs a new interpreter."""
        return passes.BY_NAME[self.pass_name].is_spawned

    def to_text(self) -> str:
        """The job as one line of JSON."""
        return json.dumps({**asdict(self), "cell": self.cell.to_dict()})

    @staticmethod
    def from_text(text: str) -> "Job":
        """The inverse of `to_text`."""
        values = json.loads(text)
        values["cell"] = Cell.from_dict(values["cell"])
        values["sampling"] = Sampling(**values["sampling"])
        values["cpus"] = tuple(values["cpus"])
        values["turns"] = Turns(**values["turns"]) if values["turns"] else None
        values["methods"] = tuple(tuple(call) for call in values["methods"])
        return Job(**values)


@dataclass(frozen=True)
class PassResult:
    """The result of a pass. `unavailable` gives the reason for each metric without a value."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: Mapping[str, list[float]] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """A worker's answer: the result of the pass, or the reason why there is none."""

    status: str
    reason: str = ""
    traceback: str = ""
    result: PassResult = PassResult()

    def to_text(self) -> str:
        """The reply as one line of JSON. The newline tells the parent that it is complete."""
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def from_text(text: str) -> "Reply":
        """The inverse of `to_text`; ValueError if the text is not a reply.

        The user's code may have written it.
        """
        try:
            values = bounded_json.loads(text)
            if "\\ud" in text.lower():  # half a surrogate pair cannot be stored
                clean = json.dumps(values, ensure_ascii=False).encode(errors="replace")
                values = json.loads(clean)
            reply = Reply(**{**values, "result": PassResult(**values["result"])})
            _require_types(reply)
        except bounded_json.TooMuch:
            raise
        except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__} in {text[:60]!r}") from None
        return reply


def _require_types(reply: Reply) -> None:
    """TypeError unless every field has the type that it is declared with."""
    result = reply.result
    parts = (result.metrics, result.samples, result.unavailable, result.details)
    if not all(isinstance(part, Mapping) for part in parts):
        raise TypeError
    texts = (reply.status, reply.reason, reply.traceback, *result.unavailable.values())
    numbers: list[object] = [*result.metrics.values()]
    for samples in result.samples.values():
        numbers += samples if isinstance(samples, list) else [None]
    if not all(isinstance(text, str) for text in texts) or not all(map(_is_number, numbers)):
        raise TypeError


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
