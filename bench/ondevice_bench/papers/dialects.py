"""The ways in which papers count, by name. Their formulas are in `papers.counting`."""

from collections.abc import Mapping
from dataclasses import dataclass

from ondevice_bench.errors import BadInput, unknown


@dataclass(frozen=True)
class Dialect:
    """A way of counting, and the methods that it counts."""

    title: str
    methods: tuple[str, ...]  # empty: every method that replaces layers
    with_head: bool = False  # it counts the linear layer that gives the classes, too


EXACT = "exact"
DIALECTS: Mapping[str, Dialect] = {
    EXACT: Dialect("what this suite stores and executes", ()),
    "gradient_filter": Dialect(
        "gradient filtering's paper: backward of convolutions and of the head",
        ("vanilla", "gradient_filter"),
        with_head=True,
    ),
    "hosvd": Dialect(
        "the rows of HOSVD and SVD; their FLOPs as ASI's paper counts them",
        ("vanilla", "svd", "hosvd"),
    ),
    "asi": Dialect(
        "ASI's paper: convolutions, mostly in multiply-adds",
        ("vanilla", "gradient_filter", "hosvd", "asi"),
    ),
    "wasi": Dialect(
        "WASI's paper: linear layers on inputs of three or four dimensions",
        ("vanilla", "asi", "wsi", "wasi", "lora"),
    ),
}
EARLIER: Mapping[str, str] = {"gf": "asi"}  # earlier names of dialects, and the names now


def check_dialect(name: str, method: str) -> str:
    """The dialect's name now. BadInput if there is none, or it has no rows for the method."""
    name = EARLIER.get(name, name)
    if name not in DIALECTS:
        raise BadInput(f"--dialect: {unknown('dialect', name, DIALECTS)}")
    methods = DIALECTS[name].methods
    if methods and method not in methods:
        others = [other for other, dialect in DIALECTS.items() if method in dialect.methods]
        hint = f"; for {method} use {', '.join(others)}" if others else ""
        raise BadInput(
            f"--dialect {name}: has no formulas for {method}, only for {', '.join(methods)}{hint}"
        )
    return name
