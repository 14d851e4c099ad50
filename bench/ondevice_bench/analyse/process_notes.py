"""Notes for a reader of a cell's numbers, about the processes that measured them."""

from collections import Counter
from collections.abc import Sequence

from ondevice_bench.record.details import Details, Precision
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.suite.suite import DISTURBED_SHARE

_OF_DISTURBED = (
    "So these numbers may be too high: their medians have these samples, too. No such process "
    "counts for a proof. "
)
_NO_TIME = "no time to measure again"  # the worker's note of the same disturbance
_AGAIN = "Stop other programs and run again"
_SPOILT = f"There was {_NO_TIME}. Stop other programs, or raise `max_seconds`, and run again"


def process_of(record: Measurement) -> str:
    """The pass and the round of a process."""
    return f"{record.key.pass_name}, round {record.key.round}"


def notes_of(records: Sequence[Measurement]) -> tuple[str, ...]:
    """Warnings for a reader of the numbers, each once."""
    return (
        *_grouped_notes(records),
        *_disturbance(records),
        *_imprecision(records),
    )


def is_disturbed(details: Details) -> bool:
    """Whether other programs or a quota took processors during the samples."""
    return (details.foreign_cpu_share or 0.0) > DISTURBED_SHARE


def is_imprecise(precision: Precision | None) -> bool:
    """Whether a round did not reach the precision that the suite asks for."""
    return precision is not None and (
        precision.reached is None or precision.reached > precision.asked
    )


def _notes(details: Details) -> list[str]:
    """Warnings for a reader of the record's numbers."""
    notes = [note for note in details.notes if not (is_disturbed(details) and _is_spoilt(note))]
    if details.swap_bytes:  # only in old records: new ones have no peak in this case
        notes.append(f"{details.swap_bytes:.0f} bytes were in swap, so the peak is too low")
    return notes


def _grouped_notes(records: Sequence[Measurement]) -> list[str]:
    """Each note once, with the processes that it is about."""
    by_note: dict[str, list[Measurement]] = {}
    for record in records:
        for text in _notes(record.details):
            by_note.setdefault(text, []).append(record)
    return [f"{_part(some, records)}: {text}" for text, some in by_note.items()]


def _is_spoilt(note: str) -> bool:
    """Whether the note says that the samples of a step stayed disturbed, as the share does."""
    return note.startswith("disturbed") and _NO_TIME in note


def _disturbance(records: Sequence[Measurement]) -> list[str]:
    """The processes whose samples others disturbed, in one line for all of them."""
    disturbed = [record for record in records if is_disturbed(record.details)]
    if not disturbed:
        return []
    shares = [record.details.foreign_cpu_share or 0.0 for record in disturbed]
    taken = f"{'up to ' if len(shares) > 1 else ''}{max(shares):.0%} of a core"
    seen = f"disturbed: other programs or a quota took {taken} during the samples"
    spoilt = any(_is_spoilt(note) for record in disturbed for note in record.details.notes)
    cure = _SPOILT if spoilt else _AGAIN
    return [f"{_part(disturbed, records)}: {seen}. {_OF_DISTURBED}{cure}"]


def _imprecision(records: Sequence[Measurement]) -> list[str]:
    """Rounds that did not reach the precision of the suite, in one line for all of them."""
    precisions = [(record, record.details.precision) for record in records]
    unbounded = [(record, each) for record, each in precisions if each and each.reached is None]
    imprecise = [
        (record, each, each.reached)
        for record, each in precisions
        if each and each.reached is not None and each.reached > each.asked
    ]
    notes = []
    if unbounded:
        limits = " and ".join(dict.fromkeys(each.ended_by for _, each in unbounded))
        rounds = _part([record for record, _ in unbounded], records)
        notes.append(
            f"{rounds}: imprecise: too few samples for an interval, because {limits} ended them. "
            "An interval needs 6 samples: set `min_samples: 6` or more in the suite, below `time`"
        )
    if imprecise:
        limits = " and ".join(dict.fromkeys(each.ended_by for _, each, _ in imprecise))
        rounds = _part([record for record, *_ in imprecise], records)
        whose = " of the worst round" if sum(1 for _, each in precisions if each) > 1 else ""
        widest = max(share for *_, share in imprecise)
        options = " and ".join(f"`{name}`" for name in limits.split(" and "))
        notes.append(
            f"{rounds}: imprecise: the median{whose} is known to ±{widest:.1%} only (the suite "
            f"asks for ±{imprecise[0][1].asked:.1%}), because {limits} ended the samples. So the "
            f"interval of these times is wide. Raise {options} in the suite, below `time`, or use "
            "a quieter machine"
        )
    return notes


def _part(some: Sequence[Measurement], records: Sequence[Measurement]) -> str:
    """How many rounds of each pass these are: time, 1 of 5 rounds. A single round has no number."""
    counts, totals = (Counter(each.key.pass_name for each in those) for those in (some, records))
    return " and ".join(
        f"{name}, {n} of {totals[name]} rounds" if totals[name] > 1 else name
        for name, n in counts.items()
    )
