"""A record as an analysis reads it: without the state of the machine and without output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ondevice_bench.record.details import Details
from ondevice_bench.record.model import Record, Status, TaskKey


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one process measured, or the reason why there is nothing."""

    key: TaskKey
    status: Status
    reason: str
    launch: str
    metrics: Mapping[str, float]
    samples: Mapping[str, Sequence[float]]
    unavailable: Mapping[str, str]
    details: Details
    started: str = ""

    @staticmethod
    def of(record: Record) -> "Measurement":
        """The part of a record that an analysis reads; ValueError if its details are invalid."""
        return Measurement(
            record.key,
            record.status,
            record.reason,
            record.launch,
            record.metrics,
            record.samples,
            record.unavailable,
            Details.from_dict(record.details),
            record.started,
        )
