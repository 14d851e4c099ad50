"""The board that `--on` means: USER@HOST[:PORT], or a name of `hosts.yaml`."""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from ondevice_bench.declare.check import check
from ondevice_bench.declare.document import Document, parse, read
from ondevice_bench.declare.schema import StrictSchema, Version
from ondevice_bench.declare.shown import JsonSchema, ShownAs, ShownBeside, text
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.files import atomic_write

FILE = Path("hosts.yaml")
FOLDER = ".ondevice-bench"  # below the home folder there
# no sign that a shell would read: commands of `ssh_config` may name the user and the host
_SIGNS = r"\s:@'`\"$;&<>|(){}\[\]"
_ADDRESS = re.compile(
    rf"(?P<target>[^{_SIGNS}]+@(?:[^{_SIGNS}-][^{_SIGNS}]*|\[[0-9A-Fa-f:.%\w]+\]))(:(?P<port>\d+))?"
)
_NAME = r"\w[\w.-]*"
_FORM = "USER@HOST or USER@HOST:PORT"


@dataclass(frozen=True)
class Address:
    """How `ssh` finds a board, and where `bench` lies there."""

    name: str  # what the user calls it
    target: str  # as `ssh` takes it
    port: int | None = None
    folder: str = FOLDER
    python: str | None = None
    ssh_config: Path | None = None

    @property
    def address(self) -> str:
        """USER@HOST[:PORT], as `--on` takes it: an address of IPv6 has brackets."""
        user, _, host = self.target.rpartition("@")
        target = f"{user}@[{host}]" if ":" in host else self.target
        return target if self.port is None else f"{target}:{self.port}"

    @property
    def interpreter(self) -> str:
        """The Python there that has `bench`."""
        return self.python or f"{self.folder}/env/bin/python"


def _address(text: str) -> str:
    parsed(text)
    return text


def _name(text: str) -> str:
    if not re.fullmatch(_NAME, text):
        raise ValueError(
            f"{text!r} cannot be the name of a board: letters, digits, '.', '_' and '-' only"
        )
    return text


def _place(text: str) -> str:
    if "\0" in text or "\n" in text or text.startswith("-"):
        raise ValueError(f"{text!r} is not a path")
    return text


def _place_there(text: str) -> str:
    below_home = text.removeprefix("~/")
    if below_home.startswith(("~", "-")) or not below_home:
        raise ValueError(
            f"{text!r} is not a path: it must be absolute, or begin in the home folder"
        )
    return below_home


_Path = Annotated[
    str,
    Field(min_length=1, max_length=1000),
    AfterValidator(_place),
    ShownBeside(lambda: {"pattern": r"^(?!-)[^\0\n]*$(?!\n)"}),
]
_PathThere = Annotated[
    str,
    Field(min_length=1, max_length=1000),
    AfterValidator(_place),
    AfterValidator(_place_there),
    ShownBeside(lambda: {"pattern": r"^(?!-)(?:~/)?(?![~-])[^\0\n]+$(?!\n)"}),
]


_SHOWN_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"


def _shown_address() -> JsonSchema:
    # a pattern of JSON Schema has no needless escapes
    signs = _SIGNS.replace(r"\"", '"')
    host = rf"(?:[^{signs}-][^{signs}]*|\[[0-9A-Fa-f:.%\w]+\])"
    return text(rf"(?!-)[^{signs}]+@{host}(?::0*(?:{_SHOWN_PORT}))?")


def _shown_names() -> JsonSchema:
    return {"propertyNames": text(_NAME)}


class BoardSchema(StrictSchema):
    """One board of `hosts.yaml`."""

    address: Annotated[str, AfterValidator(_address), ShownAs(_shown_address)]
    folder: _PathThere = FOLDER
    python: _PathThere | None = None
    ssh_config: _Path | None = None


class HostsSchema(StrictSchema):
    """`hosts.yaml`."""

    schema_version: Version = Field(alias="schema")
    boards: Annotated[
        dict[Annotated[str, AfterValidator(_name)], BoardSchema], ShownBeside(_shown_names)
    ]


def parsed(text: str) -> tuple[str, int | None]:
    """The target and the port of an address; ValueError if it is not an address."""
    match = _ADDRESS.fullmatch(text)
    if match is None or text.startswith("-") or not text.isprintable():
        raise ValueError(f"must be {_FORM}, got {text!r}")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 1 << 16:
        raise ValueError(f"{port} is not a port, in {text!r}")
    return match["target"].replace("[", "").replace("]", ""), port


