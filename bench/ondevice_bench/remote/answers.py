"""What a board says is checked like a bundle: its types, its sizes, and that it makes sense."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ondevice_bench import bounded_json
from ondevice_bench.declare.schema import StrictSchema, schema_of
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.hardware.state import HardwareState
from ondevice_bench.protocol.frames import Frame
from ondevice_bench.protocol.job import Reply
from ondevice_bench.remote.link import LinkLost
from ondevice_bench.running.hosts.host import Outcome, Question
from ondevice_bench.specs import inputs as kinds
from ondevice_bench.specs.layout import ModelLayout

_Text = Annotated[str, Field(max_length=300)]
_Count = Annotated[int, Field(ge=0, lt=1 << 31)]
_Level = Annotated[str, Field(pattern=r"^[0-9]$")]
# what this side reads at once, without a look at whether it is there
_READ: Mapping[str, tuple[str, ...]] = {
    "shapes": ("activation_bytes", "batch_bytes", "peak_bytes", "resident_bytes", "step_flops"),
    "live_peak": ("peak_bytes",),
    "time": ("step_seconds",),
    "family": ("family_step_seconds",),
}
_LAUNCHES = ("spawned", "forked", "none")
# what a bundle must have of the software, besides the version of bench
_SOFTWARE = ("python", "torch", "torch_blas", "torch_cpu")
_LARGEST = 1 << 63  # as in a bundle
_MOST_SECONDS = 1 << 31
_MOST_OUTPUT = 1 << 17


class BadAnswer(LinkLost):
    """The board says what makes no sense; the text says what is wrong with it."""


class _Hello(StrictSchema):
    frames: int
    protocol: int
    bench: _Text
    code: _Text
    torch: _Text
    python: _Text
    machine: dict[str, Any]
    unit: Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")]
    allowed: Annotated[list[_Count], Field(min_length=1, max_length=4096)]
    caches_kib: Annotated[dict[_Level, _Count], Field(max_length=10)]
    missing_allocators: Annotated[dict[_Text, _Text], Field(max_length=20)]
    memory_limit: Annotated[int, Field(ge=0, lt=_LARGEST)] | None = None
    clock: float


@dataclass(frozen=True)
class Hello:
    """Who answers on a board: its software, and the facts of the machine."""

    frames: int
    protocol: int
    bench: str
    code: str
    torch: str
    python: str
    machine: Machine
    unit: str
    allowed: tuple[int, ...]
    caches_kib: Mapping[int, int]
    missing_allocators: Mapping[str, str]
    memory_limit: int | None  # the bytes that a container there allows
    clock: float


def versions(frame: Frame) -> tuple[object, object]:
    """The versions of frames and protocol, whatever else an older or newer bench says."""
    return frame.values.get("frames"), frame.values.get("protocol")


def hello(frame: Frame) -> Hello:
    """The first frame."""
    values = _checked(_Hello, frame.values).model_dump()
    machine = _checked(_machine_schema(), values.pop("machine"))
    caches = {int(level): size for level, size in values.pop("caches_kib").items()}
    allowed = tuple(values.pop("allowed"))
    return Hello(
        machine=Machine(**machine.model_dump()), caches_kib=caches, allowed=allowed, **values
    )


def state(frame: Frame) -> HardwareState:
    """The state of the machine."""
    found = HardwareState(
        **_checked(schema_of(HardwareState), frame.values.get("state")).model_dump()
    )
    if not all(each is None or abs(each) < _LARGEST for each in found.to_dict().values()):
        raise BadAnswer("its state has a number that is too large")
    return found


def findings(frame: Frame) -> tuple[DoctorFinding, ...]:
    """What disturbs measurements there."""
    given = frame.values.get("findings")
    if not isinstance(given, list) or len(given) > 50:
        raise BadAnswer("its findings are no list")
    for each in given:
        _checked(_finding_schema(), each)
    return tuple(map(DoctorFinding.from_dict, given))


def software(frame: Frame) -> dict[str, str | None]:
    """What workers compute with."""
    try:
        found = _software_adapter().validate_python(frame.values.get("software"))
    except ValidationError as error:
        raise BadAnswer(problem(error)) from None
    if not all(found.get(name) for name in _SOFTWARE) or "torch_commit" not in found:
        raise BadAnswer("it does not say what its workers compute with")
    return found


def outcome(frame: Frame, reply_text: str, pass_name: str) -> Outcome:
    """How a job ended. A reply that cannot be read is the end of a worker, too."""
    launch, seconds, output = (frame.values.get(key) for key in ("launch", "seconds", "output"))
    if launch not in _LAUNCHES or not isinstance(output, str):
        raise BadAnswer("it does not say how the worker ended")
    if type(seconds) not in (int, float) or not 0 <= seconds < _MOST_SECONDS:  # type: ignore[operator]  # a bool is no number
        raise BadAnswer("it does not say how long the worker took")
    try:
        reply = Reply.from_text(reply_text)
    except ValueError as error:
        reply = Reply("failed", reason=f"the worker's reply cannot be read: {error}")
    missing = [name for name in _READ.get(pass_name, ()) if name not in reply.result.metrics]
    if reply.status == "ok" and missing:
        reply = Reply("failed", reason=f"the worker's reply has no {', '.join(missing)}")
    divided_by = ("step_seconds", "family_step_seconds")  # on this side
    if not all(reply.result.metrics.get(name, 1.0) > 0 for name in divided_by):
        reply = Reply("failed", reason="the worker's reply has a step without time")
    printed = output[-_MOST_OUTPUT:].encode(errors="replace").decode()  # no half of a character
    return Outcome(reply, launch, float(seconds), printed)  # type: ignore[arg-type]  # one of _LAUNCHES


def answers(
    question: Question, text: str, requests: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The answers to questions about the user's code."""
    try:
        found = bounded_json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or [type(each) for each in found] != [dict] * len(requests):
        raise BadAnswer("its answers cannot be read")
    for each, request in zip(found, requests, strict=True):
        if "error" in each:
            each["error"] = str(each["error"])[:1000]
        elif question == "describe":
            _require_description(each, is_own=request["head"] is None)
        elif question == "mixes":
            _checked(_Reasons, each)
            if len(each["reasons"]) != len(request["mixes"]):
                raise BadAnswer("it does not answer for each mix")
    return found


