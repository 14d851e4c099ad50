"""The versions of the user's code in a cell, and the key that leaves them out.

A model or a method in a file has a hash of the file in its name. So an edit of the file makes
another cell. A model of an installed package has its hash in a field of its own (`Cell.code`).
But a version of the code is like a commit: two versions can be compared. The join key leaves out
the hashes of this code, and nothing else. It keeps those of data and weights.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ondevice_bench.specs import code_version, composition, mix
from ondevice_bench.suite.cell import Cell, Options, Value


@dataclass(frozen=True, order=True)
class CodeFile:
    """A file of the user's code, and the hash of its version."""

    file: str
    digest: str


@dataclass(frozen=True, order=True)
class CodeChange:
    """A file that has another version in another run."""

    file: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file} changed ({self.before} → {self.after})"


def code_of(cell: Cell) -> tuple[CodeFile, ...]:
    """The files of the user's code that the cell names: the model's, then those of its methods.

    The code of an installed package has the name of the module.
    """
    methods = map(code_version.split, composition.names(cell.method))
    model, digest = code_version.split(cell.model)
    split = ((model, digest or cell.code), *methods)
    return tuple(CodeFile(code_version.file_of(name), digest) for name, digest in split if digest)


def changes_between(base: Cell, new: Cell) -> tuple[CodeChange, ...]:
    """The files that differ between two cells with the same join key."""
    return changed(code_of(base), code_of(new))


def changed(base: Iterable[CodeFile], new: Iterable[CodeFile]) -> tuple[CodeChange, ...]:
    """The files that differ, each once. Both sides name the same files in the same order."""
    changes = (
        CodeChange(before.file, before.digest, after.digest)
        for before, after in zip(base, new, strict=False)
        if before != after
    )
    return tuple(dict.fromkeys(changes))


def join_key(cell: Cell) -> str:
    """The key by which cells of two runs are joined: the cell's key without versions of code."""
    return _without_versions(cell).key if code_of(cell) else cell.key


def name_without_versions(cell: Cell) -> str:
    """The cell's id without the hashes of code. Ids of joined cells may still differ in labels."""
    name = cell.id
    for each in (cell.model, *composition.names(cell.method)):
        name = name.replace(each, code_version.split(each)[0])
    return name


def _without_versions(cell: Cell) -> Cell:
    return replace(
        cell,
        model=code_version.split(cell.model)[0],
        model_options=tuple(sorted(cell.model_options, key=lambda pair: pair[0])),
        method=_method(cell.method),
        method_options=_options(cell.method, cell.method_options),
        code="",
    )


def _method(method: str) -> str:
    if not mix.is_mix(method):
        return _joined(method.split("+"))
    entries = mix.entries_of(method)
    return mix.name_of(
        replace(entry, methods=tuple(code_version.split(name)[0] for name in entry.methods))
        for entry in entries
    )


def _joined(names: Iterable[str]) -> str:
    return "+".join(code_version.split(name)[0] for name in names)


def _options(method: str, options: Options) -> Options:
    """The options with the names of methods, without the hashes in these names."""
    renamed: dict[str, tuple[str, Value]] = {}
    for prefix, plain in _prefixes(method).items():
        for name, value in options:
            if name.startswith(prefix):
                renamed[name] = (plain + name.removeprefix(prefix), value)
    pairs = (renamed.get(name, (name, value)) for name, value in options)
    return tuple(sorted(pairs, key=lambda pair: pair[0]))


def _prefixes(method: str) -> dict[str, str]:
    """What an option's name begins with, for each method in a file, and that without the hash."""
    heads = (
        [(f"{entry.layers}=", name) for entry in mix.entries_of(method) for name in entry.methods]
        if mix.is_mix(method)
        else [("", name) for name in method.split("+")]
    )
    split = ((head, name, code_version.split(name)) for head, name in heads)
    return {f"{head}{name}.": f"{head}{plain}." for head, name, (plain, digest) in split if digest}
