"""The workflow of docs/boards.md, run as a runner of GitHub would, against a real sshd."""

import re
import shutil
from pathlib import Path

import pytest

from tests.ci_shell import Runner, bench_program, program
from tests.conftest import ROOT
from tests.remote.test_over_ssh import QUICK


@pytest.fixture
def workflow(tmp_path_factory) -> Path:
    """The workflow as the page shows it."""
    page = (ROOT / "docs/boards.md").read_text()
    (text,) = re.findall(r"```yaml\n(name: board\n.*?)```", page, re.DOTALL)
    path = tmp_path_factory.mktemp("workflow") / "board.yml"
    path.write_text(text)
    return path


@pytest.fixture
def runner(workplace, command, monkeypatch, server, hosts_file, quick_python):
    """A desk with `hosts.yaml` in the home folder of the runner, and a suite in the repository."""
    programs = workplace / "programs"
    program(programs, "pip", "#!/bin/sh\n")  # this checkout is installed
    home = workplace / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    hosts_file(server, workplace / "there", quick_python)
    shutil.move("hosts.yaml", home)
    (workplace / "suites").mkdir()
    (workplace / "suites/mine.yaml").write_text(QUICK)
    with bench_program(programs, command):
        yield Runner(workplace, programs)


def test_the_workflow_measures_on_the_board_and_judges(runner, workflow):
    first = runner.step("cp ~/hosts.yaml .; bench run mine --on board1; bench baseline save board1")
    assert first.code == 0, first.log
    shutil.rmtree("bench-out")
    (runner.folder / "hosts.yaml").unlink()
    steps = runner.workflow(workflow)
    assert [each.code for each in steps] == [0] * 6, steps[-1].log
    *_, setup, check, run, compare = steps
    assert "nothing is installed" in setup.log
    assert "board1 is ready: profile " in check.log
    assert "report: bench-out/mine/report.html" in run.log
    assert "not worse" in compare.summary.lower()
    assert (runner.folder / "comparison.html").exists()


def test_a_board_that_is_not_there_fails_the_job_in_one_line(runner, workflow):
    text = (runner.folder / "home/hosts.yaml").read_text()
    (runner.folder / "home/hosts.yaml").write_text(text.replace("board1", "board7"))
    *_, last = runner.workflow(workflow)
    assert last.code == 2
    assert "board1" in last.log
