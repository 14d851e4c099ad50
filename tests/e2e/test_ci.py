"""A toy repository with a history and a workflow, run as GitHub would: docs/ci.md says what happens.

Exact metrics are real, of a tiny network. Times come from a host without processes, so that a
slow-down is always the same.
"""

import json
import re
from pathlib import Path

import junitparser
import pytest
from ruamel.yaml import YAML

from tests.ci_shell import Runner, bench_program, program, runs
from tests.conftest import ROOT
from tests.e2e.toy import GH, recipe

KEPT_BY_SIN = 16 * 4  # bytes, for each example


@pytest.fixture(scope="module")
def programs(tmp_path_factory, command):
    folder = tmp_path_factory.mktemp("programs")
    program(folder, "gh", GH)
    program(folder, "pip", "#!/bin/bash\n")  # all is installed
    with bench_program(folder, command):
        yield folder


def test_an_edit_without_a_cost_is_green_and_says_which_file_changed_and_a_cell_may_be_new(toy):
    toy.write(note="# a remark\n", batch="[4, 8]")
    run, gate, tracker = toy.check()
    assert (run.code, gate.code, tracker.code) == (0, 0, 0), gate.log
    assert gate.summary.startswith("## ✅ Not worse: ")
    assert "- net.py changed (" in gate.summary
    assert "in 1 cell" in gate.summary
    assert "- new: net.py:net@" in gate.summary
    assert "/b8/s0" in gate.summary
    assert gate.annotations == []
    page = (toy.folder / "comparison.html").read_text()
    assert page.index("<h1>Not worse: ") < page.index("net.py changed")
    suite = junitparser.JUnitXml.fromfile(str(toy.folder / "comparison.xml"))
    (cases,) = suite
    assert (cases.failures, cases.errors, cases.skipped) == (0, 0, 0)
    assert cases.tests == len(list(cases)) > 5
    # only the strict form finds another cell on each side
    strict = toy.bench("compare", "baselines/main.json", "mine", "--same-code")
    assert strict.code == 5
    assert "0 missing" not in strict.log
    assert "1 cell only in the base, 2 cells new" in strict.log
    history = toy.bench("history", "mine", "--json")
    assert history.code == 0
    series = [one for one in json.loads(history.log)["series"] if len(one["points"]) == 2]
    assert series
    assert not any(one["findings"] for one in series)
    assert len({point["code"]["net.py"] for point in series[0]["points"]}) == 2
    apart = toy.bench("history", "mine", "--same-code")
    assert apart.code == 6
    assert "no cell was measured twice" in apart.log


def test_a_saved_tensor_fails_the_job_until_somebody_accepts_it_and_a_further_one_again(toy):
    toy.write(body="x.sin()")
    run, gate, tracker = toy.check()
    assert (run.code, gate.code, tracker.code) == (0, 4, 4)
    assert gate.summary.startswith("## ❌ Worse: ")
    first = gate.annotations[0]
    assert first.startswith("::error file=suites/net.py,line=1,title=bench compare::regressed: ")
    (found,) = [line for line in gate.annotations if ": activation_bytes: " in line]
    assert "net.py changed (" in found
    (cases,) = junitparser.JUnitXml.fromfile(str(toy.folder / "comparison.xml"))
    assert cases.failures == len(gate.annotations)

    text = (toy.folder / "baselines/main.json").read_text()
    why = '"the sine is the point of this commit"'
    accept = toy.bench("baseline", "accept", "main", "net", "all", "--because", why, "--by", "Ada")
    assert accept.code == 0, accept.log
    added = set((toy.folder / "baselines/main.json").read_text().splitlines()) - {
        *text.splitlines()
    }
    assert len(added) == cases.failures  # a line for each metric, and nothing else
    lines = [json.loads(line.rstrip(",")) for line in added]
    assert {(line["by"], line["because"]) for line in lines} == {("Ada", why.strip('"'))}
    (values,) = [line["values"] for line in lines if line["metric"] == "activation_bytes"]
    saved = toy.bench("compare", "baselines/main.json", "mine", "--json")
    (difference,) = [
        each
        for each in json.loads(saved.log)["differences"]
        if each["metric"] == "activation_bytes"
    ]
    assert difference["verdict"] == "accepted"
    assert [difference["new"]] == values
    assert difference["new"] - difference["base"] == 4 * KEPT_BY_SIN

    gate = toy.bench("compare", "baselines/main.json", "mine")
    assert gate.code == 0, gate.log
    assert gate.annotations == []
    assert "accepted by Ada: the sine is the point of this commit" in gate.log
    assert "accepted by Ada" in gate.summary

    toy.write(body="x.sin().cos()")
    _, gate, _ = toy.check()
    assert gate.code == 4
    assert "the base value is accepted by Ada" in gate.summary


