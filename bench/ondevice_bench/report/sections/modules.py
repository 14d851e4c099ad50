"""What a step keeps for backward, module by module: a map for the cells that matter most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.record.details import SavedByModule
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.report.treemap import Rectangle, treemap

WIDTH, HEIGHT = 1000, 300
MOST = 60  # modules of a map; the others share one part
LETTER_WIDTH, LINE_HEIGHT = 6.4, 16
FEWEST_LETTERS = 4
OUTSIDE = "outside of all modules"
SMALLER, SMALLER_COLOUR, SMALLER_INK = "smaller", "var(--band)", "var(--ink)"  # of no one kind
LIGHT = 0.42  # above this luminance, words are dark


@dataclass(frozen=True)
class Part:
    """One module on the map."""

    place: Rectangle
    name: str
    words: str  # as much of the name as fits; empty if it could mean another module
    size: str
    colour: str
    ink: str


@dataclass(frozen=True)
class Map:
    """The modules of one cell."""

    label: str
    says: str
    parts: tuple[Part, ...]
    kinds: tuple[tuple[str, str], ...]  # each kind that is on the map, with its colour


def content(data: ReportData) -> Mapping[str, Any] | None:
    """The maps of each group."""
    groups = [tuple(map(_map, _cells(group, data))) for group in data.groups]
    if not any(groups):
        return None
    return {"groups": groups, "width": WIDTH, "height": HEIGHT}


def _cells(group: Group, data: ReportData) -> list[CellWithBaseline]:
    """The baselines and the cells of the cards, if their records have modules."""
    chosen: list[CellWithBaseline | None] = []
    for part in group.by_baseline:
        found = verdict(part, data.goal, data.baseline, data.lost_accuracy)
        choices = (found.by_memory, found.by_time, found.by_both, found.by_goal)
        chosen += [choice.member for choice in choices if choice]
    bases = [member for member in group.of_first_seed.members if member.is_baseline]
    members = {member.label: member for member in (*bases, *chosen) if member is not None}
    return [member for member in members.values() if _saved(member)]


def _saved(member: CellWithBaseline) -> dict[str, SavedByModule]:
    saved = member.cell.details_of("trace").saved
    return {name: each for name, each in saved.items() if each.bytes > 0}


def _map(member: CellWithBaseline) -> Map:
    saved = sorted(_saved(member).items(), key=lambda item: -item[1].bytes)
    parts = [(name or OUTSIDE, each.bytes, each.kind) for name, each in saved[:MOST]]
    rest = saved[MOST:]
    if rest:
        words = f"{units.number_of(len(rest), 'smaller module')}"
        parts.append((words, sum(each.bytes for _, each in rest), SMALLER))
        parts.sort(key=lambda part: -part[1])
    total = sum(size for _, size, _ in parts)
    places = treemap([size for _, size, _ in parts], WIDTH, HEIGHT)
    largest = max(saved, key=lambda item: item[1].bytes)
    names = [name for name, _, _ in parts]
    return Map(
        label=member.label,
        says=f"{member.label} keeps {units.mib(total)} for backward. The largest module is "
        f"{largest[0] or OUTSIDE}: {100 * largest[1].bytes / total:.1f} %.",
        parts=tuple(
            _part(place, name, size, kind, total, names)
            for place, (name, size, kind) in zip(places, parts, strict=True)
        ),
        kinds=tuple(_kinds([kind for _, _, kind in parts])),
    )


def _part(
    place: Rectangle, name: str, size: float, kind: str, total: float, names: Sequence[str]
) -> Part:
    letters = int((place.width - 8) / LETTER_WIDTH)
    fits = place.height >= LINE_HEIGHT and letters >= FEWEST_LETTERS
    return Part(
        place=place,
        name=name,
        words=short_name(name, letters, names) if fits else "",
        size=f"{units.mib(size)}, {100 * size / total:.1f} %",
        colour=_colour(kind),
        ink=_ink(kind),
    )


def short_name(name: str, letters: int, names: Sequence[str]) -> str:
    """The name in at most this many letters, if no other of the names could be meant; else nothing.

    `layers.3.attn.query` may become `l.3.a.query`, `l.3.a.q`, or an end of these.
    """
    forms = [
        (form(name), [form(other) for other in names if other != name])
        for form in (str, _initials, _only_initials)
    ]
    for text, others in forms:
        if len(text) <= letters and text not in others:
            return text
    for text, others in forms:
        end = text[-(letters - 1) :].lstrip(".")
        if len(text) > letters and not any(other.endswith(end) for other in others):
            return f"…{end}"
    return ""


def _initials(name: str) -> str:
    """The last word of a name with the numbers and the first letters of the others."""
    *parents, last = name.split(".")
    return ".".join([*map(_initial, parents), last])


def _only_initials(name: str) -> str:
    return ".".join(map(_initial, name.split(".")))


def _initial(word: str) -> str:
    return word if word.isdigit() else word[:1]


def _kinds(kinds: Sequence[str]) -> list[tuple[str, str]]:
    """The kinds that are there, in the order of the metrics."""
    return [
        (metrics.BY_NAME[name].label.removeprefix("of "), metrics.BY_NAME[name].colour)
        for name in metrics.parts_of("activations")
        if _kind(name) in kinds
    ]


def _kind(metric: str) -> str:
    return metric.removeprefix("activation_").removesuffix("_bytes")


def _colour(kind: str) -> str:
    """The colour of a kind, the same as in the bars. A kind of a newer version is like the rest."""
    if kind == SMALLER:
        return SMALLER_COLOUR
    known = metrics.BY_NAME.get(f"activation_{kind}_bytes")
    return (
        known.colour if known and known.colour else metrics.BY_NAME["activation_other_bytes"].colour
    )


def _ink(kind: str) -> str:
    if kind == SMALLER:
        return SMALLER_INK
    return "#111111" if _luminance(_colour(kind)) > LIGHT else "#ffffff"


def _luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return float(0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2)


SECTION = Section(
    name="modules",
    title="Which modules keep the most",
    text="Each part is a module. Its area is its share of the bytes that the cell keeps for "
    "backward. So equal areas on two maps do not mean equal bytes. Bytes count for the module that "
    "saved them first.",
    hint="Click on a part to see its name and its bytes.",
    content=content,
)
