"""Import the object behind `module:name` or `file.py:name`. Standard library only."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def load_module(where: str) -> ModuleType:
    """A module by its dotted name, or by its file; ValueError if there is none."""
    if not where.endswith(".py"):
        return importlib.import_module(where)
    file = Path(where).resolve()
    spec = importlib.util.spec_from_file_location(f"bench_user_{file.stem}", file)
    if spec is None or spec.loader is None or not file.exists():
        raise ValueError(f"{where}: no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def load(path: str) -> Any:
    """The object of this name."""
    where, _, name = path.rpartition(":")
    module = load_module(where)
    if not hasattr(module, name):
        raise ValueError(f"{where}: has no {name!r}")
    return getattr(module, name)
