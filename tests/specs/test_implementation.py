"""Files of the user that import the files beside them, each in a process of its own."""

import subprocess
import sys

import pytest

LOAD = """\
import sys
from ondevice_bench.specs.implementation import load
for path in sys.argv[1:]:
    print(load(path)())
"""


@pytest.fixture
def loaded(tmp_path):
    """What functions of files return, loaded by one process; or its last line."""

    def run(*paths, **files):
        for name, text in files.items():
            file = tmp_path / f"{name.replace('__', '/')}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        ended = subprocess.run(
            [sys.executable, "-P", "-c", LOAD, *(str(tmp_path / path) for path in paths)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        return (ended.stdout + ended.stderr).splitlines()

    return run


NET = "from model import NAME\ndef net():\n    return NAME\n"


def test_a_file_imports_the_file_beside_it(loaded):
    assert loaded("net.py:net", net=NET, model="NAME = 'mine'\n") == ["mine"]


def test_it_imports_it_late_too(loaded):
    late = "def net():\n    from model import NAME\n    return NAME\n"
    assert loaded("net.py:net", net=late, model="NAME = 'mine'\n") == ["mine"]


@pytest.mark.parametrize("name", ["types", "statistics", "random"])
def test_a_file_beside_it_never_replaces_the_standard_library(loaded, name):
    net = f"import {name}\ndef net():\n    return hasattr({name}, 'MINE')\n"
    assert loaded("net.py:net", net=net, **{name: "MINE = 1\n"}) == ["False"]


def test_a_file_beside_it_goes_before_an_installed_package(loaded):
    net = "import xdist\ndef net():\n    return hasattr(xdist, 'MINE')\n"
    assert loaded("net.py:net", net=net, xdist="MINE = 1\n") == ["True"]


def test_a_folder_without_code_does_not_hide_an_installed_package(loaded):
    net = "import xdist\ndef net():\n    return hasattr(xdist, 'MINE')\n"
    assert loaded("net.py:net", net=net, xdist__notes="") == ["False"]


def test_a_file_beside_it_never_replaces_a_package_that_is_loaded(loaded):
    net = "import ondevice_bench\ndef net():\n    return hasattr(ondevice_bench, 'MINE')\n"
    assert loaded("net.py:net", net=net, ondevice_bench="MINE = 1\n") == ["False"]


def test_files_of_two_folders_import_what_only_one_of_them_has(loaded):
    files = {
        "a__net": "from one import NAME\nfrom both import N\ndef net():\n    return NAME\n",
        "a__one": "NAME = 'a'\n",
        "a__both": "N = 1\n",
        "b__net": "from two import NAME\ndef net():\n    return NAME\n",
        "b__two": "NAME = 'b'\n",
        "b__both": "N = 2\n",
    }
    assert loaded("a/net.py:net", "b/net.py:net", **files) == ["a", "b"]


def test_a_name_that_both_folders_have_is_refused(loaded, tmp_path):
    files = {
        **dict.fromkeys(("a__net", "b__net"), NET),
        "a__model": "NAME = 'a'\n",
        "b__model": "NAME = 'b'\n",
    }
    first, *_, last = loaded("a/net.py:net", "b/net.py:net", **files)
    assert first == "a"
    where = f"{tmp_path}/a and in {tmp_path}/b"
    why = "one process loads files of both folders, so rename one"
    assert last == f"ImportError: 'model' is in {where}: {why}"


def test_a_relative_import_says_by_which_name_it_works(loaded, tmp_path):
    files = {"kit__a": "from .b import net\n", "kit__b": "def net(): return 1\n"}
    *_, last = loaded("kit/a.py:net", **files)
    way = f"name it kit.a, and install its package or set PYTHONPATH={tmp_path}"
    assert last == (f"ImportError: attempted relative import with no known parent package; {way}")
    above = tmp_path / "all"
    above.mkdir()
    (tmp_path / "kit").rename(above / "kit")
    for folder in (above, above / "kit"):
        (folder / "__init__.py").touch()
    *_, last = loaded("all/kit/a.py:net")
    assert last.endswith(f"; name it all.kit.a, {way.partition(', ')[2]}")


def test_another_import_that_fails_keeps_its_words(loaded):
    *_, last = loaded("a.py:net", a="import no_such\n")
    assert last == "ModuleNotFoundError: No module named 'no_such'"


def test_a_file_that_ends_the_process_says_so(loaded):
    *_, last = loaded("a.py:net", a="import sys\nsys.exit('no config')\n")
    assert last == "RuntimeError: the code ends the process: sys.exit('no config')"
