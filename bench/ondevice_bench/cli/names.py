"""The names that a shell completes, by kind. Imports are few, because a key press must be fast."""

from collections.abc import Iterable, Iterator
from pathlib import Path


def suites(incomplete: str) -> list[str]:
    """Suites that can be run by name."""
    from ondevice_bench.declare.folders import declared

    return _beginning(incomplete, declared("suites"))


def profiles(incomplete: str) -> list[str]:
    """Hardware profiles."""
    from ondevice_bench.declare.folders import declared

    return _beginning(incomplete, declared("hardware"))


def models(incomplete: str) -> list[str]:
    """Models, also those of other packages."""
    from ondevice_bench.specs import registry

    return _beginning(incomplete, registry.models())


def methods(incomplete: str) -> list[str]:
    """Methods, also those of other packages."""
    from ondevice_bench.specs import registry

    return _beginning(incomplete, registry.methods())


def allocators(incomplete: str) -> list[str]:
    """Memory allocators."""
    from ondevice_bench.allocators import BY_NAME

    return _beginning(incomplete, BY_NAME)


def metrics(incomplete: str) -> list[str]:
    """Metrics."""
    from ondevice_bench.metrics import BY_NAME

    return _beginning(incomplete, BY_NAME)


def cells(incomplete: str) -> list[str]:
    """Cells of the stores below `bench-out`."""
    return _beginning(incomplete, _cells())


def results(incomplete: str) -> list[str]:
    """Suites that have results here."""
    return _beginning(incomplete, (path.parent.name for path in _stores()))


def _cells() -> Iterator[str]:
    from ondevice_bench.record.cell_names import cell_names

    for path in _stores():
        yield from cell_names(path)


def _stores() -> list[Path]:
    # as in `record/store.py`, which takes too long to import for a key press
    return sorted(Path("bench-out").glob("*/results.sqlite"))


def _beginning(incomplete: str, known: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in known if name.startswith(incomplete)))
