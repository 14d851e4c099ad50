"""Hardware profiles: how a board is recognised and how it is to be used."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bench.declare.check import Strict, check
from bench.declare.document import read
from bench.declare.folders import builtin, declared, locate
from bench.errors import BadInput
from bench.hardware.probe import Machine


class Recognise(Strict):
    """What a machine must show to be this board; each rule is a glob."""

    arch: str | None = None
    board: str | None = None
    cpu: str | None = None

    def matches(self, machine: Machine) -> bool:
        """True where the machine satisfies every rule."""
        return all(fnmatchcase(getattr(machine, key), rule) for key, rule in self.rules.items())

    @property
    def rules(self) -> dict[str, str]:
        """The rules that are set."""
        return {key: str(rule) for key, rule in self.model_dump().items() if rule is not None}


class ProfileFile(Strict):
    """A hardware profile as its YAML file says it."""

    schema_version: Literal[1] = Field(alias="schema")
    title: str = Field(min_length=1)
    recognise: Recognise = Recognise()
    threads: Literal["physical", "logical"] | Annotated[int, Field(ge=1, le=4096)] = "physical"


@dataclass(frozen=True)
class Profile:
    """A board: its name, how to know it, how many threads a worker uses on it."""

    name: str
    path: Path
    text: str
    title: str
    recognise: Recognise
    threads: int | str

    def threads_on(self, machine: Machine, allowed: int) -> int:
        """The worker's threads: what the profile asks for, within the processors allowed."""
        match self.threads:
            case "physical":
                return min(machine.physical_cores, allowed)
            case "logical":
                return min(machine.logical_cores, allowed)
        return int(self.threads)


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
    matching = [p for p in profiles().values() if p.recognise.matches(machine)]
    ours = builtin("hardware").resolve()
    own = [p for p in matching if p.path.resolve().parent != ours]
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
        for key, rule in profile.recognise.rules.items()
        if not fnmatchcase(getattr(machine, key), rule)
    )


def _read(path: Path) -> Profile:
    document = read(path)
    file = check(ProfileFile, document)
    return Profile(
        name=path.stem,
        path=path,
        text=document.text,
        title=file.title,
        recognise=file.recognise,
        threads=file.threads,
    )
