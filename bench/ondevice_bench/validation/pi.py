"""Decides whether a validation is from a real Raspberry Pi.

A validation is one of a real Pi if
- the device tree of the machine names a Raspberry Pi, on aarch64;
- its profile is one of a Raspberry Pi, and is not emulated;
- the firmware has answered about throttling;
- every proof has passed, or is about what this board does not have.

A machine that imitates all of this, or records that somebody has changed, look like a real Pi.
"""

from dataclasses import dataclass
from typing import Any

from ondevice_bench.analyse.find_runs import from_each_store
from ondevice_bench.analyse.summary import RunSummary, summarise
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.profile import Profile, load_profile
from ondevice_bench.record.model import Run
from ondevice_bench.record.store import FILE_NAME, OUT, Store
from ondevice_bench.validation.figures import SUITE
from ondevice_bench.validation.proofs import Proof, profile_of, proofs

PI = "Raspberry Pi"
NOT_MEASURED = f"No {PI} has measured this yet"


@dataclass(frozen=True)
class Validation:
    """A run of the suite `validate` and its proofs. `why_no_pi` is empty if it validates a Pi."""

    run: Run
    proofs: tuple[Proof, ...]
    why_no_pi: str

    @property
    def failed(self) -> tuple[Proof, ...]:
        """The proofs that failed."""
        return tuple(each for each in self.proofs if each.outcome == "failed")

    @property
    def machine(self) -> str:
        """The machine in words."""
        return str(self.run.machine["board"] or self.run.machine["cpu"])

    @property
    def conclusion(self) -> str:
        """What the validation shows, in one sentence."""
        if not self.why_no_pi:
            return f"this validates a {PI}: {self.machine}, {self.run.profile}"
        return f"this validates no {PI}: {self.why_no_pi}"

    def to_dict(self) -> dict[str, Any]:
        """The validation as plain values."""
        return {
            "run": self.run.id,
            "profile": self.run.profile,
            "machine": self.machine,
            "validates_a_pi": not self.why_no_pi,
            "conclusion": self.conclusion,
            "proofs": [each.to_dict() for each in self.proofs],
        }


def validated(summary: RunSummary) -> Validation:
    """The proofs of a run, and whether the run is from a real Pi."""
    found = proofs(summary)
    return Validation(summary.run, found, _why_no_pi(summary.run, found))


def is_of_a_pi(profile: str) -> bool:
    """Whether the profile with this name is of a Raspberry Pi. An unknown profile is not."""
    try:
        return _is_a_pis(load_profile(profile))
    except BadInput:
        return False


def first_pi() -> Validation | None:
    """A validation of a real Pi among the results here; None if there is none."""
    path = OUT / SUITE / FILE_NAME
    if not path.is_file():
        return None
    for _, found in from_each_store(_of_a_pi, [path]):
        return found
    return None


def sentence(found: Validation | None) -> str:
    """The sentence beside times on a Pi that come from elsewhere."""
    if found is None:
        return f"{NOT_MEASURED}."
    return (
        f"A {PI} was validated on {found.run.created[:10]}: {found.machine}, {found.run.profile} "
        f"(run {found.run.id})."
    )


def _is_a_pis(profile: Profile) -> bool:
    return (profile.recognise.board or "").startswith(PI)


def _of_a_pi(store: Store) -> Validation | None:
    for run in reversed(store.runs()):
        if run.suite == SUITE and not _why_no_machine(run):
            found = validated(summarise(store, run))
            if not found.why_no_pi:
                return found
    return None


def _why_no_pi(run: Run, found: tuple[Proof, ...]) -> str:
    if why := _why_no_machine(run):
        return why
    failed = [each.subject for each in found if each.outcome == "failed"]
    if failed:
        return f"not proven: {', '.join(failed)}"
    if not _is_a_pis(profile_of(run)):  # no proof failed, so the profile is known
        return f"the profile {run.profile} is of another board"
    if not any(each.subject == "throttling bits" and each.outcome == "passed" for each in found):
        return "its firmware has not answered about throttling"
    return ""


def _why_no_machine(run: Run) -> str:
    """Why the machine of a run cannot be a real Pi; empty if it may be one."""
    machine = run.machine
    if run.settings.get("emulated"):
        return "this board is emulated"
    if machine["arch"] != "aarch64" or not str(machine["board"]).startswith(PI):
        return f"this machine is {machine['board'] or machine['cpu']} ({machine['arch']})"
    return ""
