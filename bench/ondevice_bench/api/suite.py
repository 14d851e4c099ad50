"""A suite as a Python object: the keys of a suite file as arguments."""

from collections.abc import Mapping
from inspect import Parameter, Signature
from pathlib import PurePath
from typing import Any

from ondevice_bench.errors import BadInput, not_allowed
from ondevice_bench.notebook import html_table
from ondevice_bench.specs.registry import in_a_file
from ondevice_bench.suite import suite as engine
from ondevice_bench.suite.from_keys import name_of, suite_of_keys, text_of
from ondevice_bench.suite.load import require_name
from ondevice_bench.suite.schema import SuiteSchema

SOURCE = "Suite"
_KEYS = tuple(field.alias or name for name, field in SuiteSchema.model_fields.items())
_FILLED_IN = ("schema", "title")  # a file must have these keys; here they get a value


class Suite:
    """A suite as a Python object. Its arguments are the keys of a suite file.

    `name` is the folder of the results below `bench-out/`; by default it comes from the models.
    Names and values are checked at once, by the rules of a file. Paths are relative to the working
    directory. `text` is the same suite as the text of a file.
    """

    __signature__ = Signature(
        [
            Parameter("name", Parameter.KEYWORD_ONLY, default=None),
            *(
                Parameter(key, Parameter.KEYWORD_ONLY, default=None)
                for key in _KEYS
                if key not in _FILLED_IN
            ),
            Parameter("title", Parameter.KEYWORD_ONLY, default=None),
        ]
    )

    def __init__(self, *, name: str | None = None, **keys: Any) -> None:
        for key in keys:
            if key not in _KEYS:
                raise BadInput(f"{SOURCE}: {not_allowed('key', key, ('name', *_KEYS))}")
        given = {key: _plain(key, value) for key, value in keys.items() if value is not None}
        models = _names(given.get("models"))
        self.name = name or name_of(models or [f"{given.get('extends', 'suite')} variant"])
        require_name(self.name, SOURCE)
        title = ", ".join(filter(None, [", ".join(_names(given.get("methods"))), *models]))
        self._keys = {"schema": 1, "title": title or self.name, **given}
        self.text = text_of(self._keys)
        self.load()

    def load(self) -> engine.Suite:
        """The suite as it is now: files of models and methods may have changed since."""
        return suite_of_keys(SOURCE, self._keys, self.name)

    def __repr__(self) -> str:
        keys = [f"{key}={value!r}" for key, value in self._keys.items() if key != "schema"]
        return f"Suite({', '.join([f'name={self.name!r}', *keys])})"

    def _repr_html_(self) -> str:
        return html_table(f"suite {self.name}", ("key", "value"), self._keys.items())


def _names(entries: Any) -> list[str]:
    """The names of models or methods in their entries."""
    listed = entries if isinstance(entries, list) else [entries]
    return [
        next(iter(each), "") if isinstance(each, dict) else each
        for each in listed
        if isinstance(each, str | dict)
    ]


def _plain(where: str, value: Any) -> Any:
    """The value as YAML has it; BadInput for a value that no file can have."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case PurePath():
            return str(value)
        case Mapping():
            return {_key(where, key): _plain(f"{where}.{key}", each) for key, each in value.items()}
        case list() | tuple() | set() | range():
            listed = _in_order(where, value) if isinstance(value, set) else value
            return [_plain(f"{where}[{place}]", each) for place, each in enumerate(listed)]
    if hasattr(value, "tolist"):  # a number or an array of numpy
        return _plain(where, value.tolist())
    raise BadInput(f"{SOURCE}: {where}: {_why_not(value)}")


def _in_order(where: str, values: set[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        raise BadInput(f"{SOURCE}: {where}: these values have no order: give a list") from None


def _key(where: str, key: object) -> str:
    if not isinstance(key, str):
        raise BadInput(f"{SOURCE}: {where}: key {key!r} must be text")
    return key


def _why_not(value: object) -> str:
    """Why a suite cannot have this value, and what to write in its place."""
    kind = value if callable(value) and hasattr(value, "__qualname__") else type(value)
    name, module = getattr(kind, "__qualname__", "?"), getattr(kind, "__module__", "")
    if module == "__main__":
        return in_a_file(name, name)
    if kind is value or hasattr(value, "forward"):
        return f"name {name} by its file, such as './net.py:{name}', not by the object"
    return f"must be text, a number, a list or a mapping, got a {type(value).__name__}"
