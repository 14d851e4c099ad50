import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondevice_bench.declare.document import read
from ondevice_bench.errors import BadInput

GOOD = """\
# a comment
schema: 1
models:
  - mcunet: {batch: [8, 2]}
  - vit_b_32
share: 1e-4
"""


def write(tmp_path, text, name="x.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_values_are_plain_and_know_their_lines(tmp_path):
    document = read(write(tmp_path, GOOD))
    assert document.values == {
        "schema": 1,
        "models": [{"mcunet": {"batch": [8, 2]}}, "vit_b_32"],
        "share": 1e-4,
    }
    assert type(document.values["share"]) is float
    assert document.place(("models", 1)).line == 5
    assert document.place(("models", 0, "mcunet", "batch", 1)).line == 4
    assert document.place(("share",)).line == 6
    assert document.place(("nowhere",)).line == 1


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "the file is empty"),
        ("# only a comment\n", None, "the file is empty"),
        ("- 1\n- 2\n", 1, "must be a mapping"),
        ("just text\n", 1, "must be a mapping"),
        ("a: 1\nb: 2\na: 3\n", 3, 'found duplicate key "a"'),
        ("a: 1\nb: [1, 2\n", 3, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a:\n\t- b\n", 2, "not YAML: a tab; YAML is indented with spaces only"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "no meaning here"),
        ("a: 1\nb: !mine 3\n", 2, "no meaning here"),
        ("a: 1\nb: 2020-01-01\n", 2, "quote it"),
        ("a: 1\n3: 4\n", 2, "key 3 must be text"),
        (b"a: 1\nb: \xff\xfe\n", 2, "not UTF-8"),
        ("a: " + "[" * 60 + "]" * 60 + "\n", 1, "too many values or aliases"),
        ("a: 1\nb: !!bool x\n", 2, "a tag or an alias that cannot be read"),
        ("a: 1\nb: !!omap x\n", 2, "a tag or an alias that cannot be read"),
        ("a: 1\nb: !!float ''\n", 2, "a tag or an alias that cannot be read"),
        ("a: 1\nb: [0x_]\n", 2, "a tag or an alias that cannot be read"),
        ("a: 1\nb: &b {<<: *b, c: 1}\n", 2, "a tag or an alias that cannot be read"),
        ("a: 1\nb: 2026-13-45\n", 2, "month must be in 1..12"),
        ("a: 1\nb: x\x07\n", 2, "unacceptable character"),
        ('a: 1\nb: "\\ud800"\n', 2, r"\ud800 is half of a character"),
        ('a: 1\n"\\udcff": 2\n', 2, r"\udcff is half of a character"),
        ("a: 1\n? {b: c}\n: d\n", 2, "a key is a list or a mapping"),
        ("a: 1\nb: !!set {? [c]}\n", 2, "a key is a list or a mapping"),
        ("? " * 60 + "a\n", 1, "a key is a list or a mapping"),  # ruamel would need 3^60 steps
    ],
)
def test_what_is_no_declaration_is_refused_with_its_line(tmp_path, text, line, says):
    path = write(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        read(path)
    (message,) = caught.value.lines
    place = f"{path}:{line}: " if line else f"{path}: "
    assert message.startswith(place), message
    assert says in message


def test_aliases_that_multiply_are_refused(tmp_path):
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 8):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    with pytest.raises(BadInput, match="too many values or aliases"):
        read(write(tmp_path, bomb))


@pytest.mark.parametrize("text", ["a: &a\n  - *a\n", "&a\na: *a\n", "a: &a {b: {c: *a}}\n"])
def test_an_alias_to_itself_does_not_go_on_for_ever(tmp_path, text):
    # ruamel reads such an alias as null or as the thing itself
    try:
        assert "a" in read(write(tmp_path, text)).values
    except BadInput as error:
        assert "too many values or aliases" in error.lines[0]


def test_folders_missing_and_huge_files_are_refused(tmp_path):
    with pytest.raises(BadInput, match="is a folder"):
        read(tmp_path)
    with pytest.raises(BadInput, match="no such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(BadInput, match="larger than"):
        read(write(tmp_path, "a: " + "x" * (1 << 20)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_mapping_or_one_clear_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "x.yaml"
    path.write_bytes(data)
    try:
        assert isinstance(read(path).values, dict)
    except BadInput as error:
        assert len(error.lines) == 1
        assert str(path) in error.lines[0]
        assert "\n" not in error.lines[0]


@given(st.text(alphabet="ab:-[]{}&*!|>\"'#%@`\n\t 01.", max_size=60))
def test_yaml_like_text_is_a_mapping_or_one_clear_line(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "x.yaml"
    path.write_text(text)
    try:
        assert isinstance(read(path).values, dict)
    except BadInput as error:
        assert len(error.lines) == 1
        assert "\n" not in error.lines[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("? [a]\n: b\n", "a key is a list or a mapping, not a text"),
        ("null: x\n", "key None must be text"),
        ("a: {b: 1}\n? [{c: 1}]\n: d\n", "a key is a list or a mapping, not a text"),
        (f"? 0x{'f' * 5000}\n: b\n", "key with thousands of digits must be text"),
        (f"a: 0x{'f' * 5000}\n", "a number must be below 2^63"),
        (f"a: 0o{'7' * 9000}\n", "a number must be below 2^63"),
        (f"a: {2**63}\n", "a number must be below 2^63"),
        (f"a: {-(2**63)}\n", "a number must be below 2^63"),
        ("a: 1e19\n", "a number must be below 2^63"),
        ("".join(f"a{n}: 1\n" for n in range(50_001)), "more than 50,000 keys and values"),
        ("a: [" + "1," * 50_001 + "]\n", "more than 50,000 keys and values"),
    ],
)
def test_keys_and_numbers_that_mean_nothing_are_said_in_one_short_line(tmp_path, text, says):
    with pytest.raises(BadInput, match=re.escape(says)) as caught:
        read(write(tmp_path, text))
    assert len(str(caught.value)) < 200 + len(str(tmp_path))


def test_an_anchor_that_is_there_twice_prints_no_warning(tmp_path):
    with warnings.catch_warnings(action="error"):
        assert read(write(tmp_path, "a: &x 1\nb: &x 2\nc: *x\n")).values["c"] == 2
