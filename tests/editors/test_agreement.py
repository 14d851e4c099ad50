"""What a JSON Schema accepts, the loader accepts, as far as JSON Schema can say it; and conversely.

`CANNOT_SAY` is the list in docs/suite-files.md.
"""

import copy
import json
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ondevice_bench.declare.check import check
from ondevice_bench.declare.document import Document, read
from ondevice_bench.editors.json_schema import json_schema
from ondevice_bench.editors.kinds import BY_NAME
from ondevice_bench.errors import BadInput
from ondevice_bench.papers.claims_file import claims_of
from ondevice_bench.suite.load import suite_of
from ondevice_bench.suite.space import space_of
from tests.editors.instances import accepted

ROOT = Path(__file__).parents[2]
CANNOT_SAY = (
    # whether a file is there, and a package installed
    r"no such (file|folder)|no module|has no '\w+'|needs .*: pip install",
    # what two keys say together
    (
        "min_samples .* exceeds|threads .* exceeds|memory_cap exceeds|none of the suite's|"
        "must have at least two rates|unknown paper|appears twice|no cell can have this condition|"
        "needs ratio_of|no ratio_of|without ratio_of is|a measured claim needs|momentum is for sgd|"
        "is not in `measure`|is not for this board"
    ),
    # the rank rule in an override, or beside `extends` and `defaults`
    "needs one of|takes one of|least needs",
    # which methods go together, and in which order
    (
        "two or more different methods|compose one of them|works on the whole network|"
        "appears twice|has all layers that are left|freezes the layers|gives no layers|"
        "has ranks for one|one value for each option|the label of another mix"
    ),
    # how much a text means
    "is not a command: No closing quotation|is not a command: No escaped character|must be from 2m to 4h|must be at least 256M|groups must divide|the kernel covers",
)


def loader(kind):
    """What reads a file of this kind."""
    readers = {
        "suite": lambda document: suite_of(document, "x"),
        "search": space_of,
        "claims": claims_of,
    }
    schema = BY_NAME[kind].schema
    return readers.get(kind, lambda document: check(schema(), document))


def complaints(kind, values):
    try:
        loader(kind)(Document(Path("x.yaml"), "", copy.deepcopy(values), {}))
    except BadInput as error:
        return list(error.lines)
    return []


@pytest.fixture(scope="module", autouse=True)
def beside(tmp_path_factory):
    """The files that the values name; their content is none of a schema's business."""
    folder = tmp_path_factory.mktemp("beside")
    (folder / "mine.py").write_text("class Mine:\n    pass\n")
    (folder / "net.py").write_text("def net(): ...\ndef model(): ...\n")
    for name in ("config.json", "w.pt", "w.safetensors"):
        (folder / name).write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


SCHEMAS = {name: json_schema(kind) for name, kind in BY_NAME.items()}


@pytest.mark.parametrize("kind", BY_NAME)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_the_schema_accepts_the_loader_accepts(kind, data):
    values = data.draw(accepted(SCHEMAS[kind]))
    left = [line for line in complaints(kind, values) if not re.search("|".join(CANNOT_SAY), line)]
    assert left == [], json.dumps(values)


@pytest.mark.parametrize("kind", BY_NAME)
def test_a_version_that_is_true_is_not_1(kind):
    """In Python they are equal."""
    assert "schema: must be 1, got true" in "\n".join(complaints(kind, {"schema": True}))
    schema = SCHEMAS[kind]
    assert not Draft202012Validator({"$ref": "#/properties/schema", **schema}).is_valid(True)


def places(value, at=()):
    """The path of every value inside."""
    yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*at, key))


OTHER = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        2.5,
        "",
        "x",
        "512M",
        "20m",
        "2%",
        [],
        [1],
        {},
        {"x": 1},
        "vanilla",
        "asi",
        "last:3",
    ]
)


@st.composite
def changed(draw, values):
    """A shipped file with one value changed, left out, or under another key."""
    values = copy.deepcopy(values)
    path = draw(st.sampled_from([at for at in places(values) if at]))
    owner = values
    for step in path[:-1]:
        owner = owner[step]
    match draw(st.sampled_from(["replace", "replace", "remove", "rename", "listed"])):
        case "replace":
            owner[path[-1]] = draw(OTHER)
        case "remove":
            del owner[path[-1]]
        case "rename" if isinstance(owner, dict):
            owner[draw(st.sampled_from(["x", "vanila", "vanilla", "rank"]))] = owner.pop(path[-1])
        case _:
            owner[path[-1]] = [owner[path[-1]]]
    return values


@cache
def shipped(kind):
    return [read(path).values for path in sorted(ROOT.glob(BY_NAME[kind].files))]


@pytest.mark.parametrize("kind", [kind.name for kind in BY_NAME.values() if kind.files])
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_schema_and_loader_agree_about_a_shipped_file_with_one_change(kind, data):
    files = [each for each in shipped(kind) if len(json.dumps(each)) < 20_000] or shipped(kind)
    values = data.draw(st.sampled_from(files).flatmap(changed))
    assume("extends" not in values)
    is_accepted = Draft202012Validator(SCHEMAS[kind]).is_valid(values)
    lines = complaints(kind, values)
    hidden = [line for line in lines if not re.search("|".join(CANNOT_SAY), line)]
    if is_accepted:
        assert hidden == [], json.dumps(values)
    else:
        assert lines != [], json.dumps(values)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [("search", "learning", {"target": 0.5})],
)
def test_both_refuse(kind, key, value):
    values = {"schema": 1, "title": "t", "methods": "vanilla", key: value}
    assert complaints(kind, values) != []
    assert not Draft202012Validator(SCHEMAS[kind]).is_valid(values)
