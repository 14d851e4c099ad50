"""The proofs that a board is measured correctly, each made from the records of one run.

The board's own report does not count: an imported run is judged here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Literal

from ondevice_bench import metrics, units
from ondevice_bench.analyse.missing_metrics import EMULATED
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.doctor import profile_match
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.hardware.probe import Machine
from ondevice_bench.hardware.profile import Profile, profiles, recognise
from ondevice_bench.record.model import Run
from ondevice_bench.validation.figures import (
    desk_figures,
    differences,
    figures_of,
    suite_passes,
)

Outcome = Literal["passed", "failed", "absent"]
OVER_RUNTIME, PEAK = "peak_rss_over_runtime_bytes", "peak_rss_bytes"
# the kernel adds up file, anonymous and shared pages; of each kind, a processor may count up to 32
# late (more if there are more than 16 processors)
_UNCOUNTED_PAGES = 3 * 32
_MOST_NAMED = 3  # differences in one sentence


@dataclass(frozen=True)
class Proof:
    """One check of the board. The outcome is `absent` if the board has no such part."""

    subject: str
    outcome: Outcome
    observation: str

    def to_dict(self) -> dict[str, str]:
        """The proof as plain values."""
        return dict(vars(self))


def machine_of(run: Run) -> Machine:
    """The machine of a run, from the facts in the run."""
    return Machine(**{each.name: run.machine[each.name] for each in fields(Machine)})


def profile_of(run: Run) -> Profile:
    """The profile of the run, or the recognised profile if its machine is another board."""
    machine, known = machine_of(run), profiles()
    profile = known.get(run.profile)
    return profile if profile and profile.recognise.matches(machine) else recognise(machine)


def proofs(summary: RunSummary) -> tuple[Proof, ...]:
    """All proofs of a run of the suite `validate`."""
    try:
        profile = profile_of(summary.run)
    except BadInput as error:
        return (Proof("recognition", "failed", error.lines[0]),)
    made: tuple[Callable[[RunSummary, Profile], Proof], ...] = (
        _recognition,
        _page_size,
        _throttling,
        _power,
        _peaks,
        _suite,
        _figures,
    )
    return tuple(make(summary, profile) for make in made)


def _recognition(summary: RunSummary, profile: Profile) -> Proof:
    run = summary.run
    found = profile_match(profile, machine_of(run))
    what = run.machine["board"] or run.machine["cpu"]
    if profile.name != run.profile:
        said = f"{what} is recognised as {profile.name}, not as {run.profile}"
        return Proof("recognition", "failed", said)
    if found.level != "ok":
        return Proof("recognition", "failed", found.observation)
    return Proof("recognition", "passed", f"{profile.name}: {what}")


def _page_size(summary: RunSummary, profile: Profile) -> Proof:
    """Whether the page size is that of the profile, and whether peaks are in whole pages."""
    page, wanted = int(summary.run.machine["page_bytes"]), profile.declared.page_kib
    if page <= 0 or (wanted is not None and page != 1024 * wanted):
        return Proof("page size", "failed", f"{page // 1024} KiB, not {wanted} KiB")
    readings = [
        value
        for cell in summary.planned
        for samples in cell.samples.get(PEAK, ())
        for value in samples
    ]
    broken = [value for value in readings if value % page]
    if broken:
        said = (
            f"a peak of {broken[0]:.0f} bytes is not a whole number of pages of {page // 1024} KiB"
        )
        return Proof("page size", "failed", said)
    if readings:
        whole = f"{units.number_of(len(readings), 'peak')} in whole pages"
        return Proof("page size", "passed", f"{page // 1024} KiB, and {whole}")
    if summary.run.settings.get("emulated"):
        return Proof("page size", "passed", f"{page // 1024} KiB; {EMULATED}")
    return Proof("page size", "failed", "no peak was read")


def _throttling(summary: RunSummary, profile: Profile) -> Proof:
    if profile.declared.throttling is None:
        said = f"{profile.name} has no firmware that reports it"
        return Proof("throttling bits", "absent", said)
    findings = map(DoctorFinding.from_dict, summary.run.settings.get("doctor", ()))
    found = next((each for each in findings if each.subject == "throttling"), None)
    if found is None or found.level == "unknown":
        said = "they were not read" if found is None else found.observation
        return Proof("throttling bits", "failed", said)
    return Proof("throttling bits", "passed", f"read: {found.observation}")


def _power(summary: RunSummary, profile: Profile) -> Proof:
    power = profile.declared.power
    if power is None or power.kind != "pmic":
        return Proof("power chip", "absent", f"{profile.name} has none that `bench` could read")
    read = [cell for cell in summary.planned if "step_joules" in cell.estimates]
    cells = summary.planned
    if len(read) < len(cells) or not read:
        reasons = [cell.unavailable.get("step_joules", "") for cell in cells if cell not in read]
        return Proof("power chip", "failed", _few([*dict.fromkeys(reasons)]) or "no energy")
    joules = [cell.estimates["step_joules"].estimate for cell in read]
    if min(joules) <= 0:
        return Proof("power chip", "failed", "a step without energy")
    shown = f"{units.quantity(min(joules), 'joules')} to {units.quantity(max(joules), 'joules')}"
    return Proof("power chip", "passed", f"read: {shown} in a step")


def _peaks(summary: RunSummary, _: Profile) -> Proof:
    """Compares the kernel's peak with its parts, and with what another process saw."""
    if summary.run.settings.get("emulated"):
        return Proof("peaks", "absent", EMULATED)
    cells = summary.planned
    without = [f"{cell.id} has no peak" for cell in cells if PEAK not in cell.estimates]
    if without or not cells:
        return Proof("peaks", "failed", _few(without) or "no cell has a peak")
    slack = _UNCOUNTED_PAGES * summary.run.machine["logical_cores"]
    slack *= summary.run.machine["page_bytes"]
    problems = [problem for cell in cells for problem in _peak_problems(cell, slack)]
    if problems:
        return Proof("peaks", "failed", _few(problems))
    watched = sum(bool(_samples_of_step(cell)) for cell in cells)
    if not watched:
        return Proof("peaks", "failed", "no other process saw the memory of a step")
    said = f"the kernel's peak is the sum of its parts in {units.number_of(len(cells), 'cell')}"
    return Proof("peaks", "passed", f"{said}; another process saw no more in {watched} of them")


