"""`fleet.yaml`: the boards of a lab, what they are called, and the commands that lock them."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ondevice_bench.declare.check import check
from ondevice_bench.declare.document import Document, read
from ondevice_bench.declare.schema import StrictSchema, Version
from ondevice_bench.declare.shown import JsonSchema, ShownAs, ShownBeside, any_of, reads, text
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.remote.address import Address, address
from ondevice_bench.units import DURATION, parse_duration

FILE = Path("fleet.yaml")
PATIENCE = 180.0  # seconds for a lost board to come back, as after a reboot


@dataclass(frozen=True)
class FleetBoard:
    """A board of the fleet."""

    address: Address
    tags: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()  # the words of a command; none: the board needs no lock
    unlock: tuple[str, ...] = ()
    profile: str | None = None  # in place of the recognised profile

    @property
    def name(self) -> str:
        """What the user calls the board."""
        return self.address.name


@dataclass(frozen=True)
class Cooling:
    """How cool a board must be before it measures a cell, and how long the desk waits for that."""

    celsius: float = 70.0
    seconds: float = 600.0


@dataclass(frozen=True)
class Fleet:
    """The boards of a fleet file."""

    path: Path
    boards: tuple[FleetBoard, ...]
    cooling: Cooling = Cooling()
    patience: float = PATIENCE


def _words(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a command: {error}") from None
    if not words or "\0" in text:
        raise ValueError("an empty command" if not words else f"{text!r} is not a command")
    return text


def _seconds(value: Any) -> Any:
    seconds = parse_duration(value) if isinstance(value, str) else value
    if isinstance(seconds, int | float) and not seconds >= 0:
        raise ValueError(f"must be 0 or more, got {value!r}")
    return seconds


def _shown_seconds() -> JsonSchema:
    return any_of({"type": "number", "minimum": 0}, text(DURATION))


def _shown_command() -> JsonSchema:
    return text(r"[^\0]*[^\0 \t\r\n][^\0]*")


_Command = Annotated[str, AfterValidator(_words), ShownAs(_shown_command)]
_Duration = Annotated[float, reads(_seconds, _shown_seconds)]
_TAG = r"\w[\w.-]*"
_Tag = Annotated[str, Field(pattern=f"^{_TAG}$", max_length=100), ShownBeside(lambda: text(_TAG))]


class FleetBoardSchema(StrictSchema):
    """One board of `fleet.yaml`."""

    host: Annotated[str, Field(min_length=1)]
    tags: list[_Tag] = Field(default_factory=list)
    lock: _Command | None = None
    unlock: _Command | None = None
    profile: str | None = None


class CoolingSchema(StrictSchema):
    """`cooling` of `fleet.yaml`."""

    celsius: Annotated[float, Field(gt=0, le=150)] = Cooling.celsius
    wait: _Duration = Cooling.seconds


class FleetSchema(StrictSchema):
    """`fleet.yaml`."""

    schema_version: Version = Field(alias="schema")
    boards: Annotated[list[FleetBoardSchema], Field(min_length=1, max_length=1000)]
    cooling: CoolingSchema = Field(default_factory=CoolingSchema)
    patience: _Duration = PATIENCE


def load_fleet(path: Path, tags: Iterable[str] = ()) -> Fleet:
    """The boards of the file that have all these tags."""
    if not path.exists():
        raise BadInput(
            f"{path}: no such file: list the boards in it (`schema: 1`, then `boards:` with a line "
            "`- host: USER@HOST` for each board), or name another file with --fleet"
        )
    document = read(path)
    declared = check(FleetSchema, document)
    every = [_board(document, place, each) for place, each in enumerate(declared.boards)]
    _refuse_duplicates(document, every)
    known = {tag for board in every for tag in board.tags}
    for tag in tags:
        if tag not in known:
            raise BadInput(f"--tag: {unknown('tag', tag, known)}")
    boards = tuple(board for board in every if set(tags) <= set(board.tags))
    if not boards:
        raise BadInput(f"{path}: no board has all of these tags: {', '.join(tags)}")
    cooling = Cooling(declared.cooling.celsius, declared.cooling.wait)
    return Fleet(path, boards, cooling, declared.patience)


def _board(document: Document, place: int, declared: FleetBoardSchema) -> FleetBoard:
    at = document.place(("boards", place, "host"))
    try:
        found = address(declared.host)
    except BadInput as error:
        raise BadInput(f"{at}: {error.lines[0].removeprefix('--on: ')}") from None
    return FleetBoard(
        found,
        tuple(declared.tags),
        tuple(shlex.split(declared.lock or "")),
        tuple(shlex.split(declared.unlock or "")),
        declared.profile,
    )


def _refuse_duplicates(document: Document, boards: Iterable[FleetBoard]) -> None:
    """Refuse a board that is listed twice: it would measure two things at the same time."""
    first: dict[tuple[str, int | None], str] = {}
    names: set[str] = set()
    for place, board in enumerate(boards):
        at = document.place(("boards", place, "host"))
        way = (board.address.target, board.address.port)
        if board.name in names:
            raise BadInput(f"{at}: {board.name} is listed twice")
        if way in first:
            raise BadInput(f"{at}: {board.name} is the same host as {first[way]}")
        names.add(board.name)
        first[way] = board.name
