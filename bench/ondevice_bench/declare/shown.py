"""The JSON Schema of values that functions read: pydantic cannot know it.

The schema helps editors. The functions decide what is valid.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from ondevice_bench.units import DURATION, SIZE

JsonSchema: TypeAlias = dict[str, Any]

# the value has the schema of a key of the whole file. It is no `$ref`, because pydantic looks those
# up among its own
LIKE_KEY = "like key"
MORE_THAN_ZERO = r"(?=[\s\S]*[1-9])"  # before the pattern of a number


@dataclass(frozen=True)
class ShownAs:
    """An annotation: the JSON Schema of a value. It is made only if it is needed."""

    schema: Callable[[], JsonSchema]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return self.schema()


@dataclass(frozen=True)
class ShownBeside:
    """An annotation: JSON Schema that is added to the schema of pydantic."""

    schema: Callable[[], JsonSchema]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return {**handler(core), **self.schema()}


@dataclass(frozen=True)
class ShownAsOneOf:
    """An annotation: another form of a value. A function turns it into the usual form."""

    schema: Callable[[], JsonSchema]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return any_of(self.schema(), handler(core))


@dataclass(frozen=True)
class OneOrList:
    """An annotation of a tuple: the file may have one value in place of a list."""

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_before_validator_function(self.function, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return any_of(handler(core)["items"], handler(core))


def reads(function: Callable[[Any], Any], shown: Callable[[], JsonSchema]) -> BeforeValidator:
    """A validator that reads the value of a file, together with the JSON Schema of the value."""
    return BeforeValidator(function, json_schema_input_type=Annotated[Any, ShownAs(shown)])


def text(pattern: str) -> JsonSchema:
    """A text that matches the whole pattern. In Python, `$` also matches before a final newline."""
    return {"type": "string", "pattern": rf"^(?:{pattern})$(?!\n)"}


def any_of(*choices: JsonSchema) -> JsonSchema:
    """One of the choices. Choices without a description are joined if possible."""
    plain = [each for each in choices if set(each) == {"const"}]
    others = [each for each in choices if set(each) != {"const"}]
    if len(plain) > 1:
        plain = [{"enum": [each["const"] for each in plain]}]
    joined = [*plain, *others]
    return joined[0] if len(joined) == 1 else {"anyOf": joined}


def names(known: Mapping[str, str] | Iterable[object]) -> JsonSchema:
    """One of these names, perhaps with a description of each."""
    if not isinstance(known, Mapping):
        return {"enum": list(known)}
    return any_of(*(described({"const": name}, words) for name, words in known.items()))


def described(shown: JsonSchema, words: str) -> JsonSchema:
    """The same with a description, if there is one."""
    return {**shown, "description": words} if words else shown


def one_or_list(item: JsonSchema) -> JsonSchema:
    """One value, or a list of values."""
    return any_of(item, {"type": "array", "items": item, "minItems": 1})


def time_text() -> JsonSchema:
    """Seconds as a number, or `90s`, `10m`, `2h`."""
    return any_of({"type": "number", "exclusiveMinimum": 0}, text(MORE_THAN_ZERO + DURATION))


def size() -> JsonSchema:
    """`512M`, `2G`."""
    return text(SIZE)


def inheriting(shown: JsonSchema, otherwise: JsonSchema | None = None) -> JsonSchema:
    """The schema of a file that may extend another file. Then required keys may be missing.

    `otherwise` is an additional schema for a file that extends no other file.
    """
    alone = {"required": shown["required"], **(otherwise or {})}
    kept = {key: value for key, value in shown.items() if key != "required"}
    return {**kept, "if": {"not": {"required": ["extends"]}}, "then": alone}