def _peak_problems(cell: CellSummary, slack: int) -> Iterator[str]:
    found = {name: each.estimate for name, each in cell.estimates.items()}
    parts = [found.get(name) for name in metrics.parts_of("peak")]
    if None in parts or sum(filter(None, parts)) != found.get(OVER_RUNTIME):
        yield f"the parts of {cell.id} do not add up"
    seen = _samples_of_step(cell)
    if seen and max(seen) > found[PEAK] + slack:
        more = units.mib(max(seen) - found[PEAK])
        yield f"another process saw {more} more of {cell.id} than the kernel's peak"


def _samples_of_step(cell: CellSummary) -> list[float]:
    """The memory that another process saw during the step."""
    curve = cell.details_of("memory").curve
    marks = dict(curve.marks)
    if not {"forward", "inference"} <= marks.keys():
        return []
    return [
        size
        for moment, size in zip(curve.seconds, curve.rss_bytes, strict=False)
        if marks["forward"] <= moment < marks["inference"]
    ]


def _suite(summary: RunSummary, _: Profile) -> Proof:
    """Whether every cell was measured by every pass of the built-in suite."""
    cells = summary.planned
    left_out = [each for each in suite_passes() if each not in summary.run.settings["measure"]]
    if left_out:
        return Proof("suite", "failed", f"not measured: {', '.join(left_out)}")
    bad = [f"{cell.id}: {cell.status}" for cell in cells if cell.status != "ok"]
    if summary.run.finished is None:
        return Proof("suite", "failed", "the run is unfinished")
    if bad or not cells:
        return Proof("suite", "failed", _few(bad) or "nothing was measured")
    return Proof("suite", "passed", f"{units.number_of(len(cells), 'cell')} measured")


def _figures(summary: RunSummary, _: Profile) -> Proof:
    wanted = desk_figures()
    found = list(differences(figures_of(summary)))
    count = sum(len(cell.figures) for cell in wanted.cells.values())
    if found:
        said = f"{units.number_of(len(found), 'difference')} from the desk: {_few(found)}"
        own = summary.run.software["torch"]
        return Proof("figures", "failed", f"{said} (torch {own}; the desk has {wanted.torch})")
    where = f"{wanted.arch}, torch {wanted.torch}"
    return Proof("figures", "passed", f"{count} exact numbers equal those of a desk ({where})")


def _few(texts: list[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return "; ".join(texts[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
