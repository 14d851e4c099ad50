"""What JSON Schema says of values that functions read, where pydantic cannot know it.

Editors learn from it what a file may have. The functions decide.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from ondevice_bench.units import DURATION, SIZE

JsonSchema: TypeAlias = dict[str, Any]

# a value like that of a key of the whole file; pydantic would look for a `$ref` among its own
LIKE_KEY = "like key"
MORE_THAN_ZERO = r"(?=[\s\S]*[1-9])"  # before the pattern of a number


@dataclass(frozen=True)
class ShownAs:
    """An annotation: the JSON Schema of a value. It is asked for only when somebody wants it."""

    schema: Callable[[], JsonSchema]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return self.schema()


@dataclass(frozen=True)
class ShownBeside:
    """An annotation: what JSON Schema says of a value beside what pydantic knows."""

    schema: Callable[[], JsonSchema]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return {**handler(core), **self.schema()}


@dataclass(frozen=True)
class ShownAsOneOf:
    """An annotation: another form of a value, which a function turns into the usual one."""

    schema: Callable[[], JsonSchema]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return any_of(self.schema(), handler(core))


@dataclass(frozen=True)
class OneOrList:
    """An annotation of a tuple: a scalar in the file is a list of one."""

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
    """A validator that reads the value of a file, and what JSON Schema says of this value."""
    return BeforeValidator(function, json_schema_input_type=Annotated[Any, ShownAs(shown)])


def text(pattern: str) -> JsonSchema:
    """A text that matches the pattern as a whole. In Python, `$` also matches before a new line."""
    return {"type": "string", "pattern": rf"^(?:{pattern})$(?!\n)"}


def any_of(*choices: JsonSchema) -> JsonSchema:
    """One of the choices. Those without a description are joined where that is possible."""
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


def one_or_list(item: JsonSchema, least: int = 1) -> JsonSchema:
    """One value, or a list of values."""
    return any_of(item, {"type": "array", "items": item, "minItems": least})


def time_text() -> JsonSchema:
    """Seconds as a number, or `90s`, `10m`, `2h`."""
    return any_of({"type": "number", "exclusiveMinimum": 0}, text(MORE_THAN_ZERO + DURATION))


def size() -> JsonSchema:
    """`512M`, `2G`."""
    return text(SIZE)


def inheriting(shown: JsonSchema, otherwise: JsonSchema | None = None) -> JsonSchema:
    """The schema of a file that may extend another one: then it may lack the required keys.

    `otherwise` is what holds for a file that extends none, too.
    """
    alone = {"required": shown["required"], **(otherwise or {})}
    kept = {key: value for key, value in shown.items() if key != "required"}
    return {**kept, "if": {"not": {"required": ["extends"]}}, "then": alone}