class _Reasons(StrictSchema):
    reasons: list[dict[_Text, str]]


class _Description(StrictSchema):
    inputs: dict[str, Any] | None
    kinds: list[_Text]
    layout: dict[_Text, _Text]
    missing_parts: list[_Text]
    missing_modules: list[_Text]
    has_own_loss: bool
    completes_layout: bool
    has_dropout: bool
    code_file: Annotated[str, Field(max_length=4096)]
    code: Annotated[str, Field(pattern=r"^([0-9a-f]{8})?$")]


def _require_description(values: Mapping[str, Any], *, is_own: bool) -> None:
    description = _checked(_Description, values)
    if is_own and description.inputs is None:
        raise BadAnswer("it does not say what a network takes")
    try:
        ModelLayout(**description.layout)
        if description.inputs is not None:
            given = kinds.from_dict(description.inputs)
            kind: Any = type(given)
            _checked(_inputs_schema(kind), vars(given))
            if not all(0 <= each < 1 << 31 for each in _numbers(vars(given).values())):
                raise BadAnswer("the inputs of a network are no sizes")
    except (TypeError, LookupError, ValueError):
        raise BadAnswer("it describes a network in a way that cannot be read") from None


@cache
def _inputs_schema(kind: Any) -> type[BaseModel]:
    return schema_of(kind)


def _numbers(values: Any) -> list[Any]:
    return [leaf for value in values for leaf in (value if isinstance(value, tuple) else [value])]


@cache
def _machine_schema() -> type[BaseModel]:
    texts: Any = dict.fromkeys(("arch", "board", "cpu", "kernel", "libc"), _Text)
    sizes = ("physical_cores", "logical_cores", "memory_gib", "page_bytes")
    counts: Any = dict.fromkeys(sizes, _Count)
    return schema_of(Machine, **texts, **counts)


@cache
def _finding_schema() -> type[BaseModel]:
    fields: Any = dict.fromkeys(
        ("subject", "effect", "cure"), Annotated[str, Field(max_length=2000)]
    )
    said = Annotated[str, Field(alias="said", max_length=2000)]
    return schema_of(DoctorFinding, **fields, observation=said)


@cache
def _software_adapter() -> TypeAdapter[dict[str, str | None]]:
    limited: Any = Annotated[dict[_Text, _Text | None], Field(max_length=30)]
    return TypeAdapter(limited)


def _checked(schema: Any, values: object) -> Any:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise BadAnswer(problem(error)) from None


def problem(error: ValidationError) -> str:
    """The first thing that is wrong with what a board says."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))[:100]
    return f"{place}: {first['msg']}"[:300]


def chunk(frame: Frame, left: int) -> bytes:
    """A part of a file of which so many bytes are left."""
    if not 0 < len(frame.content) <= left:
        raise BadAnswer("a part of a file has no bytes, or more than the file")
    return frame.content


def size(frame: Frame, most: int) -> int:
    """The size of a file that comes."""
    found = frame.values.get("size")
    if type(found) is not int or not 0 <= found <= most:
        raise BadAnswer(f"a file of more than {most >> 20} MiB, or of no size")
    return found
