"""Hardware profiles: how a board is recognised, its parts, and the settings of workers on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    model_validator,
)

from ondevice_bench import allocators
from ondevice_bench.declare.check import check
from ondevice_bench.declare.folders import builtin, declared, locate
from ondevice_bench.declare.inherit import read_resolved
from ondevice_bench.declare.schema import StrictSchema, Version, is_name
from ondevice_bench.declare.shown import (
    JsonSchema,
    ShownAs,
    any_of,
    inheriting,
    names,
    reads,
    size,
)
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.hardware.power import COMMAND, HWMON, KINDS, Power, parse_power
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.units import GIB, parse_bytes

Count = Annotated[int, Field(ge=1, le=4096)]
Positive = Annotated[float, Field(gt=0)]
SMALLEST_CAP = 256 << 20  # below that torch itself does not start


class Recognise(StrictSchema):
    """The rules by which a machine is recognised as this board. Each is a glob or a number."""

    arch: str | None = None
    board: str | None = None
    cpu: str | None = None
    memory_gib: Count | None = None

    def matches(self, machine: Machine) -> bool:
        """Whether the machine satisfies every rule."""
        return not self.broken(machine)

    def broken(self, machine: Machine) -> dict[str, str]:
        """The rules that the machine does not satisfy."""
        return {
            key: rule
            for key, rule in self.rules.items()
            if not fnmatchcase(str(getattr(machine, key)), rule)
        }

    @property
    def rules(self) -> dict[str, str]:
        """The rules that are set."""
        return {key: str(rule) for key, rule in self.model_dump().items() if rule is not None}


class Peaks(StrictSchema):
    """`peak_gflops`: the peak of all cores together, from the data sheet or measured."""

    float32: Positive | None = None
    float64: Positive | None = None
    bfloat16: Positive | None = None


class Memory(StrictSchema):
    """`memory`: the memory of the board."""

    gib: Positive | None = None
    bandwidth_gb_per_s: Positive | None = None


class Caches(StrictSchema):
    """`caches`: sizes of data caches. A cache may belong to one core or be shared."""

    l1_kib: Positive | None = None
    l2_kib: Positive | None = None
    l3_kib: Positive | None = None


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"must be a size such as 512M or 2G, got {value!r}")
    return parse_bytes(value)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _large_enough(value: int) -> int:
    if value < SMALLEST_CAP:
        raise ValueError(f"must be at least {SMALLEST_CAP >> 20}M: torch alone needs this much")
    return value


def _known_allocator(value: str) -> str:
    if value not in allocators.BY_NAME:
        raise ValueError(unknown("allocator", value, allocators.BY_NAME))
    return value


def _shown_power() -> JsonSchema:
    word = {"type": "string", "minLength": 1}
    words = {"type": "array", "items": word, "minItems": 1}
    by_words = {
        "type": "object",
        "properties": {HWMON: words, COMMAND: words},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return any_of(names(KINDS), by_words, {"type": "null"})


Cap = Annotated[int, reads(_bytes, size), AfterValidator(_large_enough)]
Position = Annotated[int, Field(ge=0, le=4095)]
Positions = Annotated[
    tuple[Position, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True})
]


class ProfileSchema(StrictSchema):
    """A hardware profile as in its YAML file."""

    schema_version: Version = Field(alias="schema")
    title: str = Field(min_length=1)
    extends: str | None = None
    recognise: Recognise = Recognise()
    by_name_only: bool = False
    emulated: bool = False
    cores: Count | None = None
    clock_mhz: Annotated[float, Field(gt=0, le=20_000)] | None = None
    peak_gflops: Peaks = Peaks()
    memory: Memory = Memory()
    caches: Caches = Caches()
    page_kib: Literal[4, 16, 64] | None = None
    governor: str | None = None
    throttling: Literal["vcgencmd"] | None = None
    power: Annotated[
        Power | None, reads(parse_power, _shown_power), PlainSerializer(lambda p: p and p.to_yaml())
    ] = None
    threads: Literal["physical", "logical"] | Count = "physical"
    # a count takes the first allowed processors; a list names them
    affinity: Annotated[Count | Positions | None, BeforeValidator(_as_tuple)] = None
    memory_cap: Cap | None = None
    allocator: (
        Annotated[
            str, AfterValidator(_known_allocator), ShownAs(lambda: names(list(allocators.BY_NAME)))
        ]
        | None
    ) = None

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        return inheriting(found)

    @model_validator(mode="after")
    def _consistent(self) -> "ProfileSchema":
        affinity = self.affinity
        if isinstance(affinity, tuple) and len(set(affinity)) < len(affinity):
            raise ValueError(f"affinity names a processor twice: {list(affinity)}")
        count = len(affinity) if isinstance(affinity, tuple) else affinity
        if count is not None and isinstance(self.threads, int) and self.threads > count:
            raise ValueError(f"threads ({self.threads}) exceeds affinity ({count} processors)")
        cap, gib = self.memory_cap, self.memory.gib
        if cap is not None and gib is not None and cap > gib * GIB:
            raise ValueError(f"memory_cap exceeds the board's {gib:g} GiB")
        return self


@dataclass(frozen=True)
class Profile:
    """A board: how it is recognised, its parts, and the part of it that a worker may use.

    `lineage` is its name, then the names of the profiles that it extends.
    """

    name: str
    path: Path
    text: str
    declared: ProfileSchema
    lineage: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """A description of the board."""
        return self.declared.title

    @property
    def recognise(self) -> Recognise:
        """The rules that recognise the board."""
        return self.declared.recognise

    @property
    def memory_gib(self) -> float | None:
        """The memory of one process on the board; None if the profile does not have it."""
        cap, gib = self.memory_cap_bytes, self.declared.memory.gib
        return gib if cap is None else cap / GIB

    @property
    def memory_cap_bytes(self) -> int | None:
        """The bytes that a worker may allocate; None if only the machine limits it."""
        return self.declared.memory_cap

    @property
    def allocator(self) -> str:
        """The allocator of workers, for suites that name none; empty if the profile names none."""
        return self.declared.allocator or ""

    @property
    def peaks(self) -> dict[str, float]:
        """The peaks in the profile: GFLOP/s by type of number, and GB/s as `bandwidth`."""
        peaks = {
            **self.declared.peak_gflops.model_dump(),
            "bandwidth": self.declared.memory.bandwidth_gb_per_s,
        }
        return {name: value for name, value in peaks.items() if value is not None}

    def cpus_on(self, allowed: Sequence[int]) -> tuple[int, ...]:
        """The processors of a worker: those of the profile, or all that are allowed."""
        affinity = self.declared.affinity
        cpus = affinity if isinstance(affinity, tuple) else tuple(allowed)[:affinity]
        too_few = isinstance(affinity, int) and len(allowed) < affinity
        if too_few or not set(cpus) <= set(allowed):
            text = list(affinity) if isinstance(affinity, tuple) else affinity
            listing = ", ".join(map(str, allowed))
            raise BadInput(f"{self.path}: affinity: {text}, but allowed here: {listing}")
        return cpus

    def threads_on(self, machine: Machine, allowed: Sequence[int]) -> int:
        """The threads of a worker: the profile's setting, within the worker's processors."""
        cpus = len(self.cpus_on(allowed))
        match self.declared.threads:
            case "physical":
                return min(machine.physical_cores, cpus)
            case "logical":
                return min(machine.logical_cores, cpus)
            case count:
                return min(count, cpus)


def require_name(name: str, where: str) -> None:
    """BadInput if a profile cannot have this name."""
    if not is_name(name):
        raise BadInput(
            f"{where}: a profile's name becomes part of bundles and baselines: letters, digits, "
            "'.', '_', '+' and '-' only, 200 at most, the first a letter, a digit or '_'"
        )


def load_profile(name: str | Path) -> Profile:
    """The profile with this name, or in the file of this path."""
    return _named(_read(locate("hardware", name)))


def profiles() -> dict[str, Profile]:
    """Every profile by name. A profile in the working directory replaces ours of the same name.

    A name may be one that no result can have: such a profile is refused only when it is used.
    """
    return {name: _read(path) for name, path in declared("hardware").items()}


def recognise(machine: Machine, name: str | None = None) -> Profile:
    """The profile of a machine: the one with `name`, else a user's own, else our most specific."""
    if name is not None:
        profile = load_profile(name)
        if not profile.recognise.matches(machine):
            raise BadInput(
                f"{profile.path}: this machine is not {profile.name}: {_mismatch(profile, machine)}"
            )
        return profile
    matching = [
        profile
        for profile in profiles().values()
        if profile.recognise.matches(machine) and not profile.declared.by_name_only
    ]
    builtin_folder = builtin("hardware").resolve()
    own = [profile for profile in matching if profile.path.resolve().parent != builtin_folder]
    return _named(_most_specific(own or matching, machine))


def _most_specific(candidates: list[Profile], machine: Machine) -> Profile:
    if not candidates:
        raise BadInput(f"no hardware profile recognises this machine ({machine.arch})")
    most = max(len(profile.recognise.rules) for profile in candidates)
    best = [profile for profile in candidates if len(profile.recognise.rules) == most]
    extended = {name for profile in best for name in profile.lineage[1:]}
    best = [profile for profile in best if profile.name not in extended]
    if len(best) > 1:
        names = " and ".join(str(profile.path) for profile in best)
        raise BadInput(f"{names} both recognise this machine: choose one with --hardware")
    return best[0]


def _mismatch(profile: Profile, machine: Machine) -> str:
    return "; ".join(
        f"{key} is {getattr(machine, key)!r}, not {rule!r}"
        for key, rule in profile.recognise.broken(machine).items()
    )


def _named(profile: Profile) -> Profile:
    """The profile, if it can have its name."""
    require_name(profile.name, str(profile.path))
    return profile


def _read(path: Path) -> Profile:
    document, *bases = read_resolved("hardware", path)
    return Profile(
        name=path.stem,
        path=path,
        text=document.text,
        declared=check(ProfileSchema, document),
        lineage=(path.stem, *(base.path.stem for base in bases)),
    )
