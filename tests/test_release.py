"""The workflow of a release: what it checks, and what it may do. No step of it has a password."""

import os
import re
import subprocess
import tomllib

import pytest
from ruamel.yaml import YAML

import ondevice_bench
from tests.conftest import ROOT

PATH = ROOT / ".github" / "workflows" / "release.yml"
TEXT = PATH.read_text()
WORKFLOW = YAML(typ="safe").load(TEXT)
BUILD, PUBLISH = WORKFLOW["jobs"]["build"], WORKFLOW["jobs"]["publish"]


def test_only_a_tag_of_a_version_starts_it():
    assert WORKFLOW["on"] == {"push": {"tags": ["v[0-9]*"]}}


def test_each_job_has_the_rights_that_it_needs_and_no_other():
    assert set(WORKFLOW["jobs"]) == {"build", "publish"}
    assert WORKFLOW["permissions"] == {}
    assert BUILD["permissions"] == {"contents": "read"}
    assert PUBLISH["permissions"] == {"id-token": "write", "attestations": "write"}
    assert PUBLISH["environment"] == "release"
    assert "secrets." not in TEXT


def test_the_job_that_may_publish_runs_no_code_of_the_repository():
    assert PUBLISH["needs"] == "build"
    assert not [step for step in PUBLISH["steps"] if "run" in step]
    actions = [step["uses"].partition("@")[0] for step in PUBLISH["steps"]]
    assert actions == [
        "actions/download-artifact",
        "actions/attest-build-provenance",
        "pypa/gh-action-pypi-publish",
    ]
    assert "with" not in PUBLISH["steps"][-1]  # neither a password nor an address
    assert "://" not in TEXT


def test_it_publishes_what_it_has_built_checked_and_installed():
    (upload,) = [step for step in BUILD["steps"] if step.get("with", {}).get("name") == "dist"]
    assert upload is BUILD["steps"][-1]
    assert PUBLISH["steps"][0]["with"] == {"name": "dist", "path": upload["with"]["path"]}
    lines = "\n".join(step.get("run", "") for step in BUILD["steps"])
    for part in ("python -m build", "twine check --strict dist/*", "bench --version", "plan quick"):
        assert part in lines


@pytest.mark.parametrize(("tag", "code"), [("v1.2.3", 0), ("v1.2", 1), ("v1.2.30", 1)])
def test_a_tag_without_a_section_of_the_changelog_is_no_release(tmp_path, tag, code):
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2026-01-01)\n")
    (line,) = [step["run"] for step in BUILD["steps"] if step.get("name", "").startswith("The ch")]
    ended = subprocess.run(
        ["bash", "-c", line],
        cwd=tmp_path,
        env={**os.environ, "GITHUB_REF_NAME": tag},
        check=False,
    )
    assert ended.returncode == code


def test_every_file_names_the_same_version():
    version = ondevice_bench.__version__
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version
    headings = re.findall(
        r"^## (\d+\.\d+\.\d+) \(", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert headings[0] == version
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
