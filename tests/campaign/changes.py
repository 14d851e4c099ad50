"""Random changes of a good file: its bytes, the words of its text, its values, its columns."""

import json
import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

from tests.report.test_hostile_store import COLUMNS

NASTY_BYTES = (
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x1b[2J",
    b"</script>",
    b"\xed\xa0\x80",
    b"\n",
    b"[]," * 99,
)
NASTY_WORDS = (
    "[]",
    "{}",
    "null",
    "~",
    "1e999",
    "-1",
    "0",
    ".nan",
    "9" * 400,
    "0x7fffffffffffffff",
    "true",
    "''",
    '"\\x1b]52;c;AAAA\\x07"',
    '"\\u202e"',
    "x" * 5000,
    "!!python/object/apply:os.system [id]",
    "&a [*a]",
    "*a",
    "<<: {a: 1}",
    "? [1]",
    "- - - -",
    "../../etc/passwd",
    "/dev/zero",
    "%TAG",
    "2026-01-01",
    "mcunet",
    "vanilla",
)
NASTY_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    -0.5,
    1e300,
    2**53 + 1,
    2**63,
    10**400,
    "",
    "x" * 5000,
    "\0\x1b[31m\u202e</script>",
    "a/b",
    "x²",
    [],
    {},
    [[[]]],
    {"": {}},
)


MOMENT = re.compile(r"\d{4}-\d\d-\d\dT")
MOMENTS = (
    "0001-01-01T00:00:00+14:00",  # in UTC, before the first year
    "9999-12-31T23:59:59-14:00",
    "2026-02-30T00:00:00+00:00",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+00:00",
)


def bytes_changed(good: bytes, chance: random.Random) -> bytes:
    """Some bytes flipped, lost, repeated or put in."""
    data = bytearray(good)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        end = at + chance.choice((1, 4, 64, 1000))
        match chance.randrange(6):
            case 0 | 1:
                if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end]
            case 4:
                data[at:at] = chance.choice(NASTY_BYTES)
            case _:
                if chance.random() < 0.2:
                    del data[at:]
    return bytes(data)


def words_changed(good: bytes, chance: random.Random) -> bytes:
    """Some words or lines of a text replaced, lost, repeated or moved."""
    text = good.decode()
    for _ in range(chance.choice((1, 1, 2, 3))):
        words = [*re.finditer(r"[^\s:,\[\]{}]+", text)]
        lines = text.split("\n")
        at = chance.randrange(len(lines))
        match chance.randrange(6):
            case 0 | 1 | 2 if words:
                word = chance.choice(words)
                text = text[: word.start()] + chance.choice(NASTY_WORDS) + text[word.end() :]
            case 3:
                text = "\n".join([*lines[:at], *lines[at + 1 :]])
            case 4:
                text = "\n".join([*lines[:at], lines[at], *lines[at:]])
            case _:
                text = "\n".join([*lines[:at], "  " + lines[at], *lines[at + 1 :]])
    return text.encode()


def values_changed(good: bytes, chance: random.Random) -> bytes:
    """Some values of a JSON text replaced, lost, repeated or swapped."""
    values = json.loads(good)
    for _ in range(chance.choice((1, 1, 2, 3))):
        spots = [spot for spot in _spots(values) if spot]
        if not spots:
            break
        *way, last = chance.choice(spots)
        place = values
        for step in way:
            place = place[step]
        match chance.randrange(8):
            case 0 | 1:
                place[last] = deepcopy(chance.choice(NASTY_VALUES))
            case 2 | 3 | 4:
                place[last] = _like(place[last], chance)
            case 5:
                del place[last]
            case 6:
                place[last] = [place[last]] * 3
            case _:
                other = values
                for step in chance.choice(spots):
                    other = other[step]
                place[last] = deepcopy(other)
    text = json.dumps(values)
    if chance.random() < 0.05:
        text = text.replace("1", "NaN", 1)
    return text.encode("utf-8", "surrogatepass")


def _like(value: Any, chance: random.Random) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return chance.choice((0, -value, value // 2, value * 3, value * 10**18))
        case float():
            return value * chance.choice((0.0, -1.0, 0.5, 3.0, 1e18))
        case str() if MOMENT.match(value):
            return chance.choice(MOMENTS)
        case str():
            return value + chance.choice(
                ("x", "/", "\x1b[2J", "<b>", "\u202e", " " * 300, "=1", "²")
            )
        case list():
            return value[:1] * 2
        case _:
            return {}


def _spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _spots(item, (*path, key))


def columns_changed(good: bytes, chance: random.Random) -> bytes:
    """Some columns of a store with another value."""
    path = Path("changed.sqlite")
    path.write_bytes(good)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for _ in range(chance.choice((1, 1, 2))):
            table, column = chance.choice(COLUMNS)
            value = chance.choice(
                (*NASTY_VALUES, *MOMENTS, b"\xff", float("inf"), "{", "[]", '{"a": [NaN]}')
            )
            if isinstance(value, (dict, list)):
                value = json.dumps(value)
            if isinstance(value, int) and abs(value) >= 2**63:
                value = str(value)
            where = f" WHERE rowid = (SELECT max(rowid) FROM {table})" * chance.randrange(2)
            try:
                raw.execute(f"UPDATE OR REPLACE {table} SET {column} = ?{where}", (value,))
            except sqlite3.IntegrityError:
                continue
    return path.read_bytes()
