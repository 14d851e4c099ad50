"""Hardware profiles: how a board is recognised, what it is made of, and how it is to be used."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ondevice_bench.declare.check import check
from ondevice_bench.declare.folders import builtin, declared, locate
from ondevice_bench.declare.inherit import read_resolved
from ondevice_bench.declare.schema import StrictSchema
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.units import GIB, parse_bytes

Count = Annotated[int, Field(ge=1, le=4096)]
Positive = Annotated[float, Field(gt=0)]
SMALLEST_CAP = 256 << 20  # below that torch itself does not start


class Recognise(StrictSchema):
    """What a machine must show to be this board; each rule is a glob or a number."""

    arch: str | None = None
    board: str | None = None
    cpu: str | None = None
    memory_gib: Count | None = None

    def matches(self, machine: Machine) -> bool:
        """True where the machine satisfies every rule."""
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
    """`peak_gflops`: what all cores could do by the data sheet, or as measured."""

    float32: Positive | None = None
    float64: Positive | None = None
    bfloat16: Positive | None = None


class Memory(StrictSchema):
    """`memory`: what the board has."""

    gib: Positive | None = None
    bandwidth_gb_per_s: Positive | None = None


class Caches(StrictSchema):
    """`caches`: data caches, of a core or shared as the processor has them."""

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
        raise ValueError(f"must be at least {SMALLEST_CAP >> 20}M: torch itself needs as much")
    return value


Cap = Annotated[int, BeforeValidator(_bytes), AfterValidator(_large_enough)]
Positions = Annotated[tuple[Annotated[int, Field(ge=0, le=4095)], ...], Field(min_length=1)]


class ProfileSchema(StrictSchema):
    """A hardware profile as its YAML file says it."""

    schema_version: Literal[1] = Field(alias="schema")
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
    power: Literal["pmic", "rapl"] | None = None
    threads: Literal["physical", "logical"] | Count = "physical"
    # the first so many of those allowed, or these
    affinity: Annotated[Count | Positions | None, BeforeValidator(_as_tuple)] = None
    memory_cap: Cap | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "ProfileSchema":
        held = self.affinity
        if isinstance(held, tuple) and len(set(held)) < len(held):
            raise ValueError(f"affinity names a processor twice: {list(held)}")
        count = len(held) if isinstance(held, tuple) else held
        if count is not None and isinstance(self.threads, int) and self.threads > count:
            raise ValueError(f"threads ({self.threads}) exceeds affinity ({count} processors)")
        cap, gib = self.memory_cap, self.memory.gib
        if cap is not None and gib is not None and cap > gib * GIB:
            raise ValueError(f"memory_cap exceeds the board's {gib:g} GiB")
        return self


@dataclass(frozen=True)
class Profile:
    """A board: how to know it, what it is made of, and what a worker may use of it.

    `lineage` is its name, then those of the profiles that it extends.
    """

    name: str
    path: Path
    text: str
    declared: ProfileSchema
    lineage: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """What the board is."""
        return self.declared.title

    @property
    def recognise(self) -> Recognise:
        """How the board is known."""
        return self.declared.recognise

    @property
    def memory_gib(self) -> float | None:
        """What a process may hope for on the board; None where the profile does not say."""
        cap, gib = self.memory_cap_bytes, self.declared.memory.gib
        return gib if cap is None else cap / GIB

    @property
    def memory_cap_bytes(self) -> int | None:
        """What a worker may allocate; None where nothing but the machine limits it."""
        return self.declared.memory_cap

    @property
    def peaks(self) -> dict[str, float]:
        """What the board could do: GFLOP/s by type, and GB/s as `bandwidth`; what is said of it."""
        found = {
            **self.declared.peak_gflops.model_dump(),
            "bandwidth": self.declared.memory.bandwidth_gb_per_s,
        }
        return {name: value for name, value in found.items() if value is not None}

    def cpus_on(self, allowed: Sequence[int]) -> tuple[int, ...]:
        """The processors of a worker: those of the profile, or all that are allowed."""
        held = self.declared.affinity
        wanted = held if isinstance(held, tuple) else tuple(allowed)[:held]
        if (isinstance(held, int) and len(allowed) < held) or not set(wanted) <= set(allowed):
            shown = list(held) if isinstance(held, tuple) else held
            listed = ", ".join(map(str, allowed))
            raise BadInput(f"{self.path}: affinity: {shown}, but allowed here: {listed}")
        return wanted

    def threads_on(self, machine: Machine, allowed: Sequence[int]) -> int:
        """The worker's threads: what the profile asks for, within its processors."""
        cpus = len(self.cpus_on(allowed))
        match self.declared.threads:
            case "physical":
                return min(machine.physical_cores, cpus)
            case "logical":
                return min(machine.logical_cores, cpus)
            case count:
                return count


def load_profile(name: str) -> Profile:
    """The profile that `name` (a file's stem, or a path) stands for."""
    return _read(locate("hardware", name))


def profiles() -> dict[str, Profile]:
    """Every profile by name, the working directory's first."""
    return {name: _read(path) for name, path in declared("hardware").items()}


def recognise(machine: Machine, named: str | None = None) -> Profile:
    """The profile of this machine: the named one, a user's own, or the most specific of ours."""
    if named is not None:
        profile = load_profile(named)
        if not profile.recognise.matches(machine):
            raise BadInput(
                f"{profile.path}: this machine is no {profile.name}: {_mismatch(profile, machine)}"
            )
        return profile
    matching = [
        profile
        for profile in profiles().values()
        if profile.recognise.matches(machine) and not profile.declared.by_name_only
    ]
    ours = builtin("hardware").resolve()
    own = [profile for profile in matching if profile.path.resolve().parent != ours]
    return _most_specific(own or matching, machine)


def _most_specific(candidates: list[Profile], machine: Machine) -> Profile:
    if not candidates:
        raise BadInput(f"no hardware profile recognises this machine ({machine.arch})")
    most = max(len(profile.recognise.rules) for profile in candidates)
    best = [profile for profile in candidates if len(profile.recognise.rules) == most]
    if len(best) > 1:
        names = " and ".join(str(profile.path) for profile in best)
        raise BadInput(f"{names} both recognise this machine: choose one with --hardware")
    return best[0]


def _mismatch(profile: Profile, machine: Machine) -> str:
    return "; ".join(
        f"{key} is {getattr(machine, key)!r}, not {rule!r}"
        for key, rule in profile.recognise.broken(machine).items()
    )


def _read(path: Path) -> Profile:
    whole, *bases = read_resolved("hardware", path)
    return Profile(
        name=path.stem,
        path=path,
        text=whole.text,
        declared=check(ProfileSchema, whole),
        lineage=(path.stem, *(base.path.stem for base in bases)),
    )
