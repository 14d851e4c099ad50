"""What a step keeps for backward, module by module: a map for the cells that matter most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.verdict import verdict
from ondevice_bench.record.details import SavedByModule
from ondevice_bench.report.module_names import in_lines, short_names
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.report.stored_kinds import CHANGED, kind_names
from ondevice_bench.report.treemap import Rectangle, treemap

WIDTH, HEIGHT = 1000, 300
MOST = 60  # modules of a map; the others share one part
LETTER_WIDTH, LINE_HEIGHT, EDGE = 5.8, 12, 4
OUTSIDE = "outside of all modules"
SMALLER, SMALLER_COLOUR, SMALLER_INK = "smaller", "var(--line)", "var(--ink)"  # of no one kind
ALIKE = 5e-4  # shares that differ by less look alike
LIGHT = 0.42  # above this luminance, words are dark


@dataclass(frozen=True)
class Part:
    """One module on the map."""

    place: Rectangle
    name: str
    lines: tuple[str, ...]  # of its short name; empty if it does not fit
    size: str
    colour: str
    ink: str


@dataclass(frozen=True)
class Map:
    """The modules of one cell. Its sentences name the cells whose maps would look the same."""

    label: str
    says: str
    more: str
    parts: tuple[Part, ...]
    kinds: tuple[tuple[str, str], ...]  # each kind that is on the map, with its colour


def content(data: ReportData) -> Mapping[str, Any] | None:
    """The maps of each group."""
    groups = [_maps(_cells(group, data)) for group in data.groups]
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


def _maps(members: Sequence[CellWithBaseline]) -> tuple[Map, ...]:
    """What each cell keeps. A module has the same short name on each map."""
    short = short_names({name for member in members for name in _saved(member)} - {""})
    by_cell = {id(member.cell): member for member in members}
    maps: dict[int, Map] = {}
    for member in sorted(members, key=lambda member: not member.is_baseline):
        base = by_cell.get(id(member.base))
        if base is None or base is member or not _is_alike(member, base):
            maps[id(member)] = _map(member, short)
            continue
        of_base = maps[id(base)]
        alike = f"{_keeps(member)[:-1]}, and each module has the same share."
        maps[id(base)] = replace(of_base, more=f"{of_base.more} {alike}")
    return tuple(maps.values())


def _is_alike(member: CellWithBaseline, base: CellWithBaseline) -> bool:
    """Whether each module has the same kind and about the same share in both cells."""
    one, other = _saved(member), _saved(base)
    if one.keys() != other.keys():
        return False
    total, of_base = _total(one), _total(other)
    return all(
        each.kind == other[name].kind
        and abs(each.bytes / total - other[name].bytes / of_base) < ALIKE
        for name, each in one.items()
    )


def _map(member: CellWithBaseline, short: Mapping[str, str]) -> Map:
    saved = sorted(_saved(member).items(), key=lambda item: -item[1].bytes)
    total = _total(_saved(member))
    (largest, first), rest = saved[0], saved[MOST:]
    parts = [(name or OUTSIDE, each.bytes, each.kind) for name, each in saved[:MOST]]
    shown = {kind for _, _, kind in parts}
    kinds = [
        (words, metrics.BY_NAME[name].colour)
        for name, words in kind_names(beside_changed=_kind(CHANGED) in shown).items()
        if _kind(name) in shown
    ]
    more = f"The largest module is {largest or OUTSIDE}: {_percent(first.bytes, total)}."
    if rest:
        words, size = units.number_of(len(rest), "smaller module"), _total(dict(rest))
        parts.append((words, size, SMALLER))
        kinds.append(("smaller modules", SMALLER_COLOUR))
        more += f" {words} together: {_percent(size, total)}."
    places = treemap([size for _, size, _ in parts], WIDTH, HEIGHT)
    return Map(
        label=member.label,
        says=_keeps(member),
        more=more,
        parts=tuple(
            Part(
                place=place,
                name=name,
                lines=in_lines(
                    short.get(name, name),
                    letters=int((place.width - 2 * EDGE) / LETTER_WIDTH),
                    most=int((place.height - EDGE) / LINE_HEIGHT),
                ),
                size=f"{units.mib(size)}, {_percent(size, total)}",
                colour=_colour(kind),
                ink=_ink(kind),
            )
            for place, (name, size, kind) in zip(places, parts, strict=True)
        ),
        kinds=tuple(kinds),
    )


def _keeps(member: CellWithBaseline) -> str:
    return f"{member.label} keeps {units.mib(_total(_saved(member)))} for backward."


def _total(saved: Mapping[str, SavedByModule]) -> float:
    return sum(each.bytes for each in saved.values())


def _percent(size: float, total: float) -> str:
    return f"{100 * size / total:.1f} %"


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
    text="Each box is a module. Its area is its share of the bytes that the cell keeps for "
    "backward. So equal areas on two maps do not mean equal bytes. Bytes count for the module "
    "that saved them first. The baseline and the methods of the cards above have a map. Short "
    "names leave out words that do not help to tell modules apart.",
    hint="Click on a box to see its whole name and its bytes.",
    content=content,
)
