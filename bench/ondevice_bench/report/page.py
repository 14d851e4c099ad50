"""The HTML page: one file, nothing loaded from elsewhere."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ondevice_bench
from ondevice_bench.analyse.groups import Group
from ondevice_bench.analyse.history import Asked
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.declare.folders import resource
from ondevice_bench.files import written_whole
from ondevice_bench.papers.claims import Judged
from ondevice_bench.report.layout import load_layout
from ondevice_bench.report.plotly_builder import Pool, require_drawable
from ondevice_bench.report.sections import SECTIONS
from ondevice_bench.report.sections.section import Plot, Section, Shown

LAYOUT = "run"


@dataclass(frozen=True)
class _Part:
    """A section as its template takes it; `plots` are those that have a figure."""

    section: Section
    content: Mapping[str, Any]
    plots: tuple[Plot, ...]


class _Meanings:
    """What numbers are, each text once: the page's script gives it to those that share it."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Where the text is to be found."""
        return self._places.setdefault(text, len(self._places))

    def to_json(self) -> str:
        """All that were asked for until now."""
        return _safe_in_script(json.dumps(list(self._places)))


def write_report(
    summaries: Sequence[RunSummary],
    out: Path,
    layout: str = LAYOUT,
    baseline: str | None = None,
    *,
    asked: Asked | None = None,
    claims: Sequence[Judged] = (),
) -> None:
    """Draw the report of runs into `out`, whole or not at all; the first is what it is about."""
    page = render(summaries, layout, baseline, asked=asked, claims=claims)
    with written_whole(out) as file:
        file.write(page.encode())


def render(
    summaries: Sequence[RunSummary],
    layout: str = LAYOUT,
    baseline: str | None = None,
    *,
    asked: Asked | None = None,
    claims: Sequence[Judged] = (),
) -> str:
    """The page's text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    shown = Shown.of(tuple(summaries), baseline, asked, tuple(claims), layout)
    pool = Pool()
    figures: dict[str, list[Any]] = {}
    parts = []
    for name in load_layout(layout).sections:
        section = SECTIONS[name]
        content = section.content(shown) if section.content else None
        every = (*section.plots, *(section.plots_of(shown) if section.plots_of else ()))
        drawn = {plot: _drawn(plot, shown.groups, pool) for plot in every}
        plots = tuple(plot for plot, found in drawn.items() if any(found))
        figures |= {plot.name: drawn[plot] for plot in plots}
        if content is not None or plots:
            parts.append(_Part(section, content or {}, plots))
    template = resource("templates/page.html.j2")
    environment = Environment(
        loader=FileSystemLoader(template.parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(template.name).render(
        run=shown.summary.run,
        version=ondevice_bench.__version__,
        statuses=shown.summary.statuses,
        parts=parts,
        groups=[group.title for group in shown.groups],
        theme=resource("theme/theme.css").read_text(encoding="utf-8"),
        script=resource("theme/report.js").read_text(encoding="utf-8"),
        # without any figure there is no need of what draws them
        plotly=resource("vendor/plotly-cartesian.min.js").read_text(encoding="utf-8")
        if figures
        else "",
        meanings=_Meanings(),
        data=_safe_in_script(
            f'{{"arrays": [{",".join(pool.arrays)}], "figures": {json.dumps(figures)}}}'
        ),
    )


def _drawn(plot: Plot, groups: Sequence[Group], pool: Pool) -> list[Any]:
    figures = [plot.draw(group) for group in groups]
    first = next((figure for figure in figures if figure is not None), None)
    if first is not None:
        require_drawable(first)
    return [None if figure is None else pool.packed(figure) for figure in figures]


def _safe_in_script(json_text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return json_text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
