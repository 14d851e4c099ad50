"""Every recipe of docs/ci.md and docs/published-history.md, line by line, in the toy repository.

The lines come from the pages. Only a budget of minutes becomes a short one. The other workflows of
the pages run in `test_ci.py`, too: there, each change of the code has its verdict.
"""

import json
import re
import sys
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from ondevice_bench.record import bundle
from ondevice_bench.record.store import Store
from tests.ci_shell import Runner, bench_program, program, runs
from tests.conftest import ROOT
from tests.e2e.toy import GH, recipe
from tests.git import git
from tests.report import synthetic
from tests.site.conftest import content
from tests.test_docs import BLOCKS

PIP = '#!/bin/bash\necho "$@" >> pip.log\n'
# a virtual environment is a folder here: its programs would be those of this test
PYTHON = """\
#!/bin/bash
if [ "$1 $2" = "-m venv" ]; then exec mkdir -p "$3/bin"; fi
exec {python} "$@"
"""
PYTEST = '#!/bin/bash\nexec {python} -m pytest -p no:cacheprovider "$@"\n'
INSTALL = "install ondevice-bench @ git+ADDRESS@COMMIT"
# what each block of commands begins with, and each workflow
COMMANDS = {
    "bench init",
    "bench run mine",
    "bench baseline accept",
    "pytest --benchmark --suite",
    "bench compare",
    "bench ab",
    "bench history quick",
    "bench export",
    "pytest --benchmark-json",
    "bench site",
}
WORKFLOWS = {"benchmarks", "baseline", "history", "site"}
PAGES = {ROOT / "docs" / "ci.md", ROOT / "docs" / "published-history.md"}
SHOWN = [block for block in BLOCKS if block.page in PAGES]


def is_shell(block):
    return block.language in ("sh", "console")


def text_of(block):
    return block.body.removeprefix("$ ")


def block_of(start):
    """The block of commands that begins so."""
    (block,) = [each for each in SHOWN if is_shell(each) and text_of(each).startswith(start)]
    return block


def lines_of(start):
    """The commands of that block, without what they print."""
    block = block_of(start)
    lines = block.body.splitlines()
    if block.language == "sh":
        return lines
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def short(line):
    """The line with a short budget."""
    if not line.startswith("bench ab "):
        return line
    if "--budget" in line:
        return line.replace("--budget 10m", "--budget 0.1s")
    return f"{line} --budget 0.1s"


def run_lines(runner, start, *codes):
    """Run the lines of a block; each ends with its code."""
    lines = lines_of(start)
    found = []
    for line, code in zip(lines, codes, strict=True):
        found.append(runner.step(short(line)))
        assert found[-1].code == code, f"{line}\n{found[-1].log}"
        assert "Traceback" not in found[-1].log
    return found


@pytest.fixture(scope="module")
def programs(tmp_path_factory, command):
    folder = tmp_path_factory.mktemp("programs")
    program(folder, "gh", GH)
    program(folder, "pip", PIP)
    program(folder, "python3", PYTHON.format(python=sys.executable))
    program(folder, "pytest", PYTEST.format(python=sys.executable))
    with bench_program(folder, command):
        yield folder


def test_every_recipe_of_the_page_is_run_here():
    starts = [text_of(block) for block in SHOWN if is_shell(block)]
    for text in starts:
        assert sum(text.startswith(start) for start in COMMANDS) == 1, text
    assert len(starts) == len(COMMANDS)
    texts = [block.body for block in SHOWN if block.language == "yaml"]
    assert {text.partition("\n")[0].removeprefix("name: ") for text in texts} == WORKFLOWS
    marks = {block.mark for block in SHOWN if is_shell(block)}
    assert marks == {"run by: tests/e2e/test_ci_recipes.py"}


def test_a_suite_is_written_for_a_network_of_the_repository(tmp_path, toy, programs):
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "net.py").write_text((toy.folder / "suites/net.py").read_text())
    _, plan = run_lines(Runner(folder, programs), "bench init", 0, 0)
    assert "../net.py:net: {batch: 8}" in (folder / "suites/mine.yaml").read_text()
    assert "vanilla" in plan.log


def test_a_baseline_is_saved_and_compared_with(toy):
    (toy.folder / "baselines/main.json").unlink()
    *_, compared = run_lines(toy.runner, "bench run mine", 0, 0, 0, 0)
    assert compared.summary.startswith("## ✅ Not worse: ")
    toy.write(body="x.sin()")
    toy.bench("run", "mine")
    assert toy.runner.step(lines_of("bench run mine")[-1]).code == 4


