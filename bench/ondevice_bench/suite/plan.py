"""Plans a suite: the cells that run on this machine, and why others are skipped or pending."""

from collections.abc import Iterator, Mapping, Sequence

from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell_ids import without_seed
from ondevice_bench.suite.matrix import cells_of, nothing_matches, size_of
from ondevice_bench.suite.patterns import matches, matches_any
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.refusals import board_refusal, refusal
from ondevice_bench.suite.suite import Suite

MAX_CELLS = 100_000


def plan(
    suite: Suite,
    here: Board,
    others: Mapping[str, Board] | None = None,
    filters: Sequence[str] = (),
) -> tuple[PlannedCell, ...]:
    """Every cell of the suite, for this machine and for the other boards of the suite.

    A name that this machine's profile extends means this machine.
    """
    boards = _boards(suite, here, others or {})
    size = sum(size_of(suite.on(board.names).under(board.allocator)) for board in boards)
    if size > MAX_CELLS:
        raise BadInput(
            f"{suite.path}: the matrix has {size:,} cells, more than {MAX_CELLS:,}: split the suite"
        )
    on_boards = [suite, *suite.variants.values()]
    elsewhere = [each for each in on_boards if size_of(each) <= MAX_CELLS]
    planned: list[PlannedCell] = []
    for board in boards:
        on_board = suite.on(board.names).under(board.allocator)
        planned += _planned(on_board, board, here, elsewhere)
    if not filters:
        return tuple(planned)
    ids = [item.cell.id for item in planned]
    for pattern in filters:
        if not any(matches(cell_id, pattern) for cell_id in ids):
            raise NothingRan(nothing_matches("--filter", pattern, ids))
    return tuple(item for item in planned if matches_any(item.cell.id, filters))


def _boards(suite: Suite, here: Board, others: Mapping[str, Board]) -> tuple[Board, ...]:
    """The suite's boards. This machine replaces the most specific of its names in the list."""
    names = tuple(dict.fromkeys(suite.hardware)) or (here.name,)
    own = next((name for name in here.names if name in names), here.name)
    return tuple(here if name == own else others.get(name, Board(name)) for name in names)


def _planned(
    suite: Suite, board: Board, here: Board, elsewhere: Sequence[Suite]
) -> Iterator[PlannedCell]:
    """The cells of the suite on one board. No seed is a reason to refuse a cell."""
    reasons: dict[str, str | None] = {}
    for cell in cells_of(suite, elsewhere):
        common = without_seed(cell.id)
        if common not in reasons:
            reasons[common] = refusal(suite, cell)
        reason = reasons[common] or board_refusal(suite, cell, board)
        if reason is not None:
            yield PlannedCell(cell, board.name, "skipped", reason)
        elif board.name != here.name:
            yield PlannedCell(cell, board.name, "pending", f"pending on {board.name}")
        else:
            yield PlannedCell(cell, board.name)
