"""A toy repository with one network, its suite, and a workflow of docs/ci.md."""

from tests.ci_shell import Runner
from tests.conftest import ROOT
from tests.git import git

NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3 * 32 * 32, 16)
        self.two = nn.Linear(16, 10)

    def forward(self, x):
        x = self.one(x.flatten(1))
        return self.two({body})


def net(image_size=32):
    return Net()
"""
SUITE = """\
schema: 1
title: Mine
models: [./net.py:net: {{batch: {batch}}}]
methods: [vanilla]
measure: [trace]
"""
# it answers what our action asks of GitHub, and keeps what it was told
GH = """\
#!/bin/bash
echo "$@" >> gh.log
for word in "$@"; do
  case "$word" in body=@*) cp "${word#body=@}" comment.md;; esac
done
if [ "$2" = user ]; then exec cat gh.user; fi
if [ "$2" = --paginate ]; then cat gh.answer; fi
"""


def recipe(name):
    """The workflow of this name in docs/ci.md or docs/published-history.md."""
    pages = (ROOT / "docs" / page for page in ("ci.md", "published-history.md"))
    blocks = [block for page in pages for block in page.read_text().split("```yaml\n")[1:]]
    (found,) = [text for text in blocks if text.startswith(f"name: {name}\n")]
    return found.partition("```")[0]


class Toy:
    """The repository, and what changes in it."""

    def __init__(self, folder, programs):
        self.folder = folder
        self.runner = Runner(folder, programs, {"event.pull_request.number": 7})
        (folder / "suites").mkdir(parents=True)
        (folder / "workflow.yml").write_text(recipe("baseline"))
        (folder / ".gitignore").write_text("bench-out\n.runner\n")

    def write(self, body="x", batch="[4]", note=""):
        (self.folder / "suites/net.py").write_text(NET.format(body=body) + note)
        (self.folder / "suites/mine.yaml").write_text(SUITE.format(batch=batch))

    def commit(self, name):
        git("init", "-q", cwd=self.folder)
        git("add", "-A", cwd=self.folder)
        git("commit", "-qm", name, cwd=self.folder)

    def check(self):
        """The steps of the workflow: measure, compare, and compare for a tracker."""
        installed, *steps = self.runner.workflow(self.folder / "workflow.yml")
        assert installed.code == 0
        assert (steps[-1].summary, steps[-1].annotations) == ("", [])  # nothing is said twice
        return steps

    def bench(self, *words):
        ended = self.runner.step(f"bench {' '.join(words)}")
        assert "Traceback" not in ended.log, ended.log
        return ended
