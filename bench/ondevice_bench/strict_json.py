"""JSON that every parser reads: it has no NaN and no infinity, which are no JSON."""

import json
import math
from typing import Any


def text_of(value: Any, **how: Any) -> str:
    """Plain values as JSON, with null for each number that is not finite."""
    try:
        return json.dumps(value, allow_nan=False, **how)
    except ValueError:  # rare, so most values are not copied
        return json.dumps(finite(value), allow_nan=False, **how)


def finite(value: Any) -> Any:
    """The same plain values, with None for each number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return value


def not_finite(value: Any) -> int:
    """How many numbers among the values are not finite."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return sum(map(not_finite, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(not_finite, value))
    return 0
