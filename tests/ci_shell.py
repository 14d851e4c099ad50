"""A shell that runs the steps of a workflow with GitHub's variables, as a runner does.

It knows what our workflow files and `action.yml` use: `run`, `env`, `inputs`, outputs of steps.
"""

import contextlib
import json
import os
import re
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

    def step(self, script: str, env: Mapping[str, str] | None = None) -> StepEnded:
        """Run the text of a step by bash, as GitHub does."""
        temp = self.folder / ".runner"
        temp.mkdir(exist_ok=True)
        summary, output = temp / "summary", temp / "output"
        summary.write_text("")
        output.write_text("")
        # a session that xdist started would refuse to measure
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.folder,
            env={
                **clean,
                "PATH": os.pathsep.join([str(self.programs), clean["PATH"]]),
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(self.folder),
                "GITHUB_REPOSITORY": "somebody/toy",
                "GITHUB_STEP_SUMMARY": str(summary),
                "GITHUB_OUTPUT": str(output),
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
        return StepEnded(ended.returncode, ended.stdout, summary.read_text(), outputs)

    def workflow(self, path: Path) -> list[StepEnded]:
        """Run the steps of the one job of a workflow until one fails."""
        (job,) = YAML(typ="safe").load(path.read_text())["jobs"].values()
        ended: list[StepEnded] = []
        for step in job["steps"]:
            has_failed = any(each.code for each in ended)
            if "run" in step and (not has_failed or step.get("if") == "always()"):
                ended.append(self.step(step["run"], step.get("env")))
        return ended

    def action(self, path: Path, inputs: Mapping[str, str]) -> dict[str, StepEnded]:
        """Run a composite action's steps with these inputs, by name, until one fails."""
        action = YAML(typ="safe").load(path.read_text())
        values = {f"inputs.{k}": str(v.get("default", "")) for k, v in action["inputs"].items()}
        values |= {f"inputs.{name}": value for name, value in inputs.items()}
        values |= {f"github.{name}": str(value) for name, value in self.event.items()}
        ended: dict[str, StepEnded] = {}
        for step in action["runs"]["steps"]:
            assert step["shell"] == "bash"
            assert "${{" not in step["run"], "an expression in a script can be any command"
            env = {name: _filled(text, values) for name, text in step.get("env", {}).items()}
            done = ended[step["name"]] = self.step(step["run"], env)
            values |= {f"steps.{step.get('id')}.outputs.{k}": v for k, v in done.outputs.items()}
            if done.code:
                break
        return ended


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
