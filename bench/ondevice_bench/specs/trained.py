"""Ranks of trained weights, one table for each model, made by `benchmarks/trained_ranks.py`."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parent / "ranks"
RULE = "trained"
EPSILONS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def models() -> tuple[str, ...]:
    """The models that have a table."""
    return tuple(sorted(path.stem for path in TABLES.glob("*.json")))


def refuses(model: str) -> str | None:
    """The reason why a model has no trained ranks; None if it has."""
    if model in models():
        return None
    return f"there are no trained ranks for {model} (there are for: {', '.join(models())})"


def ranks(model: str, epsilon: float) -> dict[str, Mapping[str, Any]]:
    """For each layer, the rank of every mode of its input and of its weight."""
    table = _table(model)
    place = table["epsilons"].index(epsilon)
    return {
        name: {"activation": layer["activation"][place], "weight": layer["weight"][place]}
        for name, layer in table["layers"].items()
    }


def basis(model: str) -> str:
    """The weights and the data behind the table."""
    table = _table(model)
    return f"{table['weights']}; {table['data']}"


@cache
def _table(model: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((TABLES / f"{model}.json").read_text(encoding="utf-8"))
    return table
