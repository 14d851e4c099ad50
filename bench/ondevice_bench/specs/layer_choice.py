"""Layer choices, each in one spelling: `all`, `last:4`, `last:5 of *mlp*`, `pattern:…`."""

import re

from ondevice_bench.errors import suggestion
from ondevice_bench.specs.option import require_one_line

WORDS = ("all", "mlp", "attention", "attention+mlp", "conv")
PARTS = ("mlp", "attention", "attention+mlp")  # of a layout
COUNTED = ("last", "last_blocks")
_WITH_ARGUMENT = (*COUNTED, "pattern")
ALLOWED = (
    "all, mlp, attention, attention+mlp, conv, last: K, last: K of TEXT, last_blocks: K or "
    "pattern: TEXT"
)
_LAST_OF = re.compile(r"([1-9]\d*) of (\S+)")


def parse(value: object) -> tuple[str, ...]:
    """The layer choices of one entry of `layers`. A list of counts is one choice for each count."""
    if isinstance(value, str):
        word, colon, argument = (part.strip() for part in value.partition(":"))
        if not colon:
            return (_word(word),)
        is_count = word in COUNTED and re.fullmatch(r"-?\d+", argument)
        return (_with_argument(word, int(argument) if is_count else argument),)
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"must be {ALLOWED}, got {value!r}")
    ((word, argument),) = value.items()
    arguments = argument if isinstance(argument, list) else [argument]
    if not arguments:
        raise ValueError(f"{word} must not be empty")
    return tuple(_with_argument(str(word), item) for item in arguments)


def _word(word: str) -> str:
    canonical = "+".join(sorted(part.strip() for part in word.split("+")))
    if canonical not in WORDS:
        raise ValueError(
            f"must be {ALLOWED}, got {word!r}{suggestion(word, (*WORDS, *_WITH_ARGUMENT))}"
        )
    return canonical


def _with_argument(word: str, value: object) -> str:
    if word == "pattern" and isinstance(value, str) and value:
        require_one_line(word, value)
        return f"pattern:{value}"
    if word not in COUNTED:
        raise ValueError(f"must be {ALLOWED}, got {word!r}{suggestion(word, _WITH_ARGUMENT)}")
    if word == "last" and isinstance(value, str):
        if _LAST_OF.fullmatch(value) is None:
            raise ValueError(
                "last must be an integer of at least 1, or such an integer and a pattern, as in "
                f"`last: 5 of *mlp*`, got {value!r}"
            )
        return f"last:{value}"
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{word} must be an integer of at least 1, got {value!r}")
    return f"{word}:{value}"
