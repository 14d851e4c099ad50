"""The workflows, those on pages, and `action.yml` obey the rules of GitHub.

GitHub finds a wrong key or a wrong name only when it runs the file. The rules here are written from
what GitHub documents: the keys, the permissions, and the contexts that an expression may use.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.ci_shell import bench_calls
from tests.conftest import ROOT
from tests.test_docs import BLOCKS, refusal

KEYS = {
    "workflow": "name run-name on permissions env defaults concurrency jobs",
    "job": (
        "name permissions needs if runs-on environment concurrency outputs env defaults steps "
        "timeout-minutes strategy continue-on-error container services"
    ),
    "step": "id if name uses run working-directory shell with env continue-on-error timeout-minutes",
    "action": "name author description inputs outputs runs branding",
}
PERMISSIONS = (
    "actions attestations checks contents deployments discussions id-token issues models packages "
    "pages pull-requests security-events statuses"
)
# what an expression in a place may name
CONTEXTS = {
    "workflow": "github inputs vars",
    "job": "github inputs vars needs strategy matrix",
    "job if": "github inputs vars needs",
    "job env": "github inputs vars needs strategy matrix secrets",
    "step": "github inputs vars needs strategy matrix secrets steps job runner env",
    "step if": "github inputs vars needs strategy matrix steps job runner env",
    "action step": "github inputs strategy matrix steps job runner env",
    "action input": "github strategy matrix job runner",
    "action output": "github strategy matrix steps inputs job runner env",
}
STATUS = ("always", "cancelled", "failure", "success")
OTHER_FUNCTIONS = ("contains", "startsWith", "endsWith", "format", "join", "toJSON", "fromJSON")
# the inputs of each action that we use, of the documented ones
INPUTS = {
    "actions/attest-build-provenance": "subject-path",
    "actions/cache": "path key restore-keys",
    "actions/checkout": "fetch-depth persist-credentials ref",
    "actions/download-artifact": "name path pattern merge-multiple",
    "actions/setup-python": "python-version cache",
    "actions/upload-artifact": "name path if-no-files-found retention-days",
    "pypa/gh-action-pypi-publish": "",
}
VERSION = re.compile(r"v\d+(\.\d+)*|[0-9a-f]{40}|COMMIT")
OURS = ("./", "OWNER/ondevice-bench")


def loaded(text: str) -> Any:
    return YAML(typ="safe").load(text)


FILES = {path.name: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
WORKFLOWS = {name: loaded(path.read_text()) for name, path in FILES.items()}
WORKFLOWS |= {
    block.where: values
    for block in BLOCKS
    if block.language == "yaml" and not block.mark and "jobs" in (values := loaded(block.body))
}
ACTION = loaded((ROOT / "action.yml").read_text())


def problems_of(workflow: Mapping[str, Any]) -> Iterator[str]:
    """What GitHub would refuse in a workflow, or would read as nothing."""
    jobs = workflow["jobs"]
    yield from unknown("workflow", workflow)
    yield from permissions(workflow)
    for key in ("concurrency", "env", "run-name"):
        yield from expressions(workflow.get(key), "workflow", {})
    for name, job in jobs.items():
        yield from (f"{name}: {problem}" for problem in of_job(job, jobs))


def of_job(job: Mapping[str, Any], jobs: Mapping[str, Any]) -> Iterator[str]:
    yield from unknown("job", job)
    yield from permissions(job)
    yield from (f"has no {key}" for key in ("runs-on", "steps") if not job.get(key))
    needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
    yield from (f"needs {each}, which is no job" for each in needs if each not in jobs)
    matrix = job.get("strategy", {}).get("matrix", {})
    rows = {key for row in matrix.get("include", ()) for key in row}
    known = {"needs": {*needs}, "matrix": {*matrix, *rows} - {"include", "exclude"}, "steps": set()}
    yield from expressions(job.get("if"), "job if", known, is_condition=True)
    yield from expressions(job.get("env"), "job env", known)
    for key in ("name", "runs-on", "environment", "concurrency", "timeout-minutes"):
        yield from expressions(job.get(key), "job", known)
    yield from of_steps(job.get("steps", ()), "step", known)


def of_steps(steps: Any, place: str, known: dict[str, set[str]]) -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        found = [*unknown("step", step), *of_step(step, place, known)]
        yield from (f"step {number}: {problem}" for problem in found)
        known["steps"] |= {step["id"]} if "id" in step else set()


def of_step(step: Mapping[str, Any], place: str, known: Mapping[str, set[str]]) -> Iterator[str]:
    if ("uses" in step) == ("run" in step):
        yield "has to have one of `uses` and `run`"
    if "uses" in step:
        yield from of_use(step["uses"], step.get("with", {}))
    elif "with" in step:
        yield "`with` goes with `uses`"
    if place == "action step" and "run" in step and "shell" not in step:
        yield "a script of an action names its shell"
    if "${{" in step.get("run", ""):
        yield "an expression in a script can be any command: put it into `env`"
    condition = place if place != "step" else "step if"
    yield from expressions(step.get("if"), condition, known, is_condition=True)
    for key in ("env", "with", "name"):
        yield from expressions(step.get(key), place, known)
    yield from filter(None, map(refusal, bench_calls(step.get("run", ""))))


def of_use(name: str, given: Mapping[str, Any]) -> Iterator[str]:
    action, _, version = name.partition("@")
    if action in OURS:
        inputs = set(ACTION["inputs"])
    elif action in INPUTS:
        inputs = set(INPUTS[action].split())
    else:
        yield f"{action}: an action whose inputs this test does not know"
        return
    if action != "./" and not VERSION.fullmatch(version):
        yield f"{name}: names no version"
    yield from (f"{action} has no input {key}" for key in given if key not in inputs)


def unknown(kind: str, values: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"unknown key {key}" for key in values if key not in KEYS[kind].split())


def permissions(values: Mapping[str, Any]) -> Iterator[str]:
    for name, right in values.get("permissions", {}).items():
        if name not in PERMISSIONS.split():
            yield f"there is no permission {name}"
        if right not in ("read", "write", "none") or (name, right) == ("id-token", "read"):
            yield f"the permission {name} is never {right}"


def expressions(
    values: Any, place: str, known: Mapping[str, set[str]], *, is_condition: bool = False
) -> Iterator[str]:
    """What is wrong in the expressions of a text, or of all texts in a list or mapping."""
    if isinstance(values, Mapping):
        values = list(values.values())
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, Mapping | list):
            yield from expressions(value, place, known)
        elif isinstance(value, str):
            found = re.findall(r"\$\{\{(.*?)\}\}", value, re.DOTALL)
            for text in found or ([value] if is_condition else []):
                yield from of_expression(text, place, known, is_condition=is_condition)


def of_expression(
    text: str, place: str, known: Mapping[str, set[str]], *, is_condition: bool
) -> Iterator[str]:
    text = re.sub(r"'(?:[^']|'')*'", "''", text)
    for name, call in re.findall(r"([A-Za-z_][\w-]*(?:\.[\w-]+)*)\s*(\(?)", text):
        context, _, rest = name.partition(".")
        if call:
            if name not in (*OTHER_FUNCTIONS, *(STATUS if is_condition else ())):
                yield f"{place}: there is no function {name} here"
        elif name not in ("true", "false", "null"):
            if context not in CONTEXTS[place].split():
                yield f"{place}: there is no context {context} here"
            elif context in known and rest.partition(".")[0] not in known[context]:
                yield f"{place}: {name} is nowhere defined"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_obeys_the_rules_of_github(name):
    assert list(problems_of(WORKFLOWS[name])) == []


def test_the_action_obeys_the_rules_of_github():
    known = {"inputs": set(ACTION["inputs"]), "steps": set()}
    found = [*unknown("action", ACTION)]
    for each in ACTION["inputs"].values():
        assert {"description", "default"} >= set(each)
        found += expressions(each.get("default"), "action input", {})
    assert ACTION["runs"]["using"] == "composite"
    found += of_steps(ACTION["runs"]["steps"], "action step", known)
    for each in ACTION["outputs"].values():
        assert set(each) == {"description", "value"}
        found += expressions(each["value"], "action output", known)
    assert found == []
    assert sum(len(bench_calls(step["run"])) for step in ACTION["runs"]["steps"]) == 1


RELEASE = WORKFLOWS["release.yml"]


def change(path, value):
    """The workflow of the release with another value at this place."""
    changed = place = copy.deepcopy(RELEASE)
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


STEP = ("jobs", "build", "steps", 0)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("premissions",), {}, "unknown key premissions"),
        (("permissions",), {"id_token": "write"}, "there is no permission id_token"),
        (("permissions",), {"id-token": "read"}, "the permission id-token is never read"),
        (("jobs", "build", "run-on"), "x", "build: unknown key run-on"),
        (("jobs", "build", "runs-on"), "", "build: has no runs-on"),
        (("jobs", "publish", "needs"), "biuld", "publish: needs biuld, which is no job"),
        (("jobs", "build", "runs-on"), "${{ matrix.os }}", "job: matrix.os is nowhere defined"),
        (("jobs", "build", "if"), "steps.a.outcome", "job if: there is no context steps here"),
        (("jobs", "build", "runs-on"), "${{ always() }}", "there is no function always here"),
        ((*STEP, "uses"), "actions/checkout@main", "actions/checkout@main: names no version"),
        ((*STEP, "uses"), "actions/chekout@v4", "actions/chekout: an action whose inputs"),
        ((*STEP, "with"), {"fetch_depth": 0}, "actions/checkout has no input fetch_depth"),
        ((*STEP, "run"), "x", "has to have one of `uses` and `run`"),
        (STEP, {"run": "x", "with": {}}, "`with` goes with `uses`"),
        (STEP, {"run": "x", "env": {"A": "${{ step.a }}"}}, "there is no context step here"),
        (STEP, {"run": "x", "if": "steps.a.outputs.b"}, "steps.a.outputs.b is nowhere defined"),
        (STEP, {"run": "echo ${{ github.ref }}"}, "an expression in a script can be any command"),
        (STEP, {"run": "cd a && bench plan --quik"}, "--quik"),
    ],
)
def test_what_github_would_not_understand_is_found(path, value, says):
    assert any(says in found for found in problems_of(change(path, value)))


@pytest.mark.parametrize("name", FILES)
def test_our_workflows_name_each_action_by_its_commit(name):
    used = re.findall(r"uses: (.*)", FILES[name].read_text())
    steps = [step for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]]
    assert len(used) == sum("uses" in step for step in steps)
    for each in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./", each), each


def test_newer_actions_are_proposed():
    updates = loaded((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert [each["package-ecosystem"] for each in updates] == ["github-actions"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_job_that_measures_code_of_others_has_no_right_to_push(name):
    """Who may push keeps the token in the checkout; all others leave it out."""
    workflow = WORKFLOWS[name]
    for job in workflow["jobs"].values():
        rights = job.get("permissions", workflow.get("permissions"))
        assert rights is not None, "the rights are those of the repository's settings"
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                keeps = step.get("with", {}).get("persist-credentials", True)
                assert keeps == (rights.get("contents") == "write")
