from dataclasses import dataclass, field
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from ondevice_bench.declare.schema import StrictSchema, read_as, schema_of


@dataclass(frozen=True)
class Box:
    width: int
    label: str = "plain"
    parts: tuple[str, ...] = field(default_factory=tuple)


class File(StrictSchema):
    box: read_as(Box, width=Annotated[int, Field(ge=1, alias="w")])


def test_a_schema_has_the_fields_and_the_defaults_of_its_record():
    read = schema_of(Box).model_validate({"width": 2})
    assert (read.width, read.label, read.parts) == (2, "plain", ())
    with pytest.raises(ValidationError, match="width"):
        schema_of(Box).model_validate({})


@pytest.mark.parametrize("values", [{"width": "2"}, {"width": 2, "height": 1}, {"width": 2.5}])
def test_it_coerces_nothing_and_rejects_unknown_fields(values):
    with pytest.raises(ValidationError):
        schema_of(Box).model_validate(values)


def test_a_field_reads_a_mapping_into_the_record_by_its_narrowed_types():
    assert File.model_validate({"box": {"w": 1, "label": "x"}}).box == Box(1, "x")
    for values in ({"w": 0}, {"width": 1}):
        with pytest.raises(ValidationError):
            File.model_validate({"box": values})
