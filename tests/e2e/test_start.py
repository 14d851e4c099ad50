"""The first steps with the real command: a suite, a method, and a page in the browser."""

import shutil

from tests.starters.test_write import NET


def test_a_first_suite_is_written_planned_and_run(bench, workplace):
    ended = bench("init")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "suite: suites/mine.yaml",
        "for your editor: suites/suite.schema.json",
        "next: `bench plan mine`, then `bench run mine --open`",
    ]
    again = bench("init")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert bench("plan", "mine").out.splitlines()[-1].startswith("6 planned; ")
    (workplace / "mynet.py").write_text(NET)
    assert bench("init", "own", "--model", "./mynet.py:net").code == 0
    ended = bench("run", "own", "--filter", "vanilla", "--budget", "60s", "--json")
    assert ended.code == 0, ended.err
    (cell,) = ended.json()["cells"]
    assert cell["metrics"]["activation_bytes"]["estimate"] > 0


def test_a_first_method_passes_its_checks_as_written(bench):
    ended = bench("new-method", "sums")
    assert ended.out.splitlines() == [
        "method: sums.py",
        "next: `bench check-method ./sums.py:Sums`",
    ]
    checked = bench("check-method", "./sums.py:Sums", "--json")
    assert checked.code == 0, checked.out
    assert {check["passed"] for check in checked.json() if check["check"] != "FLOPs"} == {True}


def test_a_page_that_cannot_be_opened_is_one_line_and_no_failure(
    bench, tiny_run, monkeypatch, tmp_path
):
    monkeypatch.setenv("CI", "true")
    page = tmp_path / "x.html"
    ended = bench("report", "tiny", "-o", page, "--open", cwd=tiny_run.folder)
    assert ended.code == 0
    assert ended.err == f"bench: {page} was not opened: CI is set\n"


def test_a_comparison_of_boards_leaves_the_page_of_the_run_and_says_if_there_is_one(
    bench, tiny_run, workplace
):
    here = workplace / "here"
    shutil.copytree(tiny_run.folder, here)
    page = here / "bench-out/tiny/report.html"
    before = page.read_bytes()
    ended = bench("report", "tiny", "--compare-hardware", cwd=here)
    assert (ended.code, ended.out) == (0, "report: bench-out/tiny/report-boards.html\n")
    (line,) = ended.err.splitlines()
    assert line.startswith("bench: tiny was measured on ")
    assert line.endswith(" only: run it on another board, and `bench import` its bundle here")
    assert page.read_bytes() == before
