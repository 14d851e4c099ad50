"""The hash of a user's file: it changes with every file that the first one imports."""

import hashlib

import pytest

from ondevice_bench.specs import sources

NET = """\
import os, random
from torch import nn
import helpers.deep.deeper
from model import GPT

def net():
    from late import NAME
    return GPT()
"""
FILES = {
    "net.py": NET,
    "model.py": "from parts import *\n",
    "parts.py": "import net\nN = 1\n",
    "late.py": "NAME = 1\n",
    "helpers/__init__.py": "",
    "helpers/deep/deeper.py": "from . import near\nfrom .. import above\nfrom ..far.off import X\n",
    "helpers/deep/near.py": "from .types import X\n",
    "helpers/deep/types.py": "",
    "helpers/above.py": "",
    "helpers/far/off/__init__.py": "import late\n",
}
OTHERS = {
    "random.py": "",  # the standard library goes before
    "unused.py": "",
    "helpers/unused.py": "",
    "torch/notes.txt": "",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in {**FILES, **OTHERS}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_change_in_any_imported_file_is_another_hash(folder, name):
    before = sources.digest(folder / "net.py")
    with (folder / name).open("a") as file:
        file.write("# changed\n")
    assert sources.digest(folder / "net.py") != before


@pytest.mark.parametrize("name", OTHERS)
def test_a_change_in_another_file_is_no_other_hash(folder, name):
    before = sources.digest(folder / "net.py")
    (folder / name).write_text("CHANGED = 1\n")
    assert sources.digest(folder / "net.py") == before


def test_the_place_of_the_folder_does_not_matter(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "moved"
    before = sources.digest(folder / "net.py")
    folder.rename(other)
    assert sources.digest(other / "net.py") == before


@pytest.mark.parametrize("text", ["from torch import nn\n", "def (\n", "", "x = '\\0'\n", "\0"])
def test_a_file_alone_has_the_hash_of_its_content(tmp_path, text):
    file = tmp_path / "net.py"
    file.write_text(text)
    assert sources.digest(file) == hashlib.sha256(text.encode()).hexdigest()[:8]


def test_a_file_of_another_kind_is_not_read_as_code(folder):
    file = folder / "config.json"
    file.write_text("import model")
    assert sources.digest(file) == hashlib.sha256(b"import model").hexdigest()[:8]


def test_a_file_may_have_what_its_syntax_does_not_exclude(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from x import Other, Old as New\nclass Mine: ...\nmade = type('T', (), {})\ndef f(): ...\n"
    )
    assert sources.classes(file) == ["Mine"]
    for name in ("Mine", "Other", "New", "made", "f"):
        assert sources.may_have(file, name)
    assert not sources.may_have(file, "Old")
    for text in ("from x import *", "def __getattr__(name): ...", "class ("):
        file.write_text(text)
        assert sources.may_have(file, "Old")
    assert sources.classes(file) == []
