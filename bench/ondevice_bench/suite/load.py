"""Loads a suite by its name or path. A bad file gives all its errors together."""

import re
from dataclasses import replace
from pathlib import Path

from ondevice_bench.declare.check import check
from ondevice_bench.declare.document import Document, read
from ondevice_bench.declare.folders import locate
from ondevice_bench.declare.inherit import resolved
from ondevice_bench.declare.schema import is_name
from ondevice_bench.errors import BadInput
from ondevice_bench.suite.compose import require_used_defaults, variants, with_defaults
from ondevice_bench.suite.inherited_paths import from_own_folder
from ondevice_bench.suite.mixes import with_places
from ondevice_bench.suite.schema import make_suite_schema
from ondevice_bench.suite.suite import PATTERNS, Suite
from ondevice_bench.suite.without_effect import require_effect

LONGEST_NAME = 100


def load_suite(name: str, folder: Path | None = None) -> Suite:
    """The suite with this name, or in the file of this path."""
    path = locate("suites", name, folder)
    require_name(path.stem, str(path))
    return suite_of(read(path), path.stem, folder)


def require_name(name: str, where: str) -> None:
    """BadInput if a suite cannot have this name. A run's id has its time and its commit, too."""
    if not (re.fullmatch(r"[\w.-]+", name) and is_name(name) and len(name) <= LONGEST_NAME):
        raise BadInput(
            f"{where}: a suite's name becomes part of folders and run ids: "
            "letters, digits, '.', '_' and '-' only, a letter, a digit or '_' first, and at most "
            f"{LONGEST_NAME} characters"
        )


def suite_of(document: Document, name: str, folder: Path | None = None) -> Suite:
    """The suite in a document, with inherited keys and with its variants for boards."""
    whole, *bases = resolved("suites", document, folder)
    by_board = variants(whole)
    require_used_defaults([whole, *by_board.values()])
    suite = _suite(whole, name)
    suites = {board: _suite(variant, name) for board, variant in by_board.items()}
    found = replace(suite, variants=suites, text=_with_bases(whole, bases))
    require_effect(whole, found)
    return found


def _with_bases(document: Document, bases: list[Document]) -> str:
    """The text of the file, then as comments the files that it extends. A report shows both."""
    parts = [document.text]
    for base in bases:
        quoted = "".join(f"#   {line}".rstrip() + "\n" for line in base.text.splitlines())
        parts.append(f"# extends {base.path.name}:\n{quoted}")
    return "\n".join(parts)


def _suite(document: Document, name: str) -> Suite:
    document = with_defaults(from_own_folder(document))
    file = check(make_suite_schema(document.path.parent), document)
    suite = Suite(
        name=name,
        path=document.path,
        text=document.text,
        title=file.title,
        purpose=file.purpose,
        models=tuple(entry.model() for entry in file.models),
        methods=with_places(file.methods, document),
        layers=tuple(word for entry in file.layers for word in entry),
        hardware=file.hardware,
        data=file.data,
        weights=file.weights,
        dtypes=file.dtype,
        train=file.train,
        learning=file.learning,
        seeds=file.seeds,
        rounds=file.rounds.model_dump(),
        measure=file.measure,
        sampling=file.time,
        timeout=file.timeout,
        baseline=file.baseline,
        goal=file.goal,
        include=file.include,
        exclude=file.exclude,
        when=file.when,
        expected=file.expected,
        allocators=file.allocator,
        inherited=tuple(key for key in PATTERNS if document.place((key,)).path != document.path),
        places={
            f"{key}[{number}]": str(document.place((key, number)))
            for key in PATTERNS
            for number in range(len(getattr(file, key)))
        },
    )
    # who says how long to train without pause wants the pass
    return suite if file.sustain is None else suite.sustained(file.sustain)