def test_a_change_is_accepted_and_then_is_green(toy):
    toy.write(body="x.sin()")
    toy.bench("run", "mine")
    git("config", "user.name", "Ada", cwd=toy.folder)
    run_lines(toy.runner, "bench baseline accept", 0, 0)
    accepted = json.loads((toy.folder / "baselines/main.json").read_text())["accepted"]
    assert {each["metric"] for each in accepted} > {"activation_bytes"}
    assert {each["by"] for each in accepted} == {"Ada"}
    assert {each["because"] for each in accepted} == {"the head keeps its input for the new loss"}
    compared = toy.bench("compare", "baselines/main.json", "mine")
    assert compared.code == 0, compared.log
    assert "accepted by Ada" in compared.summary


def test_pytest_makes_the_same_comparison(toy, forking_conftest):
    (toy.folder / "conftest.py").write_text(forking_conftest)
    (green,) = run_lines(toy.runner, "pytest --benchmark --suite", 0)
    assert green.summary.startswith("## ✅ Not worse: ")
    toy.write(body="x.sin()")
    (red,) = run_lines(toy.runner, "pytest --benchmark --suite", 1)
    assert red.summary.startswith("## ❌ Worse: ")
    assert red.annotations[0].startswith("::error file=suites/net.py,line=1,title=pytest --bench")


@pytest.fixture
def worse(toy):
    """The branch `main`, and a commit after it that keeps one more tensor; its run is stored."""
    git("branch", "-M", "main", cwd=toy.folder)
    git("checkout", "-qb", "work", cwd=toy.folder)
    toy.write(body="x.sin()")
    toy.commit("keep a sine")
    assert toy.bench("run", "mine").code == 0
    return toy


def test_the_decision_is_printed_for_other_systems(worse):
    markdown, *_ = run_lines(worse.runner, "bench compare", 4, 4, 4, 4)
    assert "## ❌ Worse: " in markdown.log
    assert (worse.folder / "junit.xml").read_text().startswith("<?xml")
    assert "<td>activation_bytes</td>" in (worse.folder / "page.html").read_text()


def test_two_commits_are_compared(worse):
    (compared,) = run_lines(worse.runner, "bench ab", 4)
    assert "activation_bytes" in compared.log


def test_the_history_of_runs_made_by_hand_is_the_one_on_the_page(tmp_path, programs):
    path = tmp_path / "bench-out/quick/results.sqlite"
    path.parent.mkdir(parents=True)
    with Store.create(path) as store:
        for number in range(24):
            each = content(number, software=synthetic.run_of().software)
            store.add_finished(each.run, each.cells, each.records)
    (ended,) = run_lines(Runner(tmp_path, programs), "bench history quick", 0)
    shown = block_of("bench history quick").body.splitlines()[1:]
    assert ended.log.splitlines()[-len(shown) :] == shown
    assert (tmp_path / "trend.html").exists()


def test_a_run_is_exported_for_each_tracker(toy):
    seen = []
    for line in lines_of("bench export"):
        assert toy.runner.step(line).code == 0
        seen.append(json.loads((toy.folder / "out.json").read_text()))
    bencher, action = seen
    (measures,) = bencher.values()
    assert measures["activation-bytes-whole-network"]["value"] == 420
    assert 420 in [each["value"] for each in action if "activation_bytes" in each["name"]]


def test_readings_of_pytest_benchmark_come_into_the_history(tmp_path, programs):
    (tmp_path / "test_sum.py").write_text("def test_it(benchmark):\n    benchmark(sum, [1])\n")
    _, kept, history = run_lines(Runner(tmp_path, programs), "pytest --benchmark-json", 0, 0, 0)
    name = r"bench-out/foreign/pytest-benchmark-[0-9a-f]{12}\.json"
    says = rf"foreign: 1 benchmark of pytest-benchmark 5\.\S+ on .+, CPython [\d.]+: {name}\n"
    assert re.search(says, kept.log), kept.log
    assert re.search(says, block_of("pytest --benchmark-json").body)
    assert "test_sum.py::test_it" in history.log


def test_a_site_is_made_and_stores_are_thinned(toy):
    (toy.folder / "bundles").mkdir()
    toy.bench("export", "mine", "-o", "bundles/one.bundle")
    first, again, looked, done = run_lines(toy.runner, "bench site", 0, 0, 0, 0)
    assert "site: site/index.html: 1 run, 1 new; " in first.log
    assert "1 run, 0 new" in again.log
    for ended in (looked, done):
        assert ended.log.endswith("nothing to remove: all of 1 run stay\n")


