import re

import pytest

from ondevice_bench.declare.folders import declared, locate, resource
from ondevice_bench.errors import BadInput


def put(folder, name, text="x"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_the_nearer_folder_wins_and_ours_is_the_last(workplace):
    assert declared("suites")["quick"].is_absolute()
    put(workplace / "suites", "quick.yaml")
    put(workplace / "suites", "mine.yml")
    put(workplace / "suites", "notes.txt")
    put(workplace / "named", "mine.yaml")
    found = declared("suites", workplace / "named")
    assert str(found["quick"]) == "suites/quick.yaml"
    assert found["mine"].parent.name == "named"
    assert "notes" not in found


def test_a_name_is_a_stem_or_a_path(workplace):
    put(workplace / "elsewhere", "a.yaml")
    assert str(locate("suites", "elsewhere/a.yaml")) == "elsewhere/a.yaml"
    assert locate("suites", "quick").stem == "quick"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("quikc", "unknown suite 'quikc'; did you mean 'quick'?"),
        ("none.yaml", "none.yaml: no such file"),
        ("sub/none", "sub/none: no such file"),
        ("./", "./: is a folder, not a suite file"),
        (".", ".: is a folder, not a suite file"),
        ("", "the name of a suite is empty"),
        ("x" * 300, "unknown suite 'xxx"),
        ("x" * 5000, "a suite's name has 5,000 characters: xxx"),
    ],
)
def test_what_cannot_be_found_is_said_with_the_nearest_name(workplace, name, says):
    with pytest.raises(BadInput, match="^" + re.escape(says)) as caught:
        locate("suites", name)
    assert len(caught.value.lines) == 1


def test_a_folder_that_is_none_is_refused(workplace):
    with pytest.raises(BadInput, match="not a folder of suites"):
        declared("suites", workplace / "none")


def test_a_report_resource_can_be_replaced_by_ones_own(workplace):
    assert "color-scheme" in resource("theme/theme.css").read_text()
    put(workplace / "reports" / "theme", "theme.css", "mine")
    assert resource("theme/theme.css").read_text() == "mine"
    with pytest.raises(BadInput, match="no such file"):
        resource("theme/none")