def test_a_cell_that_is_gone_is_no_green_job(toy):
    toy.write(batch="[8]")
    run, gate, _ = toy.check()
    assert (run.code, gate.code) == (0, 5)
    assert gate.summary.startswith("## ⚠️ Not decided: 1 cell of the base is gone")
    (warning,) = gate.annotations
    assert warning.startswith("::warning title=bench compare::only in ")


def test_a_cell_that_fails_is_told_in_the_summary_too(toy):
    toy.write(body="x.no_such_thing() if len(x) == 4 else x")  # not when `bench` looks at it
    run, gate, tracker = toy.check()
    assert (run.code, gate.code, tracker.code) == (3, 4, 4), run.log
    assert gate.summary.startswith("## ❌ Worse: rounds of 1 cell failed")
    assert "no_such_thing" in gate.summary.replace("\\", "")
    assert gate.annotations[0].startswith("::error file=suites/net.py,line=1,")


def test_the_documented_history_draws_its_page_however_few_runs_there_are(toy):
    (toy.folder / "workflow.yml").write_text(recipe("history"))
    installed, run, history = toy.runner.workflow(toy.folder / "workflow.yml")
    assert (installed.code, run.code, history.code) == (0, 0, 0), history.log
    assert (toy.folder / "trend.html").exists()


def test_the_page_gives_the_action_inputs_that_it_has_and_a_commit():
    (job,) = YAML(typ="safe").load(recipe("benchmarks"))["jobs"].values()
    (step,) = [step for step in job["steps"] if "ondevice-bench@" in step.get("uses", "")]
    action = YAML(typ="safe").load((ROOT / "action.yml").read_text())
    assert set(step["with"]) <= set(action["inputs"])
    page = (ROOT / "docs/ci.md").read_text()
    assert all(f"| `{name}` |" in page for name in action["inputs"])
    assert set(action["outputs"]) == {"code", "page"}
    assert not [step for step in action["runs"]["steps"] if "uses" in step]  # nothing to pin


def test_the_action_compares_two_commits_and_keeps_one_comment(toy):
    toy.write(body="x.sin()")
    toy.commit("keep a sine")
    inputs = {"install": "", "suite": "mine", "budget": "0.1s"}
    (toy.folder / "gh.answer").write_text("[]")
    ended = toy.runner.action(ROOT / "action.yml", inputs)
    assert list(ended) == ["Install", "Compare", "Comment", "Decide"]
    assert [step.code for step in ended.values()] == [0, 0, 0, 4], ended["Compare"].log
    compare = ended["Compare"]
    assert compare.outputs["code"] == "4"
    assert compare.summary.startswith("## ❌ Worse: ")
    assert compare.annotations[0].startswith("::error file=suites/net.py,line=1,title=bench ab::")
    said = compare.summary.replace("\\", "")
    shown = (ROOT / "docs/ci.md").read_text()
    sentence, *_, row, _, code = re.findall(r"^> ?(.*)$", shown, re.MULTILINE)
    assert f"## {sentence.strip('*')}\n" in said
    assert code in said.splitlines()
    (found,) = [line for line in said.splitlines() if "| activation_bytes |" in line]
    assert set(row.split(" | ")) <= {*found.split(" | "), "regressed |"}
    assert re.search(r"^ +(regressed: .*)$", shown, re.MULTILINE)[1] in compare.log
    page = Path(compare.outputs["page"]).read_text()
    assert page.index("<h1>Worse: ") < page.index("<td>activation_bytes</td>")
    comment = (toy.folder / "comment.md").read_text()
    where = "job ab on Linux X64"
    marker = f"<!-- ondevice-bench: mine, {where} -->"
    assert comment == f"{marker}\n{compare.summary}\n\nSuite `mine`, {where}.\n"
    told = (toy.folder / "gh.log").read_text().splitlines()
    assert "--method POST repos/somebody/toy/issues/7/comments" in told[-1]

    there = [
        {"id": 1, "user": {"type": "User"}, "body": comment},
        {"id": 2, "user": {"type": "Bot"}, "body": "something else"},
        {"id": 4, "user": {"type": "Bot"}, "body": comment.replace("X64", "ARM64")},  # of a board
        {"id": 3, "user": {"type": "Bot"}, "body": comment},
    ]
    (toy.folder / "gh.answer").write_text(json.dumps(there))
    again = toy.runner.action(ROOT / "action.yml", inputs | {"base": "HEAD"})
    assert again["Decide"].code == 0, again["Compare"].log
    told = (toy.folder / "gh.log").read_text().splitlines()
    assert "--method PATCH repos/somebody/toy/issues/comments/3 " in told[-1]
    assert "Not worse" in (toy.folder / "comment.md").read_text()
    pages = [Path(each["Compare"].outputs["page"]) for each in (ended, again)]
    assert len({page.read_text() for page in pages}) == 2
    assert "had too few rounds for an interval" in again["Compare"].summary