def test_the_action_installs_itself_compares_and_its_page_becomes_an_artefact(toy):
    toy.write(note="# a remark\n")
    toy.commit("a remark")
    (job,) = YAML(typ="safe").load(recipe("benchmarks"))["jobs"].values()
    *_, action, upload = job["steps"]
    (toy.folder / "gh.answer").write_text("[]")
    toy.runner.event = {**toy.runner.event, "action_path": str(ROOT)}
    ended = toy.runner.action(ROOT / "action.yml", {**action["with"], "budget": "0.1s"})
    assert [step.code for step in ended.values()] == [0, 0, 0, 0], ended["Compare"].log
    asked = (toy.folder / "pip.log").read_text()
    assert asked == f"install -c {ROOT}/constraints.txt {ROOT}\n"
    assert (ROOT / "constraints.txt").exists()
    assert upload["with"]["path"] == "${{ steps.ab.outputs.page }}"
    outputs = {f"steps.ab.outputs.{k}": v for k, v in ended["Compare"].outputs.items()}
    assert runs(upload["if"], outputs, has_failed=True)
    assert not runs(upload["if"], {}, has_failed=True)


@pytest.mark.parametrize("name", ["baseline", "history"])
def test_a_job_installs_bench_in_the_repository_of_somebody(toy, name):
    (toy.folder / "workflow.yml").write_text(recipe(name))
    ended = toy.runner.workflow(toy.folder / "workflow.yml")
    assert [step.code for step in ended] == [0] * len(ended), ended[-1].log
    assert (toy.folder / "pip.log").read_text() == f"{INSTALL}\n"


def checkout(remote, folder, *words):
    """A clone of the branch `main`, as the action `checkout` makes one."""
    git("clone", "-q", "-b", "main", *words, f"file://{remote}", str(folder))
    return folder


def run_job(folder, programs, job):
    runner = Runner(folder, programs)
    for ended in runner.job(job):
        assert ended.code == 0, ended.log
    assert (folder / "pip.log").read_text() == f"{INSTALL}\n"
    return runner


def as_pi(path):
    """Let the run of a bundle be one of a Pi."""
    (run,) = bundle.read(path)
    machine = {**run.run.machine, "unit": "0a1b2c3d4e5f"}
    cells = tuple(replace(each, profile="pi5") for each in run.cells)
    bundle.write(
        [replace(run, run=replace(run.run, profile="pi5", machine=machine), cells=cells)], path
    )


def test_jobs_on_two_boards_publish_two_commits_into_one_site(toy, tmp_path, programs):
    jobs = YAML(typ="safe").load(recipe("site"))["jobs"]
    measure, publish = jobs["measure"], jobs["publish"]
    remote = tmp_path / "remote.git"
    git("init", "-q", "--bare", "-b", "main", str(remote))
    git("remote", "add", "origin", str(remote), cwd=toy.folder)
    assert measure["strategy"]["matrix"] == {"board": ["ubuntu-latest", "pi5"]}
    for number in range(2):
        toy.write(body="x.sin()" if number else "x", note=f"# {number}\n")
        toy.commit(f"commit {number}")
        git("push", "-q", "origin", "HEAD:main", cwd=toy.folder)
        publishing = checkout(remote, tmp_path / f"publish{number}")
        for board in measure["strategy"]["matrix"]["board"]:
            folder = checkout(remote, tmp_path / f"{board}{number}", "--depth", "1")
            runner = run_job(folder, programs, measure)
            assert runner.added == [str(folder / ".runner/env/bin")]
            sent = measure["steps"][-1]["with"]
            name = sent["name"].replace("${{ matrix.board }}", board)
            arrived = publishing / "bundles" / name / sent["path"]
            arrived.parent.mkdir(parents=True)
            (folder / sent["path"]).rename(arrived)
            if board == "pi5":
                as_pi(arrived)
        run_job(publishing, programs, publish)

    shown = git("show", "bench-site:index.html", cwd=remote)
    assert "Worse: " in shown
    assert shown.count("2 runs</a>") == 2
    assert "mine on pi5 (unit 0a1b2c3d4e5f)" in shown
    assert git("rev-list", "--count", "bench-site", cwd=remote) == "2"
    listed = git("ls-tree", "-r", "--name-only", "bench-site", cwd=remote).splitlines()
    assert not [name for name in listed if name.startswith(("suites", "bundles"))]
    assert sum("/data/" in name for name in listed) == 4
    boards = [name for name in listed if name.endswith("/index.html")]
    assert len(boards) == 2
    for board in boards:
        page = git("show", f"bench-site:{board}", cwd=remote)
        assert "2 runs, ordered by their commits in this repository" in page
        assert "net.py changed (" in page
