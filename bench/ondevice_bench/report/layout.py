"""The sections of a page and their order: `reports/layouts/NAME.yaml`."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from ondevice_bench.declare.check import check
from ondevice_bench.declare.folders import locate
from ondevice_bench.declare.inherit import read_resolved
from ondevice_bench.declare.schema import StrictSchema, Version
from ondevice_bench.declare.shown import JsonSchema, ShownAs, inheriting
from ondevice_bench.errors import unknown
from ondevice_bench.report.sections import sections

KIND = "reports/layouts"


@dataclass(frozen=True)
class PageLayout:
    """A page's title, and its sections in their order."""

    title: str
    sections: tuple[str, ...]


def _shown_sections() -> JsonSchema:
    known = {"enum": sorted(sections())}
    return {"type": "array", "items": known, "minItems": 1, "uniqueItems": True}


class LayoutSchema(StrictSchema):
    """A layout as in its YAML file."""

    schema_version: Version = Field(alias="schema")
    title: Annotated[str, Field(min_length=1)]
    sections: Annotated[
        tuple[str, ...], Field(min_length=1, strict=False), ShownAs(_shown_sections)
    ]
    extends: str | None = None

    @field_validator("sections")
    @classmethod
    def _check_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = sections()
        for name in names:
            if name not in known:
                raise ValueError(unknown("section", name, known))
            if names.count(name) > 1:
                raise ValueError(f"the section {name!r} is given {names.count(name)} times")
        return names

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        return inheriting(found)


def load_layout(name: str) -> PageLayout:
    """The layout of this name, or of the YAML file at this path."""
    document, *_ = read_resolved(KIND, locate(KIND, name))
    file = check(LayoutSchema, document)
    return PageLayout(file.title, file.sections)
