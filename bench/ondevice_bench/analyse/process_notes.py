"""Notes for a reader of a cell's numbers, about the processes that measured them."""

from collections import Counter
from collections.abc import Sequence

from ondevice_bench.record.details import Details, Precision
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.suite.suite import DISTURBED_SHARE
from ondevice_bench.units import number_of

_OF_DISTURBED = (
    "So these numbers may be too high, and no such process counts for a proof. Stop other programs "
    "and run again"
)


def process_of(record: Measurement) -> str:
    """The pass and the round of a process."""
    return f"{record.key.pass_name}, round {record.key.round}"


def notes_of(records: Sequence[Measurement]) -> tuple[str, ...]:
    """Warnings for a reader of the numbers, each once."""
    return (
        *_grouped_notes([(record, _notes(record.details)) for record in records]),
        *_disturbance([record for record in records if is_disturbed(record.details)]),
        *_imprecision([(record, record.details.precision) for record in records]),
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
    notes = list(details.notes)
    if details.swap_bytes:  # only in old records: new ones have no peak in this case
        notes.append(f"{details.swap_bytes:.0f} bytes were in swap, so the peak is too low")
    return notes


def _grouped_notes(notes: Sequence[tuple[Measurement, Sequence[str]]]) -> list[str]:
    """Each note once, with the processes that it is about."""
    by_note: dict[str, list[Measurement]] = {}
    for record, texts in notes:
        for text in texts:
            by_note.setdefault(text, []).append(record)
    return [f"{_together(records)}: {text}" for text, records in by_note.items()]


def _disturbance(disturbed: Sequence[Measurement]) -> list[str]:
    """The processes whose samples others disturbed, in one line for all of them."""
    if not disturbed:
        return []
    shares = [record.details.foreign_cpu_share or 0.0 for record in disturbed]
    taken = f"{'up to ' if len(shares) > 1 else ''}{max(shares):.0%} of a core"
    seen = f"disturbed: other programs or a quota took {taken} during the samples"
    return [f"{_together(disturbed)}: {seen}. {_OF_DISTURBED}"]


def _imprecision(precisions: Sequence[tuple[Measurement, Precision | None]]) -> list[str]:
    """Rounds that did not reach the precision of the suite, in one line for all of them."""
    unbounded = [(record, each) for record, each in precisions if each and each.reached is None]
    imprecise = [
        (record, each, each.reached)
        for record, each in precisions
        if each and each.reached is not None and each.reached > each.asked
    ]
    notes = []
    if unbounded:
        limits = " and ".join(dict.fromkeys(each.ended_by for _, each in unbounded))
        rounds = _count([record for record, _ in unbounded])
        notes.append(
            f"{rounds}: imprecise: too few samples for an interval, because {limits} ended them. "
            "An interval needs 6 samples: set `min_samples: 6` or more in the suite, below `time`"
        )
    if imprecise:
        limits = " and ".join(dict.fromkeys(each.ended_by for _, each, _ in imprecise))
        rounds = _count([record for record, *_ in imprecise])
        at_worst = " in the worst of these rounds" if len(imprecise) > 1 else ""
        widest = max(share for *_, share in imprecise)
        options = " and ".join(f"`{name}`" for name in limits.split(" and "))
        notes.append(
            f"{rounds}: imprecise: the median is known to ±{widest:.1%} only{at_worst} (the suite "
            f"asks for ±{imprecise[0][1].asked:.1%}), because {limits} ended the samples. So the "
            f"interval of these times is wide. Raise {options} in the suite, below `time`, or use "
            "a quieter machine"
        )
    return notes


def _count(records: Sequence[Measurement]) -> str:
    counts = Counter(record.key.pass_name for record in records)
    return " and ".join(f"{name}, {number_of(n, 'round')}" for name, n in counts.items())


def _together(records: Sequence[Measurement]) -> str:
    if len(records) == 1:
        return process_of(records[0])
    names = list(dict.fromkeys(record.key.pass_name for record in records))
    return f"{names[0]}, {len(records)} rounds" if len(names) == 1 else ", ".join(names)
