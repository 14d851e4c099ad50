"""Checks of declarations against their schema. It reports all errors, each with its line."""

from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ondevice_bench.declare.document import Document, KeyPath
from ondevice_bench.errors import BadInput, not_allowed

Schema = TypeVar("Schema", bound=BaseModel)
_KEY_ITSELF = "[key]"  # pydantic's last step to a key of a mapping


def check(schema: type[Schema], document: Document) -> Schema:
    """The document as an instance of its schema, or a BadInput with a line for each error."""
    try:
        return schema.model_validate(document.values)
    except ValidationError as error:
        problems = [_Problem(document, schema, details) for details in error.errors()]
    problems.sort(key=lambda problem: problem.at)
    raise BadInput(*dict.fromkeys(problem.text for problem in problems)) from None


class _Problem:
    """One of pydantic's errors, in the words of the file."""

    def __init__(self, document: Document, schema: type[BaseModel], details: ErrorDetails) -> None:
        written = _written(document, details["loc"])
        self.at = document.place(written)
        sentence = _sentence(schema, details)
        unknown_key = details["type"] == "extra_forbidden"
        place = _place(document, written[:-1] if unknown_key else written)
        where = f"{place}: " if place else ""
        self.text = f"{self.at}: {where}{sentence}"


def _written(document: Document, location: KeyPath) -> KeyPath:
    """`location` without the steps that only the schema has."""
    path: KeyPath = ()
    for position, step in enumerate(location):
        if step == _KEY_ITSELF:
            return path
        try:
            document.at((*path, step))
        except KeyError:
            if position == len(location) - 1 and isinstance(step, str):
                return (*path, step)  # a key that is missing
            continue
        path = (*path, step)
    return path


def _place(document: Document, location: KeyPath) -> str:
    """`methods[2].epsilon`: the name of a listed entry is its value, not a step."""
    text = ""
    for position, step in enumerate(location):
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        inside_list = position > 0 and isinstance(location[position - 1], int)
        if inside_list and _is_only_key(document, location[:position], step):
            continue
        text += f".{step}" if text else step
    return text


def _is_only_key(document: Document, location: KeyPath, key: str) -> bool:
    try:
        value = document.at(location)
    except KeyError:
        return False
    return isinstance(value, dict) and list(value) == [key]


def _sentence(schema: type[BaseModel], details: ErrorDetails) -> str:
    if details["type"] == "extra_forbidden":
        return _unknown_key(schema, details)
    got = _shown(details["input"])
    if details["type"] in _SENTENCES:
        return _SENTENCES[details["type"]].format(**details.get("ctx", {}), got=got)
    return f"{details['msg'][:1].lower()}{details['msg'][1:]}, got {got}"


def _unknown_key(schema: type[BaseModel], details: ErrorDetails) -> str:
    key = str(details["loc"][-1])
    owner = _schema_at(schema, details["loc"][:-1])
    allowed = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
    return not_allowed(getattr(owner, "key_kind", "key"), key, allowed)


def _schema_at(schema: type[BaseModel], location: KeyPath) -> type[BaseModel] | None:
    """The schema that reads the mapping at `location`."""
    current: type[BaseModel] | None = schema
    is_mapping = False
    for step in location:
        if isinstance(step, int) or current is None:
            continue
        fields = {field.alias or name: field for name, field in current.model_fields.items()}
        if step in fields:
            annotation = fields[step].annotation
            current, is_mapping = _model_in(annotation), get_origin(annotation) is dict
        elif not is_mapping:  # a key of a mapping has the schema of all its values
            current = None
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first schema inside `tuple[X, ...]`, `X | None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_SENTENCES = {
    "missing": "is required",
    "value_error": "{error}",
    "string_type": "must be text, got {got}",
    "bool_type": "must be true or false, got {got}",
    "int_type": "must be an integer, got {got}",
    "float_type": "must be a number, got {got}",
    "tuple_type": "must be a list, got {got}",
    "model_type": "must be a mapping, got {got}",
    "dict_type": "must be a mapping, got {got}",
    "literal_error": "must be {expected}, got {got}",
    "greater_than": "must be greater than {gt:.10g}, got {got}",
    "greater_than_equal": "must be at least {ge:.10g}, got {got}",
    "less_than": "must be less than {lt:.10g}, got {got}",
    "less_than_equal": "must be at most {le:.10g}, got {got}",
    "finite_number": "must be a finite number, got {got}",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}
