"""The examples, each run as its page says. None of their times is looked at."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"
COMMANDS = re.findall(r"\| `([^`]+)` \|$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
PROGRAMS = {
    "python": [sys.executable],
    "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "forking"],
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the examples and nothing else of the repository."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "examples").symlink_to(EXAMPLES)
    return folder


@pytest.fixture(scope="module")
def run(workplace, command, torch_server):
    """Run a line of the page there, and give what it prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    # the workers of pytest have their imports done, too
    (workplace / "forking.py").write_text(
        "from tests.torch_server import fork_workers_from\n\n"
        f"fork_workers_from({str(torch_server.path)!r})\n"
    )
    path = (str(workplace), str(ROOT), os.environ.get("PYTHONPATH"))
    for_pytest = {**environment, "PYTHONPATH": os.pathsep.join(filter(None, path))}

    def run(line):
        program, *arguments = shlex.split(line)
        if program == "bench":
            ended = command.run(arguments, workplace, environment=environment)
            assert ended.code == 0, ended.out + ended.err
            return ended.out
        done = subprocess.run(
            [*PROGRAMS[program], *arguments],
            cwd=workplace,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=for_pytest if program == "pytest" else environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def line_of(part):
    (line,) = (line for line in COMMANDS if part in line)
    return line


def test_every_example_has_a_line_of_its_own():
    shown = {path for path in EXAMPLES.iterdir() if path.name not in {"README.md", "__pycache__"}}
    assert shown == {path for path in shown if any(path.name in line for line in COMMANDS)}
    assert len(COMMANDS) == len(shown)


def test_a_model_of_ones_own_is_measured_and_its_results_are_read(run):
    measured = run(line_of("your_model"))
    assert len(re.findall(r"\d [mµ]?s\b", measured)) >= 2  # a step time for each method
    assert "not measured" not in measured
    table = run(line_of("read_results"))
    assert "activation_bytes" in table
    assert table.count("net.py:net@") == 2


def test_a_method_is_applied_in_a_training_loop(run):
    said = run(line_of("training_loop"))
    first, last = map(float, re.search(r"loss ([\d.]+) → ([\d.]+); Linear", said).groups())
    assert last < first


def test_a_method_of_ones_own_passes_every_check(run):
    assert "checks, 0 failed (" in run(line_of("your_method"))


def test_a_step_of_ones_own_is_guarded(run):
    said = run(line_of("your_step"))
    assert "1 passed" in said
    assert "35.5 MFLOP" in said
