"""What `bench fit` needs before it asks: the memory that a step may take, and the cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ondevice_bench import units
from ondevice_bench.errors import BadInput
from ondevice_bench.specs import registry
from ondevice_bench.specs.builtin_methods import BY_CONTENT
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.units import GIB

DEFAULT_FRACTION = "0.125"


@dataclass(frozen=True)
class MemoryLimit:
    """The memory of a board, and the part that stays free for the system and torch itself."""

    total_bytes: int
    reserve_bytes: int

    @property
    def usable_bytes(self) -> int:
        """What the tensors of a step may take."""
        return self.total_bytes - self.reserve_bytes


def memory_limit(board: Board, reserve_bytes: int) -> MemoryLimit:
    """The limit on this board; BadInput where its size is unknown, or smaller than the reserve."""
    if board.memory_gib is None:
        raise BadInput(
            f"the profile {board.name} has no memory size: choose a profile that has one"
        )
    total = int(board.memory_gib * GIB)
    if reserve_bytes >= total:
        raise BadInput(
            f"--reserve: {units.size(reserve_bytes)} is not less than the memory of {board.name}, "
            f"{board.memory_gib:g} GiB"
        )
    return MemoryLimit(total, reserve_bytes)


def fit_words(
    model: str,
    methods: Sequence[str],
    options: Sequence[str],
    ranks: Mapping[str, Sequence[str]],
    layers: Sequence[str],
) -> Words:
    """One cell for each method. Without any ranks, methods with ranks take a fraction of 1/8.

    Ranks that depend on data are refused: these cells have no data.
    """
    for option in options:
        rule = option.partition("=")[0].rpartition(".")[2]
        if rule in BY_CONTENT:
            raise BadInput(f"ranks by {rule} depend on data: give --rank or --fraction")
    methods = methods or list(registry.methods())
    if not any(ranks.values()) and any(_has_fraction(method) for method in methods):
        ranks = {**ranks, "fraction": [DEFAULT_FRACTION]}
    return Words([model], methods=methods, options=options, ranks=ranks, layers=layers, batches=[1])


def _has_fraction(method: str) -> bool:
    options = () if registry.is_own(method) else registry.method(method).options
    return any(option.name == "fraction" for option in options)
