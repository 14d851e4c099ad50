"""Schemas for external values. They convert no types and reject unknown fields."""

from collections.abc import Collection
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, Literal, TypeAlias, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic import Field as SchemaField
from pydantic_core import CoreSchema

from ondevice_bench.declare.shown import JsonSchema


def _no_bool(value: object) -> object:
    if isinstance(value, bool):  # equal to 1 in Python
        raise ValueError(f"must be 1, got {str(value).lower()}")
    return value


# `schema` of a file
Version: TypeAlias = Annotated[Literal[1], BeforeValidator(_no_bool)]
# a text that becomes part of a path; a limit within a pattern would take long to compile
Name: TypeAlias = Annotated[str, SchemaField(pattern=r"^\w[\w.+-]*$", max_length=200)]
_NAME = TypeAdapter(Name)


def is_name(text: str) -> bool:
    """Whether a text can be a `Name`."""
    try:
        _NAME.validate_python(text)
    except ValidationError:
        return False
    return True


class StrictSchema(BaseModel):
    """A schema that rejects unknown fields and converts no types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        """The JSON Schema for editors, from the one that pydantic found."""
        return found

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        reference = handler(core)
        resolved = handler.resolve_ref_schema(reference)
        shown = dict(cls._shown(resolved))
        resolved.clear()  # in place, because other schemas refer to it
        resolved.update(shown)
        return reference


def schema_of(
    record: type[Any],
    base: type[BaseModel] = StrictSchema,
    *,
    without: Collection[str] = (),
    **annotations: Any,
) -> type[BaseModel]:
    """A schema with the fields and the defaults of a frozen record, `without` some of them.

    `annotations` replace the types of some fields, by name, to accept fewer values.
    """
    types = {**get_type_hints(record), **annotations}
    members: dict[str, Any] = {
        member.name: (types[member.name], _default(member))
        for member in fields(record)
        if member.name not in without
    }
    return create_model(record.__name__, __base__=base, **members)


def read_as(record: type[Any], **annotations: Any) -> Any:
    """The type of a schema's field that reads a mapping into a frozen record."""
    schema = schema_of(record, **annotations)

    def build(values: BaseModel) -> Any:
        return record(**{member.name: getattr(values, member.name) for member in fields(record)})

    return Annotated[schema, AfterValidator(build)]


def _default(member: "Field[Any]") -> Any:
    if member.default_factory is not MISSING:
        return SchemaField(default_factory=member.default_factory)
    return ... if member.default is MISSING else member.default