def boards(file: Path = FILE) -> dict[str, Address]:
    """The boards of `hosts.yaml` in the working directory; none without the file."""
    return _boards_of(read(file)) if file.exists() else {}


def _boards_of(document: Document) -> dict[str, Address]:
    declared = check(HostsSchema, document).boards
    return {name: _of(name, board, document.path.parent) for name, board in declared.items()}


def address(text: str) -> Address:
    """The board of that name or address; BadInput if it is neither."""
    known = boards()
    if text in known:
        return known[text]
    if "@" not in text:
        raise BadInput(f"{unknown('board', text, known)}: give a name of {FILE}, or {_FORM}")
    try:
        target, port = parsed(text)
    except ValueError as error:
        raise BadInput(f"--on: {error}") from None
    same = (each for each in known.values() if (each.target, each.port) == (target, port))
    return next(same, Address(text, target, port))


def _of(name: str, board: BoardSchema, folder: Path) -> Address:
    target, port = parsed(board.address)
    config = None if board.ssh_config is None else folder / Path(board.ssh_config).expanduser()
    return Address(name, target, port, board.folder, board.python, config)


def require_free(name: str, board: Address, file: Path = FILE) -> None:
    """BadInput if the file cannot take this name, or has it for another board."""
    try:
        _name(name)
    except ValueError as error:
        raise BadInput(f"--name: {error}") from None
    known = boards(file)
    if board.name in known and board.name != name:
        raise BadInput(f"--name: {file} has this board already, as {board.name}")
    other = known.get(name)
    if other is not None and (other.target, other.port) != (board.target, board.port):
        raise BadInput(f"--name: {file} has another board with the name {name}: {other.address}")


def remember(name: str, board: Address, file: Path = FILE) -> None:
    """Write the board into `hosts.yaml`. What people wrote there stays as it is.

    Another command that adds a board at the same time waits. The lock is that of the folder: the
    file itself is replaced.
    """
    with _alone(file.absolute().parent):
        _add(name, board, file)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder. Without one, on a file system that has no locks, go on."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, number)
            fcntl.flock(number, fcntl.LOCK_EX)
        yield


def _add(name: str, board: Address, file: Path) -> None:
    require_free(name, board, file)  # another command may have taken the name since
    known = boards(file)
    if name in known:
        return
    # not `read_text`, which changes the ends of lines
    text = file.read_bytes().decode() if file.exists() else "schema: 1\nboards:\n"
    key, quoted = _key(name), json.dumps(board.address)
    longer = _with_entry(text, key, quoted)
    if not _has_one_more(file, longer, known, name):  # its YAML has a form that we cannot extend
        raise BadInput(f"{file}: add the board by hand: {key}: {{address: {quoted}}}")
    with atomic_write(file) as written:
        written.write(longer.encode())


def _key(name: str) -> str:
    """The name as a key of YAML, which reads `1` and `true` as no names without quotes."""
    alone = f"schema: 1\nboards: {{{name}: {{address: a@b}}}}\n"
    return name if _has_one_more(FILE, alone, {}, name) else json.dumps(name)


def _with_entry(text: str, name: str, quoted: str) -> str:
    """The text with a board below the line `boards:`, if there is such a line."""
    lines = text.splitlines(keepends=True)
    place = next((n for n, line in enumerate(lines, 1) if line.rstrip() == "boards:"), len(lines))
    indent, end = _indent(lines[place:]), "\r\n" if "\r\n" in text else "\n"
    entry = f"{indent}{name}:{end}{2 * indent}address: {quoted}{end}"
    return "".join([*lines[:place], entry, *lines[place:]])


def _has_one_more(file: Path, text: str, known: Mapping[str, Address], name: str) -> bool:
    """Whether the text has the known boards, and one with this name."""
    try:
        found = _boards_of(parse(file, text))
    except BadInput:
        return False
    return found.pop(name, None) is not None and found == known


def _indent(lines: Sequence[str]) -> str:
    """What the boards that are there have before their names."""
    first = next((each for each in lines if each.strip() and each.lstrip()[0] != "#"), "")
    return first[: len(first) - len(first.lstrip())] or "  "
