"""All methods and models: those of this package, and those of other packages' entry points."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.specs import builtin_methods, builtin_models, single_layer, sources
from ondevice_bench.specs.inputs import OwnBatch
from ondevice_bench.specs.method import MethodSpec
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.user_path import require_file, user_path

JOIN = "+"  # between the methods of a composition
OWN_MODEL = "FILE.py[:NAME], module:NAME, torchvision:NAME or transformers:CONFIG.json"

Spec = TypeVar("Spec", MethodSpec, ModelSpec)


@cache
def methods() -> dict[str, MethodSpec]:
    """All methods by name (entry point group `ondevice_bench.methods`)."""
    return _with_entry_points(builtin_methods.METHODS, "ondevice_bench.methods", MethodSpec)


@cache
def models() -> dict[str, ModelSpec]:
    """All models by name (entry point group `ondevice_bench.models`)."""
    return _with_entry_points(builtin_models.MODELS, "ondevice_bench.models", ModelSpec)


_own: dict[str, MethodSpec] = {}
_own_models: dict[str, ModelSpec] = {}


@dataclass(frozen=True)
class OwnCode:
    """The user's methods and models that are known at one moment, by name."""

    methods: Mapping[str, MethodSpec]
    models: Mapping[str, ModelSpec]


def own_code() -> OwnCode:
    """The user's methods and models that are known now."""
    return OwnCode(dict(_own), dict(_own_models))


def use_own_code(code: OwnCode) -> None:
    """Know these of the user's methods and models, and no others."""
    _own.clear()
    _own.update(code.methods)
    _own_models.clear()
    _own_models.update(code.models)


def own_method(text: str, folder: Path) -> MethodSpec:
    """A class in a user's own file, `./mine.py:Mine`, relative to `folder`; ValueError if none.

    The name carries a hash of the code, because other code is another workload.
    """
    path, _, attribute = text.rpartition(":")
    file, digest = _file(path, folder)
    if not attribute.isidentifier():
        raise ValueError(f"must be FILE.py:CLASS, got {text!r}")
    if JOIN in file.name:
        raise ValueError(
            f"{file.name}: {JOIN!r} joins methods, so the name of a method's file cannot have it"
        )
    if not sources.may_have(file, attribute):
        raise ValueError(f"{path}: has no {attribute!r} {_classes(file)}")
    spec = MethodSpec(
        name=f"{file.name}:{attribute}@{digest}",
        title=f"{attribute} of {path}",
        implementation=f"{file}:{attribute}",
        treats=frozenset({"conv2d", "linear"}),
        calibrates=True,
    )
    _own[spec.name] = spec
    return spec


def is_own(name: str) -> bool:
    """Whether this is the name of a class in a file."""
    return ".py:" in name


def own_model(text: str, folder: Path) -> ModelSpec:
    """A network of the user: `FILE.py[:NAME]`, `module:NAME`, `torchvision:NAME`, or a config.

    Its inputs and layers are not in the spec yet. A process that may import the user's code returns
    them, and `describe` adds them. The name carries a hash of the code, as for a method.
    """
    where, _, last = text.rpartition(":") if not text.endswith(".py") else (text, "", "model")
    if where.endswith(".py"):
        file, digest = _file(where, folder)
        name, implementation = f"{file.name}:{last}@{digest}", f"{file}:{last}"
    elif where == "transformers":
        file, digest = _file(last, folder)
        name, implementation = f"transformers:{file.name}@{digest}", f"transformers:{file}"
    else:
        name = implementation = text
    if where == "__main__":
        raise ValueError(in_a_file(text, last))
    parts = [last] if where.endswith(".py") else [*where.split("."), last]
    if where != "transformers" and not all(part.isidentifier() for part in parts):
        raise ValueError(f"must be {OWN_MODEL}, got {text!r}")
    spec = ModelSpec(
        name=name,
        title=f"{last} of {where}",
        implementation=implementation,
        inputs=lambda _: OwnBatch(),
        layer_kinds=frozenset({"conv2d", "linear"}),
        batch=8,
        is_own=True,
    )
    if name not in _own_models or _own_models[name].implementation != implementation:
        _own_models[name] = spec  # an equal file may lie elsewhere now
    return _own_models[name]


def in_a_file(what: str, name: str) -> str:
    """Why code of a notebook or a script cannot be used, and what to do."""
    return (
        f"{what} is defined in a notebook or script, and the measured processes cannot import it: "
        f"put it into a file, such as net.py, and name it './net.py:{name}'"
    )


def is_own_model(name: str) -> bool:
    """Whether this is the name of a user's network."""
    return ":" in name or name.endswith(".py")


def is_single_layer(name: str) -> bool:
    """Whether this is the name of a model of one layer, or a wrong description of one."""
    return single_layer.is_one(name) and not is_own_model(name)


def describe(name: str, **fields: Any) -> None:
    """Complete the spec of a user's network."""
    _own_models[name] = replace(_own_models[name], **fields)


def _classes(file: Path) -> str:
    """The classes of a file as the end of a message."""
    return f"(classes there: {', '.join(sources.classes(file)) or 'none'})"


def _file(path: str, folder: Path) -> tuple[Path, str]:
    """A user's file, and the hash that names carry: of it and what it imports from its folder."""
    file = user_path(path, folder)
    require_file(file, path)
    try:
        return file, sources.digest(file)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None


def method(name: str) -> MethodSpec:
    """The method of that name; BadInput with the nearest one otherwise."""
    if name in _own:
        return _own[name]
    if name not in methods():
        raise BadInput(unknown_method(name))
    return methods()[name]


def unknown_method(name: str, folder: Path = Path()) -> str:
    """The message for a name that no method has. A file needs a class."""
    if not name.endswith(".py"):
        return unknown("method", name, methods())
    file = folder / name
    listing = f" {_classes(file)}" if file.is_file() else ""
    return f"unknown method {name!r}; a class in a file is ./{file.name}:Class{listing}"


def order() -> list[str]:
    """The names of all methods, in the order of compositions."""
    return [*_own, *methods()]


def model(name: str) -> ModelSpec:
    """The model of this name, or a BadInput with the most similar name."""
    if name in _own_models:
        return _own_models[name]
    if is_single_layer(name):
        try:
            return single_layer.spec(name)
        except ValueError as error:
            raise BadInput(str(error)) from None
    if name not in models():
        raise BadInput(unknown("model", name, models()))
    return models()[name]


def _with_entry_points(ours: tuple[Spec, ...], group: str, kind: type[Spec]) -> dict[str, Spec]:
    by_name = {spec.name: spec for spec in ours}
    for point in entry_points(group=group):
        spec = _load(point, kind)
        if spec.name in by_name:
            raise BadInput(f"{_origin(point)}: the name {spec.name!r} exists already")
        by_name[spec.name] = spec
    return by_name


def _load(point: EntryPoint, kind: type[Spec]) -> Spec:
    try:
        spec = point.load()
    except Exception as error:
        raise BadInput(f"{_origin(point)}: cannot be loaded: {error}") from error
    if not isinstance(spec, kind):
        raise BadInput(f"{_origin(point)}: is not a {kind.__name__}")
    return spec


def _origin(point: EntryPoint) -> str:
    package = point.dist.name if point.dist is not None else "a package"
    return f"entry point {point.name} of {package} ({point.value})"
