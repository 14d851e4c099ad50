"""What `bench fit` needs before it asks: the memory that a step may take, and the cells."""

from collections.abc import Collection, Mapping, Sequence

from ondevice_bench import units
from ondevice_bench.errors import BadInput
from ondevice_bench.specs import registry
from ondevice_bench.specs.builtin_methods import BY_CONTENT
from ondevice_bench.suite.board import Board, system_reserve
from ondevice_bench.suite.fit import MemoryLimit
from ondevice_bench.suite.from_flags import Words, with_a_rank_rule
from ondevice_bench.units import GIB


def memory_limit(
    board: Board, reserve_bytes: int | None, others: Collection[Board] = ()
) -> MemoryLimit:
    """The limit on this board; BadInput if its size is unknown, or smaller than the reserve.

    Without `reserve_bytes`, the reserve is the usual one for this memory.
    `others` are the boards that the message can name instead.
    """
    if board.memory_gib is None:
        raise BadInput(
            f"the profile {board.name} has no memory size: {_with_memory(board, others)}"
        )
    total = int(board.memory_gib * GIB)
    if reserve_bytes is None:
        return MemoryLimit(total, system_reserve(total))
    if reserve_bytes >= total:
        raise BadInput(
            f"--reserve: {units.size(reserve_bytes)} is not less than the memory of {board.name}, "
            f"{board.memory_gib:g} GiB"
        )
    return MemoryLimit(total, reserve_bytes)


def _with_memory(board: Board, others: Collection[Board]) -> str:
    """The boards of the same family that have a memory size; without any, all that have one."""
    known = sorted(
        (other.memory_gib, other.name, other.names) for other in others if other.memory_gib
    )
    family = [name for _, name, lineage in known if board.name in lineage]
    names = family or [name for _, name, _ in known]
    return f"choose one of {', '.join(names)}" if names else "choose a profile that has one"


def fit_words(
    models: Sequence[str],
    methods: Sequence[str],
    options: Sequence[str],
    ranks: Mapping[str, Sequence[str]],
    layers: Sequence[str],
    batch: int | None = None,
) -> Words:
    """One cell for each model and method, at the batch that is asked for.

    Methods with ranks take a fraction of 1/8 if no rank rule is given. Ranks that depend on data
    are refused: these cells have no data.
    """
    rules = [option.partition("=")[0].rpartition(".")[2] for option in options]
    rules += [rule for rule, values in ranks.items() if values]
    for rule in rules:
        if rule in BY_CONTENT:
            raise BadInput(
                f"ranks by {rule} depend on data, weights and batch, and a fit knows only shapes: "
                "give --fraction or --rank, or measure them with `bench run … --memory-cap SIZE`"
            )
    words = Words(
        models,
        methods=methods or list(registry.methods()),
        options=options,
        ranks=ranks,
        layers=layers,
        batches=[1 if batch is None else batch],
    )
    return with_a_rank_rule(words)
