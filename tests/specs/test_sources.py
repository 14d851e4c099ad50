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


PACKAGE = {
    "parts/__init__.py": "",
    "parts/nets/__init__.py": "from . import base\n",
    "parts/nets/audio.py": "from .base import BASE\nfrom parts.blocks import conv\nimport other\n",
    "parts/nets/base.py": "BASE = 1\n",
    "parts/blocks.py": "conv = 1\n",
    "parts/unused.py": "x = 1\n",
    "other.py": "y = 1\n",
}


def packaged(folder):
    for name, text in PACKAGE.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return "parts.nets.audio", folder / "parts" / "nets" / "audio.py"


def test_the_hash_of_a_module_covers_what_it_imports_from_its_package(tmp_path):
    module, file = packaged(tmp_path)
    before = sources.digest_of_module(module, file)
    changing = set()
    for name, text in PACKAGE.items():
        (tmp_path / name).write_text(f"{text}# another version\n")
        if sources.digest_of_module(module, file) != before:
            changing.add(name)
        (tmp_path / name).write_text(text)
    assert changing == set(PACKAGE) - {"parts/unused.py", "other.py"}
    found = {str(each.relative_to(tmp_path)) for each in sources.files_of_module(module, file)}
    assert found == changing


def test_the_hash_of_a_module_does_not_depend_on_the_place_of_its_package(tmp_path):
    one, other = (packaged(tmp_path / name) for name in ("one", "other"))
    assert sources.digest_of_module(*one) == sources.digest_of_module(*other)


def test_a_package_and_a_compiled_module_have_a_hash_too(tmp_path):
    packaged(tmp_path)
    file = tmp_path / "parts" / "nets" / "__init__.py"
    names = [each.name for each in sources.files_of_module("parts.nets", file)]
    assert names == ["__init__.py", "__init__.py", "base.py"]
    (tmp_path / "fast.so").write_bytes(b"\x7fELF")
    assert sources.files_of_module("fast", tmp_path / "fast.so") == [tmp_path / "fast.so"]
    assert len(sources.digest_of_module("fast", tmp_path / "fast.so")) == 8
