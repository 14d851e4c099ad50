"""Notes for a reader of a cell's numbers, about the processes that measured them."""

from collections import Counter
from collections.abc import Sequence

from ondevice_bench.record.details import Details, Precision
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.suite.suite import DISTURBED_SHARE
from ondevice_bench.units import number_of


def process_of(record: Measurement) -> str:
    """The pass and the round of a process."""
    return f"{record.key.pass_name}, round {record.key.round}"


def notes_of(records: Sequence[Measurement]) -> tuple[str, ...]:
    """Warnings for a reader of the numbers, each once."""
    return (
        *_grouped_notes([(record, _notes(record.details)) for record in records]),
        *_imprecision([(record, record.details.precision) for record in records]),
    )


def is_disturbed(details: Details) -> bool:
    """Whether other processes or a quota took processors during the samples."""
    return (details.foreign_cpu_share or 0.0) > DISTURBED_SHARE


def is_imprecise(precision: Precision | None) -> bool:
    """Whether a round did not reach the precision that the suite asks for."""
    return precision is not None and (
        precision.reached is None or precision.reached > precision.asked
    )


def _notes(details: Details) -> list[str]:
    """Warnings for a reader of the record's numbers."""
    notes = list(details.notes)
    if is_disturbed(details):
        share = f"{details.foreign_cpu_share:.0%} of a core"
        notes.append(f"disturbed: other processes or a quota took {share} during the samples")
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
        notes.append(f"{rounds}: too few samples for an interval, because {limits} ended them")
    if imprecise:
        limits = " and ".join(dict.fromkeys(each.ended_by for _, each, _ in imprecise))
        rounds = _count([record for record, *_ in imprecise])
        of_worst = " of the worst one" if len(imprecise) > 1 else ""
        widest = max(share for *_, share in imprecise)
        notes.append(
            f"{rounds}: the median{of_worst} is known to ±{widest:.1%} only (the suite asks for "
            f"±{imprecise[0][1].asked:.1%}), because {limits} ended the samples"
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
