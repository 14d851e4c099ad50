"""The ways of counting that papers have, by name; `methods.dialects` holds their formulas."""

from collections.abc import Mapping
from dataclasses import dataclass

from ondevice_bench.errors import BadInput, unknown


@dataclass(frozen=True)
class Dialect:
    """What a way of counting is, and the methods that it has rows for."""

    title: str
    methods: tuple[str, ...]  # none: every method that replaces layers


EXACT = "exact"
DIALECTS: Mapping[str, Dialect] = {
    EXACT: Dialect("what this suite stores and executes", ()),
    "gf": Dialect(
        "gradient filtering's rows; its FLOPs as ASI's paper counts them",
        ("vanilla", "gradient_filter"),
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


def check_dialect(name: str, method: str) -> None:
    """BadInput where nobody counts that way, or not that method."""
    if name not in DIALECTS:
        raise BadInput(f"--dialect: {unknown('dialect', name, DIALECTS)}")
    known = DIALECTS[name].methods
    if known and method not in known:
        others = [other for other, spec in DIALECTS.items() if method in spec.methods]
        counted = f"; {method} is counted by {', '.join(others)}" if others else ""
        raise BadInput(
            f"--dialect {name}: has no rows for {method}, only for {', '.join(known)}{counted}"
        )
