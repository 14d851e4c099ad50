"""The JSON Schema of a kind of declaration: the schema of pydantic, tidied for editors."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from ondevice_bench.declare.shown import LIKE_KEY, JsonSchema
from ondevice_bench.editors.kinds import BY_NAME, Kind
from ondevice_bench.editors.words import COMMON, WORDS
from ondevice_bench.errors import BadInput, unknown

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text(name: str) -> str:
    """The JSON Schema of the kind with this name, as the text of a file."""
    if name not in BY_NAME:
        raise BadInput(unknown("kind of file", name, BY_NAME))
    return json.dumps(json_schema(BY_NAME[name]), indent=1, ensure_ascii=False) + "\n"


def json_schema(kind: Kind) -> JsonSchema:
    """The JSON Schema of a kind of declaration."""
    schema = kind.schema().model_json_schema(schema_generator=_Generator)
    for node in _nodes(schema):
        _tidy(node)
    return {
        "$schema": DIALECT,
        "$comment": f"made by `bench schema {kind.name}`",
        **schema,
        "title": f"bench: {kind.title}",
    }


class _Generator(GenerateJsonSchema):
    """Adds a description to each key, and leaves out titles that repeat names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> JsonSchema:
        """Leave out defaults that nobody writes into a file: null, empty text, lists, mappings."""
        shown = super().default_schema(schema)
        if shown.get("default") in (None, "") or isinstance(shown["default"], list | dict):
            shown = {key: each for key, each in shown.items() if key != "default"}
        return shown

    def model_schema(self, schema: Any) -> JsonSchema:
        shown = super().model_schema(schema)
        shown.pop("title", None)
        words = WORDS.get(schema["cls"].__name__, {})
        for name, field in shown.get("properties", {}).items():
            if name in words or (name in COMMON and "description" not in field):
                field["description"] = words.get(name) or COMMON[name]
        return shown


def _nodes(value: Any) -> Iterator[JsonSchema]:
    """Every mapping below the value, and the value itself."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _nodes(each)


def _tidy(node: JsonSchema) -> None:
    """Complete a node with what pydantic cannot express."""
    if LIKE_KEY in node:
        node["$ref"] = f"#/properties/{node.pop(LIKE_KEY)}"
    if node.get("type") == "array" and "minLength" in node:
        node["minItems"] = node.pop("minLength")