def test_the_action_may_report_without_a_red_job_and_without_a_comment(toy):
    toy.write(body="x.sin()")
    toy.commit("keep a sine")
    inputs = {"install": "", "suite": "mine", "budget": "0.1s", "fail-on": "", "comment": "false"}
    ended = toy.runner.action(ROOT / "action.yml", inputs)
    assert list(ended) == ["Install", "Compare", "Decide"]
    assert ended["Decide"].code == 0, ended["Compare"].log
    assert ended["Compare"].outputs["code"] == "0"
    assert ended["Compare"].summary.startswith("## ✅ Worse, which does not fail here: ")


def test_the_action_needs_no_pull_request_and_then_comments_nowhere():
    steps = YAML(typ="safe").load((ROOT / "action.yml").read_text())["runs"]["steps"]
    (condition,) = [step["if"] for step in steps if step["name"] == "Comment"]
    asked = {"inputs.comment": "true"}
    assert not runs(condition, asked, has_failed=False)
    asked["github.event.pull_request.number"] = "7"
    assert runs(condition, asked, has_failed=False)
    assert not runs(condition, asked, has_failed=True)


def test_the_comment_is_found_whoever_has_the_token_and_never_written_twice(toy):
    steps = YAML(typ="safe").load((ROOT / "action.yml").read_text())["runs"]["steps"]
    (script,) = [step["run"] for step in steps if step["name"] == "Comment"]
    env = {"NUMBER": "7", "SUITE": "mine", "WHERE": "job ab on Linux X64"}
    body = "<!-- ondevice-bench: mine, job ab on Linux X64 -->\n## Worse"
    (toy.folder / ".runner").mkdir(exist_ok=True)
    (toy.folder / ".runner/bench-ab.md").write_text("## Not worse\n")
    there = [
        {"id": 1, "user": {"type": "User", "login": "stranger"}, "body": body},
        {"id": 2, "user": {"type": "User", "login": "ada"}, "body": body},
    ]
    (toy.folder / "gh.answer").write_text(json.dumps(there))
    (toy.folder / "gh.user").write_text("ada\n")
    ended = toy.runner.step(script, env)
    assert (ended.code, ended.annotations) == (0, []), ended.log
    told = (toy.folder / "gh.log").read_text().splitlines()
    assert "--method PATCH repos/somebody/toy/issues/comments/2 " in told[-1]

    (toy.folder / "gh.answer").unlink()  # the comments cannot be read
    ended = toy.runner.step(script, env)
    assert ended.code == 0, ended.log
    _, _, text = ended.annotations[0].removeprefix("::warning ").partition("::")
    assert text == "the token may not read or write comments: the job needs pull-requests: write"
    told = (toy.folder / "gh.log").read_text().splitlines()
    assert "--paginate" in told[-1]


CONFTEST = """\
from ondevice_bench.hardware.probe import probe
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.running.hosts.fake import FakeHost

rounds = iter(range(10**6))


def answer(job):
    seconds = {step} * (1 + next(rounds) % 7 / 1000)
    found = {{"step_seconds": seconds}}
    return Reply("ok", result=PassResult(found, {{"step_seconds": [seconds] * 3}}))


def pytest_bench_host(config, hardware):
    return FakeHost(answer)
"""
TIMED = """\
schema: 1
title: Timed
models: [{mcunet: {batch: 8}}]
methods: [vanilla]
measure: [time]
rounds: 8
"""
PYTEST = "python -m pytest -q -p no:cacheprovider --benchmark --suite timed --interleave"


