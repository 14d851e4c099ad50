import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ondevice_bench.cli import schema
from ondevice_bench.declare.document import read
from ondevice_bench.editors.json_schema import DIALECT, schema_text
from ondevice_bench.editors.kinds import KINDS

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")
OTHERS = (
    "examples/*/suite.yaml",
    "tests/aarch64/suites/*.yaml",
    "tests/aarch64/hardware/*.yaml",
)
PATTERNS = (*(kind.files for kind in KINDS if kind.files), *OTHERS)
FILES = sorted(path.relative_to(ROOT) for pattern in PATTERNS for path in ROOT.glob(pattern))


def test_every_yaml_file_of_ours_is_looked_at():
    folders = ("suites", "hardware", "reports", "examples", "tests/aarch64")
    found = {path.relative_to(ROOT) for each in folders for path in (ROOT / each).rglob("*.y*ml")}
    assert found == set(FILES)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_shipped_file_names_the_schema_that_accepts_it(path):
    first = LINE.match((ROOT / path).read_text(encoding="utf-8"))
    assert first, f"{path}: the first line names no schema"
    schema = (ROOT / path).parent / first[1]
    kinds = [kind.name for kind in KINDS if kind.files and path.match(kind.files)]
    assert schema.resolve().parent == ROOT / "docs" / "schema"
    assert not kinds or [schema.stem] == kinds
    validator = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    errors = [
        f"{error.json_path}: {error.message}"
        for error in validator.iter_errors(read(ROOT / path).values)
    ]
    assert errors == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_shipped_schemas_are_those_that_the_command_prints(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a profile of the working directory would be in them
    path = ROOT / "docs" / "schema" / f"{kind.name}.json"
    made = schema_text(kind.name)
    assert path.read_text(encoding="utf-8") == made, f"bench schema {kind.name} > {path}"
    printed = json.loads(made)
    assert printed["$schema"] == DIALECT
    Draft202012Validator.check_schema(printed)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_key_says_what_it_means(kind):
    schema = json.loads(schema_text(kind.name))
    owners = {"the file": schema, **schema["$defs"]} if "$defs" in schema else {"the file": schema}
    silent = [
        f"{owner}.{key}"
        for owner, node in owners.items()
        for key, each in node.get("properties", {}).items()
        if isinstance(each, dict) and not each.get("description")
    ]
    assert silent == []


def test_the_command_names_all_kinds_without_loading_them():
    assert [kind.name for kind in KINDS] == list(schema.KINDS)
