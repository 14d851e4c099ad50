"""Decides whether a validation is from a real Raspberry Pi, and which results it is about.

A validation is one of a real Pi if
- the device tree of the machine names a Raspberry Pi, on aarch64;
- its profile is one of a Raspberry Pi, and is not emulated;
- the firmware has answered about throttling;
- every proof has passed, or is about what this board does not have.

A machine that imitates all of this, or records that somebody has changed, look like a real Pi.

A validation is about one board. So it counts only for results of the same unit.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench import units
from ondevice_bench.analyse.find_runs import from_each_store
from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.profile import Profile, load_profile
from ondevice_bench.record.model import Run
from ondevice_bench.record.store import FILE_NAME, OUT, Store
from ondevice_bench.validation.figures import SUITE
from ondevice_bench.validation.proofs import Proof, profile_of, proofs

PI = "Raspberry Pi"
NOT_MEASURED = f"No {PI} has measured this yet"
_PROVES = "`bench board validate` proves that its times and its memory are measured correctly"
_MOST_NAMED = 3  # boards in one sentence


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
    def board(self) -> str:
        """The board, its profile, its unit, and when it was validated."""
        unit = f"unit {self.run.unit}" if self.run.unit else "unit not recorded"
        day = units.day(self.run.created)
        return f"{self.machine}, {self.run.profile}, {unit} ({day}, run {self.run.id})"

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


def validated_pis() -> tuple[Validation, ...]:
    """The validated Raspberry Pis among the results here, the latest first.

    Of several validations of one board, the latest decides.
    """
    path = OUT / SUITE / FILE_NAME
    if not path.is_file():
        return ()
    return tuple(each for _, found in from_each_store(_of_pis, [path]) for each in found)


def are_validated(boards: Collection[str], pis: Sequence[Validation]) -> bool:
    """Whether all boards with these units are among the validated ones. Unknown boards are not."""
    return bool(boards) and set(boards) <= {each.run.unit for each in pis if each.run.unit}


def about_other_boards(pis: Sequence[Validation]) -> str:
    """The sentence beside times on a Pi that come from elsewhere."""
    return f"{NOT_MEASURED}." + (f" The results here have {_listed(pis)}." if pis else "")


def caveat(boards: Collection[str], pis: Sequence[Validation]) -> str:
    """What is not proven of the results of a Pi with these units; empty if it was validated."""
    if are_validated(boards, pis):
        return ""
    if not pis:
        return f"the results here have no validation of a {PI}: {_PROVES}"
    if not boards:
        return (
            f"it is unknown whether this {PI} was validated: its run does not record the unit. A "
            f"run with `--on` does; the results here have {_listed(pis)}"
        )
    missing = sorted(set(boards) - {each.run.unit for each in pis})
    which = f"unit {missing[0]}" if len(missing) == 1 else f"the units {', '.join(missing)}"
    return f"the results here have no validation of {which}: {_PROVES}; they have {_listed(pis)}"


def _listed(pis: Sequence[Validation]) -> str:
    """Which boards were validated. This says nothing about other boards."""
    named = [each.board for each in pis[:_MOST_NAMED]]
    more = len(pis) - len(named)
    named += [f"{more} more"] if more else []
    count = "a validation of one board" if len(pis) == 1 else f"validations of {len(pis)} boards"
    return f"{count} only: {'; '.join(named)}"


def _is_a_pis(profile: Profile) -> bool:
    return (profile.recognise.board or "").startswith(PI)


def _of_pis(store: Store) -> list[Validation]:
    latest: dict[str, Validation] = {}
    for run in reversed(store.runs()):
        if run.suite == SUITE and run.unit not in latest and not _why_no_machine(run):
            found = validated(summarise(store, run))
            if run.finished or not found.why_no_pi:
                latest[run.unit] = found
    return [each for each in latest.values() if not each.why_no_pi]


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
