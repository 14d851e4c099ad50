"""The HTML page: one file that loads no other file."""

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ondevice_bench
from ondevice_bench import strict_json
from ondevice_bench.analyse.again import chooses_cells, command_of
from ondevice_bench.analyse.groups import Group
from ondevice_bench.analyse.history import HistoryQuery
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.declare.folders import builtin, resource
from ondevice_bench.errors import BadInput
from ondevice_bench.files import atomic_write
from ondevice_bench.papers.claims import JudgedClaim
from ondevice_bench.report.chips import chips
from ondevice_bench.report.figure_pool import FigurePool
from ondevice_bench.report.layout import load_layout
from ondevice_bench.report.page_data import Shelf, Tooltips, cells_json, safe_in_script
from ondevice_bench.report.plotly_builder import require_drawable
from ondevice_bench.report.sections import sections
from ondevice_bench.report.sections.section import Plot, ReportData, Section
from ondevice_bench.report.wrapping import unbroken
from ondevice_bench.suite.fit import BoardFits
from ondevice_bench.terminal import UNSAFE, printable
from ondevice_bench.validation.pi import validated_pis

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

LAYOUT = "run"
BOARDS = "boards"  # the section that shows each run as a board of its own
PIECES = 1_000  # of the template, in one piece of the page
SCRIPTS = ("report", "tables", "cells", "maps", "navigation")


@dataclass(frozen=True)
class _Part:
    """A section for its template. `plots` are the ones that have a figure."""

    section: Section
    content: Mapping[str, Any]
    plots: tuple[Plot, ...]


def write_report(
    summaries: Sequence[RunSummary],
    out: Path,
    layout: str = LAYOUT,
    baseline: str | None = None,
    *,
    query: HistoryQuery | None = None,
    claims: Sequence[JudgedClaim] = (),
    fits: BoardFits | None = None,
    templates: Path | None = None,
) -> None:
    """Draw the report into `out`, completely or not at all. It is about the first run."""
    pieces = _pieces(summaries, layout, baseline, query, claims, fits, templates)
    with atomic_write(out) as file:
        file.writelines(piece.encode() for piece in pieces)


def render(
    summaries: Sequence[RunSummary],
    layout: str = LAYOUT,
    baseline: str | None = None,
    *,
    query: HistoryQuery | None = None,
    claims: Sequence[JudgedClaim] = (),
    fits: BoardFits | None = None,
    templates: Path | None = None,
) -> str:
    """The page's text. Templates in the folder `templates` go before ours."""
    return "".join(_pieces(summaries, layout, baseline, query, claims, fits, templates))


def _pieces(
    summaries: Sequence[RunSummary],
    layout: str,
    baseline: str | None,
    query: HistoryQuery | None,
    claims: Sequence[JudgedClaim],
    fits: BoardFits | None,
    templates: Path | None,
) -> Iterator[str]:
    """The page's text. The page can be large, so its template is filled piece by piece."""
    names = load_layout(layout).sections
    data = ReportData.from_summaries(
        tuple(summaries),
        baseline,
        query,
        tuple(claims),
        layout,
        fits,
        validated_pis(),
        compares_boards=BOARDS in names,
    )
    pool = FigurePool()
    figures: dict[str, list[Any]] = {}
    says: dict[str, list[str]] = {}
    parts = []
    known = sections()
    for name in names:
        section = known[name]
        content = section.content(data) if section.content else None
        candidates = (*section.plots, *(section.plots_of(data) if section.plots_of else ()))
        by_plot = {plot: _draw(plot, data.groups, pool) for plot in candidates}
        plots = tuple(plot for plot, by_group in by_plot.items() if any(by_group))
        figures |= {plot.name: by_plot[plot] for plot in plots}
        says |= {plot.name: [_sentence(plot, group) for group in data.groups] for plot in plots}
        if content is not None or plots:
            parts.append(_Part(section, content or {}, plots))
    script = "\n".join(_script(resource(f"theme/{name}.js")) for name in SCRIPTS)
    # a page without figures needs no plotly
    plotly = _script(builtin("reports") / "vendor" / "plotly-cartesian.min.js") if figures else ""
    pieces = _filled(
        templates,
        run=data.summary.run,
        command=command_of(data.summary.run),
        chooses_cells=chooses_cells(data.summary.run),
        version=ondevice_bench.__version__,
        runs=[(one.run.id, data.statuses_of(one)) for one in data.boards],
        boards=data.board_names,
        parts=parts,
        chips=chips(data.boards, data.board_names, [group.title for group in data.groups]),
        says={name: sentences[0] if sentences else "" for name, sentences in says.items()},
        groups=[group.title for group in data.groups],
        theme=resource("theme/theme.css").read_text(encoding="utf-8"),
        policy=_policy(plotly, script),
        script=script,
        plotly=plotly,
        unbroken=unbroken,
        tooltips=Tooltips(),
        shelf=Shelf(),
        cells_json=cells_json,
        figures=safe_in_script(
            f'{{"shapes":[{",".join(pool.shapes)}],"arrays":[{",".join(pool.arrays)}],'
            f'"figures":{_compact(figures)},{_sentences(says)}}}'
        ),
    )
    return _printable(pieces)