def test_a_step_that_is_ten_per_cent_slower_fails_the_tests_of_the_job(tmp_path, programs):
    runner = Runner(tmp_path, programs)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites/timed.yaml").write_text(TIMED)
    (tmp_path / "conftest.py").write_text(CONFTEST.format(step=1.0))
    assert runner.step(PYTEST).code == 0
    assert runner.step("bench baseline save main").code == 0
    (tmp_path / "conftest.py").write_text(CONFTEST.format(step=1.1))
    slow = runner.step(f"{PYTEST} --baseline baselines/main.json")
    assert slow.code == 1
    assert slow.summary.startswith("## ❌ Worse: 1 metric of 1 cell regressed")
    (error,) = slow.annotations
    place = "file=baselines/main.json,line="
    assert error.startswith(f"::error {place}")
    number = int(error.removeprefix(f"::error {place}").partition(",")[0])
    line = (tmp_path / "baselines/main.json").read_text().splitlines()[number - 1]
    assert line.strip().startswith('"time/step_seconds": ')
    assert "1.00 s → 1.10 s (1.10×, " in error
    compared = runner.step("bench compare baselines/main.json timed")
    assert compared.code == 4, compared.log
    assert compared.summary.startswith("## ❌ Worse: 1 metric of 1 cell regressed")
    (error,) = compared.annotations
    assert error.startswith(f"::error {place}{number},title=bench compare::regressed: ")
    accepted = runner.step(
        'bench baseline accept main vanilla step_seconds --because "a better loss" --by Ada'
    )
    assert accepted.code == 0, accepted.log
    again = runner.step(f"{PYTEST} --baseline baselines/main.json")
    assert again.code == 0, again.log
    assert again.summary.startswith("## ✅ Not worse: 1 accepted")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("compare baselines/main.json mine --format md --json", "--json and --format md: give"),
        ("compare baselines/main.json mine --out x", "--out goes with --format md, junit or html"),
        ("baseline accept main net all", "--because: say why the change is meant"),
        ("baseline accept nobody net all --because x", "baselines/nobody.json: cannot be read"),
        ("baseline accept main net all --because x", "nothing to accept"),
        ("baseline accept main net activation_byte --because x", "did you mean 'activation_bytes'"),
        ("baseline accept main nett all --because x", "unknown cell 'nett'"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(saved, bench, monkeypatch, words, says):
    monkeypatch.chdir(saved.folder)
    before = (saved.folder / "baselines/main.json").read_bytes()
    ended = bench(*words.split(), cwd=saved.folder)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
    assert (saved.folder / "baselines/main.json").read_bytes() == before


@pytest.mark.parametrize("words", ["compare baselines/main.json mine", "ab . . --suite mine"])
def test_a_summary_that_cannot_be_written_is_said_before_anything_is_measured(
    saved, bench, monkeypatch, words
):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(saved.folder / "suites"))
    ended = bench(*words.split(), cwd=saved.folder)
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert line.startswith("bench: GITHUB_STEP_SUMMARY: ")
    assert line.endswith("cannot be written: Is a directory")


def test_a_baseline_edited_by_hand_is_one_line_with_its_place(saved, bench, tmp_path):
    text = (saved.folder / "baselines/main.json").read_text()
    edited = saved.folder / "edited.json"
    edited.write_text(text.replace('"values": [', '"values": [,', 1))
    ended = bench("compare", "edited.json", "mine", cwd=saved.folder)
    assert ended.code == 2
    number = text[: text.index('"values": [')].count("\n") + 1
    assert ended.err.startswith(f"bench: edited.json:{number}: not JSON, so not a baseline: ")
    before = edited.read_bytes()
    accepted = bench(
        *("baseline", "accept", "edited.json", "net", "all", "--because", "x"), cwd=saved.folder
    )
    assert (accepted.code, accepted.err, accepted.out) == (2, ended.err, "")
    assert edited.read_bytes() == before
    edited.unlink()
