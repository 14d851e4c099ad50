"""The name of each board on a page that shows several runs."""

from collections.abc import Iterable

from ondevice_bench.record.model import Run


def board_names(runs: Iterable[Run]) -> tuple[str, ...]:
    """Each run's profile, with its unit if two runs have the same profile; or else its id."""
    found = tuple(runs)
    ways = (
        [run.profile for run in found],
        [f"{run.profile}, unit {run.unit or 'unknown'}" for run in found],
        [run.id for run in found],
    )
    return tuple(
        next(
            (name for name, way in zip(names, ways, strict=True) if way.count(name) == 1), names[-1]
        )
        for names in zip(*ways, strict=True)
    )
