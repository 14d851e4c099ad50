"""Writes a file to start from, under a name that the user gives. It never overwrites a file."""

import os
import re
import sys
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path

from ondevice_bench.declare.document import parse
from ondevice_bench.editors.json_schema import schema_text
from ondevice_bench.errors import BadInput, suggestion
from ondevice_bench.files import atomic_write
from ondevice_bench.starters.module_names import names_of_module
from ondevice_bench.suite.load import suite_of

SUITES = Path("suites")
SCHEMA = SUITES / "suite.schema.json"  # the template names it
MODEL = "mcunet"
OWN_MODEL = "# - ../mynet.py:net"  # an example in the template
TAKEN = sys.stdlib_module_names | {"torch", "numpy", "ondevice_bench"}


def write_suite(name: str, model: str | None = None) -> Path:
    """Write `suites/NAME.yaml`, perhaps with a user's model, and the schema for editors."""
    name = name.removesuffix(".yaml")
    if re.fullmatch(r"\w[\w.-]*", name) is None:
        raise BadInput(
            f"{name!r} cannot be the name of a suite: letters, digits, '.', '_' and '-' only"
        )
    path = SUITES / f"{name}.yaml"
    if model is not None and not model.strip():
        raise BadInput("--model: the name of the model is empty")
    _require_name(model or "")
    text = _template("suite.yaml.txt")
    if model is not None:  # it is there: no example of one is needed
        text = "".join(line for line in text.splitlines(True) if OWN_MODEL not in line)
    text = text.replace("MODEL", _from_suites(model or MODEL)).replace(" NAME ", f" {name} ")
    _require_new(path)
    try:
        suite_of(parse(path, text), name)  # the model may be none
    except BadInput as error:  # the file is not there, so nobody can look at its lines
        place = rf"^{re.escape(str(path))}(:\d+)?: (models\[0\]: )?"
        lines = (re.sub(place, lambda _: f"--model {model}: ", line) for line in error.lines)
        raise BadInput(*lines) from None
    with atomic_write(path) as file:  # appears last: if it is there, a second call is refused
        file.write(text.encode())
        if not SCHEMA.exists():
            _write(SCHEMA, schema_text("suite"))
    return path


def write_method(name: str) -> tuple[Path, str]:
    """Write `NAME.py` with a class of that name. The path and the name of the class."""
    name = name.removesuffix(".py")
    if not name.isidentifier() or not name.isascii():
        raise BadInput(
            f"{name!r} cannot be the name of a method: letters, digits and '_' only, no digit first"
        )
    if iskeyword(name) or name in TAKEN:
        what = "a word of Python" if iskeyword(name) else "a module that other files import"
        raise BadInput(f"{name!r} cannot be the name of a method: it is {what}")
    kind = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    if not kind.isidentifier() or iskeyword(kind):
        raise BadInput(
            f"{name!r} cannot be the name of a method: no class can have the name {kind!r}"
        )
    text = re.sub(
        "[Ss]tarter",
        lambda found: kind if found[0] == "Starter" else name,
        _template("method.py.txt"),
    )
    path = Path(f"{name}.py")
    _require_new(path)
    return _write(path, text), kind


def _require_name(model: str) -> None:
    """BadInput for `FILE.py:NAME` if the file has no such name. No code of the file is run."""
    path, colon, name = model.rpartition(":")
    file = Path(os.path.expanduser(path))
    if not (colon and path.endswith(".py") and file.is_file()):
        return
    names = names_of_module(file)
    if names is not None and name not in names:
        raise BadInput(f"--model: {path} has no {name!r}{suggestion(name, names)}")


def _require_new(path: Path) -> None:
    if path.exists():
        raise BadInput(f"{path}: exists already; give another name")


def _write(path: Path, text: str) -> Path:
    with atomic_write(path) as file:
        file.write(text.encode())
    return path


def _template(name: str) -> str:
    return (files("ondevice_bench.starters") / name).read_text(encoding="utf-8")


def _from_suites(model: str) -> str:
    """The model as a file in `suites/` names it: paths there begin at that folder."""
    kind, colon, path = model.partition(":")
    if kind == "transformers" and colon:
        return f"{kind}:{_below_suites(path)}"
    path, colon, name = model.rpartition(":") if not model.endswith(".py") else (model, "", "")
    if not path.endswith(".py"):
        return model
    return f"{_below_suites(path)}{colon}{name}"


def _below_suites(path: str) -> str:
    return os.path.relpath(os.path.expanduser(path), SUITES)
