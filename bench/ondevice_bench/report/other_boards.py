"""Whether the methods of a run fit boards of other sizes: an estimate."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ondevice_bench import units
from ondevice_bench.analyse.choice import PEAK
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.usable_memory import usable_of
from ondevice_bench.report.cards import Card
from ondevice_bench.stats import is_too_wide
from ondevice_bench.units import GIB

# gigabytes as boards are sold, in ascending order, and our profile of such a board
SIZES = ((1, ""), (2, "pi5-2gb"), (4, "pi5-4gb"), (8, "pi5-8gb"))
CLOSE = 0.9  # kernels and allocators of a board may need some more than those here

SENTENCES = {
    "fits": "Estimated by its peak in this run, {cell} fits a board of {size} GB{more}: it needs "
    "{share} of the {usable} that a step may use there.",
    "no need": " No other method is needed to fit.",
    "too large": "Estimated by its peak in this run, {cell} does not fit a board of {size} GB: it "
    "needs {share} of the {usable} that a step may use there.",
    "method": " With {cell}, a board of {size} GB is enough: {share} of {usable}.",
    "no method": " No method of the cards fits a smaller board.",
    "none": " No method of the cards fits it.",
    "close": " That is close: measure it there.",
}


@dataclass(frozen=True)
class BoardSize:
    """A size of boards. `profile` is empty if we have no profile of such a board."""

    gb: int
    profile: str

    @property
    def usable(self) -> int:
        """What a step may use there."""
        return usable_of(self.gb * GIB)

    @property
    def usable_text(self) -> str:
        """What a step may use there, as text."""
        return units.size(self.usable)


BOARDS = tuple(BoardSize(gb, profile) for gb, profile in SIZES)


@dataclass(frozen=True)
class Need:
    """The peak of one cell, which is the same on each board of this estimate."""

    label: str
    cell: str
    peak: float

    @property
    def smallest(self) -> BoardSize | None:
        """The smallest board that it fits; None if it fits none."""
        return next((board for board in BOARDS if self.peak <= board.usable), None)

    @property
    def texts(self) -> tuple[str, ...]:
        """The share of what a step may use, for each size of boards."""
        return tuple(self._text(board) for board in BOARDS)

    def _text(self, board: BoardSize) -> str:
        share = units.percent(self.peak / board.usable)
        return share if self.peak <= board.usable else f"does not fit ({share})"


@dataclass(frozen=True)
class OtherBoards:
    """What the peaks of a run say of boards of other sizes. The baseline is the first need."""

    sentence: str
    needs: tuple[Need, ...]  # of the methods on the cards
    all_needs: tuple[Need, ...]  # of all methods
    boards: tuple[BoardSize, ...] = BOARDS

    @property
    def reserve(self) -> str:
        """What the system and torch get of each of these boards, as text."""
        reserves = dict.fromkeys(board.gb * GIB - board.usable for board in self.boards)
        return " or ".join(map(units.size, reserves))


def other_boards(part: Group, found: Sequence[Card]) -> OtherBoards | None:
    """The estimate for cells with one baseline and their cards; None without the baseline's peak.

    An emulated run has no peaks.
    """
    members = part.of_first_seed.members
    bases = tuple(_needs(member for member in members if member.is_baseline))
    if len(bases) != 1:
        return None
    chosen = {card.cell for card in found if card.cell}
    methods = _needs(member for member in members if not member.is_baseline)
    methods = sorted(methods, key=lambda need: need.peak)
    needs = (*bases, *(need for need in methods if need.cell in chosen))
    return OtherBoards(_sentence(needs), needs, (*bases, *methods))


def _needs(members: Iterable[CellWithBaseline]) -> Iterable[Need]:
    """The needs of the cells whose peak is known well enough."""
    for member in members:
        peak = member.cell.estimates.get(PEAK)
        if peak is not None and not is_too_wide(peak):
            yield Need(member.full_label, member.cell.id, peak.estimate)


def _sentence(needs: Sequence[Need]) -> str:
    """The smallest board for the baseline, and for the method with the lowest peak."""
    base, *methods = needs
    board = base.smallest
    text = _text("fits", base, board) if board else _text("too large", base, BOARDS[-1])
    if board is BOARDS[0]:
        return text if _is_close(base, board) else text + SENTENCES["no need"]
    if not methods:
        return text
    smaller = methods[0].smallest
    if smaller is None or (board is not None and smaller.gb >= board.gb):
        return text + SENTENCES["none" if board is None else "no method"]
    return text + _text("method", methods[0], smaller)


def _text(name: str, need: Need, board: BoardSize) -> str:
    text = SENTENCES[name].format(
        cell=need.label,
        size=board.gb,
        more="" if board is BOARDS[-1] else " and more",
        share=units.percent(need.peak / board.usable),
        usable=board.usable_text,
    )
    return text + (SENTENCES["close"] if _is_close(need, board) else "")


def _is_close(need: Need, board: BoardSize) -> bool:
    return CLOSE * board.usable < need.peak <= board.usable
