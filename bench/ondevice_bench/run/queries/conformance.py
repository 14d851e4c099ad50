"""Asking a process of its own whether a method holds what it must: the parent imports no torch."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.run.hosts.launch import worker_environment
from ondevice_bench.specs import registry
from ondevice_bench.specs.option import validate

TIMEOUT = 300.0


def check(method: str, options: Sequence[str]) -> list[dict[str, Any]]:
    """Each check with its verdict; BadInput where the method cannot be tried at all."""
    given = dict(_pair(text) for text in options)
    if ":" not in method:
        spec = registry.method(method)
        try:
            validate(spec.options, spec.one_of, given)
        except ValueError as error:
            raise BadInput(f"{method}: {error}") from None
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "ondevice_bench.methods.conformance",
                method,
                json.dumps(given),
            ],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env=worker_environment(len(os.sched_getaffinity(0))),
        )
    except subprocess.TimeoutExpired:
        raise BadInput(f"{method}: did not finish its checks within {TIMEOUT:g} s") from None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        said = (done.stderr.strip().splitlines() or ["no reason was printed"])[-1]
        raise BadInput(f"{method}: the checks ended with status {done.returncode}: {said}")
    answer = json.loads(lines[-1])
    if "error" in answer:
        raise BadInput(f"{method}: {answer['error']}")
    results: list[dict[str, Any]] = answer["results"]
    return results


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--option {text}: must be NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
