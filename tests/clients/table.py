"""The table of clients and methods: its rows, its stored cells, and how docs/clients.md shows it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.clients import library_clients, torch_clients, trainer_clients, two_processes
from tests.clients.library_clients import missing
from tests.clients.methods import METHODS, Method
from tests.clients.oracle import APPROXIMATE, EXACT, REFUSED, WRONG, Client, Outcome, outcome

STORED = Path(__file__).with_name("outcomes.json")
KNOWN = Path(__file__).with_name("known_failures.json")
PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
_BEGIN, _END = "<!-- made from tests/clients/outcomes.json -->", "<!-- the end of the tables -->"
_LIST = re.compile(r"\[\s+([^][{}]+?)\s+\]")  # of methods, in JSON
_WORDS = {EXACT: "exact", APPROXIMATE: "declared", REFUSED: "refused", WRONG: "**wrong**"}


@dataclass(frozen=True)
class Group:
    """Rows of the table under one heading."""

    title: str
    clients: tuple[Client, ...]
    library: str | None = None
    slow: bool = False

    @property
    def skipped(self) -> str | None:
        """Why the clients cannot run here; None if they can."""
        return missing(self.library) if self.library else None

    def left_out(self, method: Method) -> str | None:
        """Why the ordinary run leaves the method out; None if it does not."""
        if self.slow:
            return "takes minutes (tox -e clients)"
        if method.like and self.clients is not torch_clients.NETWORKS:
            return f"has the layers of another method: {method.like} (tox -e clients)"
        return None


GROUPS = (
    Group("Networks of torch alone", torch_clients.NETWORKS),
    Group("Networks of transformers", library_clients.TRANSFORMERS, "transformers"),
    Group("Networks of timm", library_clients.TIMM, "timm"),
    Group("Networks of torchvision", library_clients.TORCHVISION, "torchvision"),
    Group("Loops of torch alone", torch_clients.LOOPS),
    Group("Compiled and distributed loops", (*torch_clients.COMPILED, two_processes.DISTRIBUTED),
          slow=True),
    Group("Loops of transformers", trainer_clients.TRAINER, "transformers"),
    Group("Loops of Lightning", trainer_clients.LIGHTNING, "lightning"),
    Group("Loops of accelerate", trainer_clients.ACCELERATE, "accelerate"),
    Group("Networks with something special", torch_clients.SPECIAL),
)  # fmt: skip


def find(client: Client, method: Method) -> Outcome:
    """Train, and see."""
    if client is two_processes.DISTRIBUTED:
        return two_processes.outcomes()[method.name]
    return outcome(client, method)


@dataclass(frozen=True)
class Failure:
    """Cells that are wrong for one reason, until somebody repairs it."""

    item: str  # of the issue
    why: str
    cells: frozenset[tuple[str, str]]


@cache
def stored() -> Mapping[tuple[str, str], Outcome]:
    """The outcomes of the last rewriting, by client and method."""
    rows = json.loads(STORED.read_text(encoding="utf-8"))
    return {
        (client, method): Outcome(*cell.split(": ", 1))
        for client, row in rows.items()
        for method, cell in row.items()
    }


@cache
def failures() -> tuple[Failure, ...]:
    """What is known to be wrong."""
    return tuple(
        Failure(
            entry["item"],
            entry["why"],
            frozenset((c, m) for c, methods in entry["cells"].items() for m in methods),
        )
        for entry in json.loads(KNOWN.read_text(encoding="utf-8"))
    )


def failure(client: str, method: str) -> Failure | None:
    """Why the cell is known to be wrong; None if it is not."""
    found = [each for each in failures() if (client, method) in each.cells]
    return found[0] if found else None


def rewrite(found: Mapping[tuple[str, str], Outcome]) -> None:
    """Store these outcomes, forget the failures that they repair, and write the page."""
    cells = {**stored(), **found}
    table = {
        client.name: {
            method.name: _text(cells[client.name, method.name])
            for method in METHODS
            if (client.name, method.name) in cells
        }
        for group in GROUPS
        for client in group.clients
    }
    STORED.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    known = json.loads(KNOWN.read_text(encoding="utf-8"))
    for entry in known:
        rows = {
            client: [m for m in methods if cells[client, m].kind == WRONG]
            for client, methods in entry["cells"].items()
        }
        entry["cells"] = {client: methods for client, methods in rows.items() if methods}
    text = json.dumps([each for each in known if each["cells"]], indent=1, ensure_ascii=False)
    lists = _LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    KNOWN.write_text(lists + "\n", encoding="utf-8")
    stored.cache_clear()
    failures.cache_clear()
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _text(cell: Outcome) -> str:
    """A cell as it is stored. What is wrong with it stands among the known failures."""
    return f"{cell.kind}: {cell.note}" if cell.note and cell.kind != WRONG else cell.kind


def page(text: str) -> str:
    """The page with its tables as they are stored."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    sections = "\n".join(_section(group) for group in GROUPS)
    return f"{before}{_BEGIN}\n\n{_counts()}\n\n{sections}\n{_END}{after}"


def _counts() -> str:
    """How many cells have each outcome."""
    kinds = [cell.kind for cell in stored().values()]
    shares = ", ".join(f"{kinds.count(kind)} {word}" for kind, word in _WORDS.items())
    clients = len({client for client, _ in stored()})
    return f"{clients} clients and {len(METHODS)} methods: {shares}."


def _section(group: Group) -> str:
    """A table, and below it the reasons that its cells name by number."""
    names = [method.name for method in METHODS]
    lines = [f"### {group.title}", "", f"| | {' | '.join(f'`{_short(n)}`' for n in names)} |",
             f"| --- |{' --- |' * len(names)}"]  # fmt: skip
    notes: dict[str, int] = {}
    for client in group.clients:
        cells = (_cell(client.name, name, notes) for name in names)
        lines.append(f"| {client.name} | {' | '.join(cells)} |")
    listed = [f"{number}. {note}" for note, number in notes.items()]
    return "\n".join([*lines, "", *listed, *([""] if listed else [])])


def _short(name: str) -> str:
    return name.replace(", ", " ")


def _cell(client: str, method: str, notes: dict[str, int]) -> str:
    cell = stored()[client, method]
    known = failure(client, method)
    note = known.why if known is not None else cell.note
    if not note:
        return _WORDS[cell.kind]
    number = notes.setdefault(_escaped(note), len(notes) + 1)
    return f"{_WORDS[cell.kind]} ({number})"


def _escaped(text: str) -> str:
    """Names of code as code, and no mark of Markdown that is none."""
    names = r"\b(?:\w+\(\)|\w+_\w+|[A-Z][a-z]+[A-Z]\w*(?:\.\w+)*|LAYER)"
    marked = re.sub(rf"`[^`]*`|{names}", lambda found: f"`{found[0].strip('`')}`", text)
    return marked.replace("|", "\\|")
