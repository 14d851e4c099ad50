"""The environment of a source tree; `tests/e2e/test_ab.py` measures in two of them."""

import os
from pathlib import Path

import pytest

from ondevice_bench.ab import environment
from ondevice_bench.ab.worktree import Tree
from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.local import local_host


@pytest.fixture
def without_pip(monkeypatch):
    """Environments that take no seconds, because nothing is installed into them first."""
    finished = environment.finished

    def quick(words, **keywords):
        return finished([*words, *(["--without-pip"] if "venv" in words else [])], **keywords)

    monkeypatch.setattr(environment, "finished", quick)


def test_an_installation_that_fails_is_one_line_and_leaves_nothing(workplace, without_pip):
    tree, noted = Tree(".", workplace, "", workplace, workplace), []
    with (
        pytest.raises(BadInput, match=r"^\.: --install 'python none\.py' ended with 2: ") as said,
        environment.environment_of(tree, "python none.py", noted.append),
    ):
        pass
    assert len(said.value.lines) == 1
    assert noted == [".: python none.py"]


def test_what_was_installed_goes_before_what_is_here_and_is_gone_at_the_end(workplace, without_pip):
    """The command runs in the tree, by the Python of its own environment."""
    (workplace / "install.py").write_text("import sys; open('by', 'w').write(sys.prefix)")
    with environment.environment_of(
        Tree(".", workplace, "", workplace, workplace), "python install.py", print
    ) as python:
        program = (workplace / "by").read_text()
        assert python.program == f"{program}/bin/python"
        assert not python.sources
    assert not Path(program).exists()


def test_the_working_tree_does_not_hide_what_was_installed(workplace, without_pip, monkeypatch):
    other = str(workplace.parent / "other")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(workplace / "src"), "lib", other]))
    (workplace / "install.py").write_text(
        "import os; open('path', 'w').write(os.environ['PYTHONPATH'])"
    )
    tree = Tree("HEAD", workplace, "", workplace, workplace)
    with environment.environment_of(tree, "python install.py", print) as python:
        assert (workplace / "path").read_text() == other
        with local_host(interpreter=python) as host:
            assert host._variables("")["PYTHONPATH"] == other
