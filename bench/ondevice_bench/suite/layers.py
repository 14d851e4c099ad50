"""The words of `layers`, in one spelling each: `all`, `last:4`, `attention+mlp`, `pattern:…`."""

import re

from ondevice_bench.errors import suggestion
from ondevice_bench.specs.model import ModelSpec

WORDS = ("all", "mlp", "attention", "attention+mlp", "conv")
COUNTED = ("last", "last_blocks")
ALLOWED = "all, mlp, attention, attention+mlp, conv, last: K, last_blocks: K or pattern: TEXT"


def parse(value: object) -> tuple[str, ...]:
    """One entry of `layers`; a list of counts is an entry each."""
    if isinstance(value, str):
        word, colon, rest = (part.strip() for part in value.partition(":"))
        if not colon:
            return (_word(word),)
        return (_valued(word, int(rest) if re.fullmatch(r"-?\d+", rest) else rest),)
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"must be {ALLOWED}, got {value!r}")
    ((word, rest),) = value.items()
    return tuple(_valued(str(word), item) for item in (rest if isinstance(rest, list) else [rest]))


def freezes(layers: str) -> bool:
    """Whether what comes before the chosen layers does not train."""
    return layers.partition(":")[0] in COUNTED


def refuses(layers: str, model: ModelSpec) -> str | None:
    """Why the model has no such layers, as far as its spec tells."""
    word = layers.partition(":")[0]
    if model.is_own:
        return None  # its process tells
    if word == "conv" and "conv2d" not in model.layer_kinds:
        return f"{model.name} has no convolutions to treat"
    if word == "last_blocks" and not model.layout.blocks:
        return f"{model.name} declares no blocks"
    missing = [
        p for p in word.split("+") if p in {"mlp", "attention"} and not getattr(model.layout, p)
    ]
    return f"{model.name} declares no {' and no '.join(missing)}" if missing else None


def _word(word: str) -> str:
    canonical = "+".join(sorted(part.strip() for part in word.split("+")))
    if canonical not in WORDS:
        raise ValueError(f"must be {ALLOWED}, got {word!r}{suggestion(word, WORDS)}")
    return canonical


def _valued(word: str, value: object) -> str:
    if word == "pattern" and isinstance(value, str) and value:
        return f"pattern:{value}"
    if word not in COUNTED:
        raise ValueError(
            f"must be {ALLOWED}, got {word!r}{suggestion(word, (*COUNTED, 'pattern'))}"
        )
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{word} must be an integer of at least 1, got {value!r}")
    return f"{word}:{value}"
