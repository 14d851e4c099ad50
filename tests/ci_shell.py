"""A shell that runs the steps of a workflow with GitHub's variables, as a runner does.

It knows what our workflow files and `action.yml` use: `run`, `env`, `if`, `inputs`, outputs of
steps, additions to PATH. `bench_calls` finds the commands of `bench` in the text of a step.
"""

import contextlib
import itertools
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.command import Command

# what a step calls: it hands the call over, because the command's own imports take seconds
BENCH = """\
#!{python} -SE
import json, os, socket, sys
asked = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    server.sendall(json.dumps(asked).encode())
    server.shutdown(socket.SHUT_WR)
    ended = json.load(server.makefile("rb"))
sys.stdout.write(ended["out"])
sys.stdout.flush()
sys.stderr.write(ended["err"])
sys.exit(ended["code"])
"""


@dataclass(frozen=True)
class StepEnded:
    """How a step ended, and what it left for people."""

    code: int
    log: str
    summary: str
    outputs: Mapping[str, str]

    @property
    def annotations(self) -> list[str]:
        return [line for line in self.log.splitlines() if line.startswith("::")]


@dataclass
class Runner:
    """Runs steps in a folder, with the programs of `programs` before all others."""

    folder: Path
    programs: Path
    event: Mapping[str, Any] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)  # the folders that steps wrote to GITHUB_PATH

    def step(self, script: str, env: Mapping[str, str] | None = None) -> StepEnded:
        """Run the text of a step by bash, as GitHub does."""
        temp = self.folder / ".runner"
        temp.mkdir(exist_ok=True)
        summary, output, path = (temp / name for name in ("summary", "output", "path"))
        for file in (summary, output, path):
            file.write_text("")
        # a session that xdist started would refuse to measure
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.folder,
            env={
                **clean,
                "PATH": os.pathsep.join([str(self.programs), *self.added[::-1], clean["PATH"]]),
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(self.folder),
                "GITHUB_REPOSITORY": "somebody/toy",
                "GITHUB_STEP_SUMMARY": str(summary),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_PATH": str(path),
                "RUNNER_TEMP": str(temp),
                **(env or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        pairs = (line.partition("=") for line in output.read_text().splitlines())
        outputs = {name: value for name, _, value in pairs}
        self.added += path.read_text().splitlines()
        return StepEnded(ended.returncode, ended.stdout, summary.read_text(), outputs)

    def workflow(self, path: Path) -> list[StepEnded]:
        """Run the steps of the one job of a workflow."""
        (job,) = YAML(typ="safe").load(path.read_text())["jobs"].values()
        return self.job(job)

    def job(self, job: Mapping[str, Any]) -> list[StepEnded]:
        """Run the scripts of a job. After a failure, only those run that say so."""
        ended: list[StepEnded] = []
        for step in job["steps"]:
            has_failed = any(each.code for each in ended)
            if "run" in step and runs(step.get("if", ""), {}, has_failed=has_failed):
                ended.append(self.step(step["run"], step.get("env")))
        return ended

    def action(self, path: Path, inputs: Mapping[str, str]) -> dict[str, StepEnded]:
        """Run a composite action's steps with these inputs, by name, until one fails."""
        action = YAML(typ="safe").load(path.read_text())
        values = {f"inputs.{k}": str(v.get("default", "")) for k, v in action["inputs"].items()}
        values |= {f"inputs.{name}": value for name, value in inputs.items()}
        values |= {f"github.{name}": str(value) for name, value in self.event.items()}
        values |= {"github.job": "ab", "runner.os": "Linux", "runner.arch": "X64"}
        ended: dict[str, StepEnded] = {}
        for step in action["runs"]["steps"]:
            assert step["shell"] == "bash"
            assert "${{" not in step["run"], "an expression in a script can be any command"
            if not runs(step.get("if", ""), values, has_failed=False):
                continue
            env = {name: _filled(text, values) for name, text in step.get("env", {}).items()}
            done = ended[step["name"]] = self.step(step["run"], env)
            values |= {f"steps.{step.get('id')}.outputs.{k}": v for k, v in done.outputs.items()}
            if done.code:
                break
        return ended


def runs(condition: str, values: Mapping[str, str], *, has_failed: bool) -> bool:
    """Whether a step with this `if` runs. A name without a value is the empty text, as on GitHub.

    It knows the conditions of our files: names, comparisons of a name with a text, `always()` and
    `!cancelled()`, joined by `&&`.
    """
    text = condition.strip().removeprefix("${{").removesuffix("}}").strip()
    if has_failed and not re.search(r"(always|cancelled)\(\)", text):
        return False
    return all(_holds(term.strip(), values) for term in text.split("&&") if term.strip())


def _holds(term: str, values: Mapping[str, str]) -> bool:
    if term in ("always()", "!cancelled()"):
        return True
    asked = re.fullmatch(r"([\w.-]+)(?: (==|!=) '([^']*)')?", term)
    assert asked, f"an `if` that this shell does not know: {term}"
    value = values.get(asked[1], "")
    return bool(value) if asked[2] is None else (value == asked[3]) == (asked[2] == "==")


def bench_calls(script: str) -> list[list[str]]:
    """The words of each call of `bench` in the text of a step, without those in other words."""
    calls = []
    for line in script.replace("\\\n", " ").splitlines():
        command: list[str] = []
        for word in [*_words(line), ";"]:
            if not set(word) <= set("();<>|&{}"):
                command += [word] if command or not re.match(r"\w+=", word) else []
                continue
            if command and Path(command[0]).name == "bench":
                calls.append(["bench", *command[1:]])
            command = []
    return calls


def _words(line: str) -> Iterator[str]:
    """The words of a line of a shell, up to a remark."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    yield from itertools.takewhile(lambda word: not word.startswith("#"), lexer)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: values.get(found[1], ""), text)


def program(folder: Path, name: str, text: str) -> None:
    """Write a program that the steps find before all others."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


@contextlib.contextmanager
def bench_program(folder: Path, command: Command) -> Iterator[None]:
    """The command `bench` of this checkout, while this lasts."""
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has a short limit
        path = f"{short}/bench"
        program(folder, "bench", BENCH.format(python=sys.executable, path=path))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            thread = threading.Thread(target=_serve, args=(server, command))
            thread.start()
            try:
                yield
            finally:
                server.shutdown(socket.SHUT_RDWR)
                thread.join()


def _serve(server: socket.socket, command: Command) -> None:
    """Run each call until the socket is shut down."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as asked:
            call = json.load(asked)
            ended = command.run(
                call["arguments"], Path(call["cwd"]), environment=call["environment"]
            )
            connection.sendall(json.dumps(vars(ended)).encode())
