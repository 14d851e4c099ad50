from typing import ClassVar, Literal

import pytest
from pydantic import Field

from ondevice_bench.declare.check import check
from ondevice_bench.declare.document import read
from ondevice_bench.declare.schema import StrictSchema
from ondevice_bench.errors import BadInput


class Inner(StrictSchema):
    key_kind: ClassVar[str] = "option"
    size: int = Field(1, ge=1)


class Outer(StrictSchema):
    title: str
    inner: Inner = Inner()
    kind: Literal["a", "b"] = "a"
    share: float = Field(0.5, le=1)
    flag: bool = False


def lines_of(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        check(Outer, read(path))
    return [line.removeprefix(f"{path}:") for line in caught.value.lines]


def test_a_valid_document_becomes_a_frozen_instance(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("title: t\ninner: {size: 3}\nshare: 1\n")
    found = check(Outer, read(path))
    assert (found.title, found.inner.size, found.share) == ("t", 3, 1.0)
    with pytest.raises(Exception, match="frozen"):
        found.title = "other"


def test_every_error_is_said_at_once_in_the_order_of_the_lines(tmp_path):
    text = "inner:\n  size: 0\n  sise: 3\nkind: c\nflag: 1\nshare: 2\nunknown: 1\n"
    assert lines_of(tmp_path, text) == [
        "1: title: is required",
        "2: inner.size: must be at least 1, got 0",
        "3: inner: unknown option 'sise'; did you mean 'size'? (allowed: size)",
        "4: kind: must be 'a' or 'b', got 'c'",
        "5: flag: must be true or false, got 1",
        "6: share: must be at most 1, got 2",
        "7: unknown key 'unknown' (allowed: title, inner, kind, share, flag)",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title: 3", "1: title: must be text, got 3"),
        ("title: t\ninner: 3", "2: inner: must be a mapping, got 3"),
        ("title: t\ninner: {size: true}", "2: inner.size: must be an integer, got True"),
        ("title: t\ninner: {size: '1'}", "2: inner.size: must be an integer, got '1'"),
        ("title: t\nshare: .nan", "2: share: must be a finite number, got nan"),
        ("title: t\nshare: x{y}", "2: share: must be a number, got 'x{y}'"),
        ("title: t\nshare: " + "x" * 99, "2: share: must be a number, got '" + "x" * 56 + "..."),
    ],
)
def test_nothing_is_coerced_and_every_sentence_is_ours(tmp_path, text, says):
    assert lines_of(tmp_path, text) == [says]