def _printable(pieces: Iterator[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        whole, rest = _cut(rest + piece)
        yield printable(whole.replace("\r\n", "\n"))
    yield printable(rest)


def _cut(text: str) -> tuple[str, str]:
    """The text without half a line break at its end, and that half."""
    whole = text.removesuffix("\r")
    return whole, text[len(whole) :]


def _filled(templates: Path | None, **values: Any) -> Iterator[str]:
    """The page's template with its values."""
    if templates is not None and not os.path.isdir(templates):
        raise BadInput(f"{templates}: not a folder of templates")
    environment = own_environment() if templates is None else _environment(templates)
    try:
        stream = environment.get_template("page.html.j2").stream(values)
        stream.enable_buffering(PIECES)
        yield from stream
    except Exception as error:
        if templates is None:
            raise
        # a template can fail in any way
        raise BadInput(f"{templates}: {type(error).__name__}: {error}") from None


@cache
def own_environment() -> "SandboxedEnvironment":
    """Our templates, which a process compiles once for all pages that it draws."""
    return _environment()


def _environment(*before: Path) -> "SandboxedEnvironment":
    """Our templates behind those of other folders. They reach nothing else of this process."""
    from jinja2 import FileSystemLoader, StrictUndefined  # slow to import
    from jinja2.sandbox import SandboxedEnvironment

    class Environment(SandboxedEnvironment):
        """The same rules. They depend on the type of a value, so each type is asked once."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._known: dict[tuple[type, str], bool] = {}

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            key = (type(obj), attr)
            if key not in self._known:
                self._known[key] = super().is_safe_attribute(obj, attr, value)
            return self._known[key]

    return Environment(
        loader=FileSystemLoader([*before, builtin("reports") / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
    )


def _draw(plot: Plot, groups: Sequence[Group], pool: FigurePool) -> list[Any]:
    """The figure of each group. Groups that share a figure share what is packed, too."""
    keys = [
        (id(group.all_batches), group.shown_seed) if plot.is_over_batches else id(group)
        for group in groups
    ]
    drawn_for = dict(zip(keys, groups, strict=True))
    figures = {key: plot.draw(_shown(plot, group)) for key, group in drawn_for.items()}
    first = next((figure for figure in figures.values() if figure is not None), None)
    if first is not None:
        require_drawable(first)
    packed = {key: None if figure is None else pool.pack(figure) for key, figure in figures.items()}
    return [packed[key] for key in keys]


def _sentence(plot: Plot, group: Group) -> str:
    return unbroken(plot.says(_shown(plot, group))) if plot.says else ""


def _shown(plot: Plot, group: Group) -> Group:
    """The cells that the figure shows: seeds repeat each other."""
    return group if plot.is_over_seeds else group.of_first_seed


def _sentences(says: Mapping[str, Sequence[str]]) -> str:
    """The sentences of each figure, one for each group, as members of JSON; each text once."""
    distinct = {text: place for place, text in enumerate(dict.fromkeys(chain(*says.values())))}
    places = {name: [distinct[text] for text in texts] for name, texts in says.items()}
    return f'"sentences":{_compact(list(distinct))},"says":{_compact(places)}'


def _policy(*scripts: str) -> str:
    """What a browser may do for the page: run these scripts, and load nothing from anywhere."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts if script)
    runs = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {runs}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _compact(value: Any) -> str:
    return strict_json.text_of(value, separators=(",", ":"), ensure_ascii=False)


def _script(path: Path) -> str:
    """A script with an escape for each control character in its strings."""
    text = path.read_text(encoding="utf-8")
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
