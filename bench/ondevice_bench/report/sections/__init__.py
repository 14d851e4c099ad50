"""The sections that layouts can name. An entry here registers one."""

from ondevice_bench.report.sections import (
    anatomy,
    boards,
    changes,
    claims,
    curve,
    fronts,
    growth,
    layers,
    learning,
    ranks,
    remarks,
    roofline,
    scopes,
    table,
    times,
    trends,
    verdict,
)
from ondevice_bench.report.sections.section import Section

SECTIONS: dict[str, Section] = {
    section.name: section
    for section in (
        claims.SECTION,
        verdict.SECTION,
        boards.SECTION,
        changes.SECTION,
        trends.SECTION,
        anatomy.SECTION,
        scopes.SECTION,
        table.SECTION,
        fronts.SECTION,
        ranks.SECTION,
        times.SECTION,
        roofline.SECTION,
        layers.SECTION,
        curve.SECTION,
        growth.SECTION,
        learning.SECTION,
        remarks.PROBLEMS,
        remarks.NOTES,
        remarks.READING,
        remarks.CONDITIONS,
    )
}
