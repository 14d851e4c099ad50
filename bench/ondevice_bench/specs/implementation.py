"""Import the object behind `module:name` or `file.py:name`. Standard library only.

A file can import the files beside it. Its folder comes on the path of this process: after the
standard library, before installed packages.
"""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_PREFIX = "bench_user_"  # of the names of modules that are files of the user
_folders: list[str] = []  # of the files that this process has loaded
_STANDARD_LIBRARY = os.path.dirname(os.__file__)


def load_module(where: str) -> ModuleType:
    """A module by its dotted name, or by its file; ValueError if there is none."""
    try:
        return _load_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except SystemExit as end:  # else the process would end without a word
        error = RuntimeError(f"the code ends the process: sys.exit({end.code!r})")
        raise error.with_traceback(end.__traceback__) from None
    except ImportError as error:
        if (help_ := _way_out(where, error)) is None:
            raise
        raise type(error)(f"{error}; {help_}").with_traceback(error.__traceback__) from None


def _load_file(where: Path) -> ModuleType:
    file = where.resolve()
    spec = importlib.util.spec_from_file_location(f"{_PREFIX}{file.stem}", file)
    if spec is None or spec.loader is None or not file.exists():
        raise ValueError(f"{where}: no such file")
    _add_folder(str(file.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _way_out(where: str, error: ImportError) -> str | None:
    """What makes this import work, if it lacks the package of the file or of the name."""
    if not where.endswith(".py"):
        package = where.partition(".")[0]
        if error.name != package:
            return None
        return f"install it, or set PYTHONPATH to the folder that holds {package!r}"
    if "no known parent package" not in str(error):
        return None
    file = Path(where).resolve()
    folder, names = file.parent, [file.stem]
    while not names[1:] or (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    return f"name it {'.'.join(names)}, and install its package or set PYTHONPATH={folder}"


def load(path: str) -> Any:
    """The object of this name."""
    where, _, name = path.rpartition(":")
    module = load_module(where)
    if not hasattr(module, name):
        raise ValueError(f"{where}: has no {name!r}")
    return getattr(module, name)


def in_one_line(error: BaseException) -> str:
    """The kind of error, the first line of its text, and the last line of a user's file."""
    first = (str(error).strip().splitlines() or [""])[0]
    text = f"{type(error).__name__}: {first}".rstrip(": ")
    if isinstance(error, SystemExit):
        text = f"the code ends the process: sys.exit({error.code!r})"
    if isinstance(error, SyntaxError):  # its text names the line
        return text
    own = {
        getattr(module, "__file__", None)
        for name, module in sys.modules.items()
        if name.startswith(_PREFIX)
    }
    passed = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in own]
    if not passed:
        return text
    return f"{text} (line {passed[-1].lineno} of {Path(passed[-1].filename).name})"


def _add_folder(folder: str) -> None:
    if folder in _folders:
        return
    if not _folders:
        sys.meta_path.insert(0, _OneFolderOnly())
    for name in [name for name in sys.modules if _is_beside(name) and _find(name, [folder])]:
        _forget(name)  # the next import asks `_OneFolderOnly`
    _folders.append(folder)
    if folder not in sys.path:
        sys.path.insert(_first_after_standard_library(), folder)


def _first_after_standard_library() -> int:
    library = {_STANDARD_LIBRARY, os.path.join(_STANDARD_LIBRARY, "lib-dynload")}
    return max((n for n, place in enumerate(sys.path, 1) if place in library), default=0)


class _OneFolderOnly(MetaPathFinder):
    """Refuses a name that two of the folders have: a file would import the other one's module."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if path is not None or len(_folders) < 2 or name in sys.stdlib_module_names:
            return
        having = [folder for folder in _folders if _find(name, [folder])]
        found = _find(name, sys.path)
        if len(having) > 1 and found is not None and _folder_of(found) in having:
            raise ImportError(
                f"{name!r} is in {' and in '.join(having)}: one process loads files of both "
                "folders, so rename one",
                name=name,
            )


def _find(name: str, path: Sequence[str]) -> ModuleSpec | None:
    return PathFinder.find_spec(name, path)


def _folder_of(spec: ModuleSpec) -> str:
    """The folder in which a module or a package lies."""
    places = spec.submodule_search_locations
    return os.path.dirname(next(iter(places)) if places else spec.origin or "")


def _is_beside(name: str) -> bool:
    """Whether this is a module, not of a package, that lies beside one of the files."""
    spec = getattr(sys.modules[name], "__spec__", None)
    return "." not in name and spec is not None and _folder_of(spec) in _folders


def _forget(name: str) -> None:
    for other in [other for other in sys.modules if f"{other}.".startswith(f"{name}.")]:
        del sys.modules[other]
