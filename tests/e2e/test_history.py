"""`bench history` over stored runs, in a repository that has their commits."""

import random
import shutil

import pytest

from ondevice_bench.record.store import Store
from tests.git import git
from tests.report import synthetic


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository of thirty commits, of which the eighteenth is tagged."""
    folder = tmp_path_factory.mktemp("commits")
    (folder / ".gitignore").write_text("bench-out\n*.html\n")
    git("init", "-q", cwd=folder)
    for number in range(30):
        (folder / "code").write_text(str(number))
        git("add", "-A", cwd=folder)
        git("commit", "-qm", str(number), cwd=folder)
        if number == 18:
            git("tag", "v1", cwd=folder)
    return folder


@pytest.fixture
def commits(workplace, repository):
    """The commits of the repository, of which the workplace is a copy; the oldest one first."""
    shutil.copytree(repository, workplace, dirs_exist_ok=True)
    return git("log", "--reverse", "--abbrev=10", "--format=%h").splitlines()


def store(workplace, commits, days=None, suite="quick"):
    """A run at each commit: WASI is 12 % slower from the sixteenth on, and SVD fatter."""
    path = workplace / "bench-out" / suite / "results.sqlite"
    path.parent.mkdir(parents=True)
    dice, cells = random.Random(1), synthetic.cells()
    with Store.create(path) as made:
        for number, commit in enumerate(commits):
            day = (days or range(len(commits)))[number]
            run = synthetic.run_of(
                f"{suite}-{number:02}",
                commit=commit,
                created=f"2026-03-{day + 1:02}T00:00:00+00:00",
            )
            slower = 1.12 if number >= 16 else 1
            more = 4 if number >= 16 else 0
            records = synthetic.of_history(dice, cells, run.id, slower=slower, more=more)
            made.merge(run, synthetic.planned(cells), records)


def test_a_history_names_the_commits_and_draws_the_page(bench, workplace, commits):
    store(workplace, commits, days=[*range(15), *range(29, 14, -1)])  # the later ones backwards
    ended = bench("history", "quick", "-o", "trend.html", "--json")
    assert ended.code == 0, ended.err
    said = ended.json()
    assert said["ordered_by"] == "commits"
    assert [run["commit"] for run in said["runs"]] == commits
    found = [(one, each) for one in said["series"] for each in one["findings"]]
    assert sorted((one["metric"], each["kind"]) for one, each in found) == [
        ("activation_bytes", "changed"),
        ("step_seconds", "stepped"),
    ]
    for _, finding in found:
        assert (finding["after_commit"], finding["until_commit"]) == (commits[15], commits[16])
    page = (workplace / "trend.html").read_text()
    assert f"somewhere between {commits[15][:7]} and {commits[16][:7]}" in page
    again = bench("report", "-o", "again.html", "--layout", "regression", *runs_of(said))
    assert again.code == 0, again.err
    assert (workplace / "again.html").read_text() == page
    text = bench("history", "--cell", "wasi", "--metric", "step_seconds").out
    assert "step on x86 became worse, somewhere between" in text
    assert "30 runs, ordered by their commits in this repository" in text


def runs_of(said):
    """As `report` takes them: the one that the page is about first."""
    names = [run["run"] for run in said["runs"]]
    return [names[-1], *names[:-1]]


@pytest.mark.parametrize(
    ("since", "count"), [("v1", 12), ("2026-03-11", 20), ("2026-03-11T00:00:01", 19)]
)
def test_since_a_day_or_a_commit(bench, workplace, commits, since, count):
    store(workplace, commits)
    exact = ("--metric", "activation_bytes")
    assert len(bench("history", *exact, "--since", since, "--json").json()["runs"]) == count
    lonely = bench("history", *exact, "--since", commits[29])
    assert (lonely.code, lonely.out) == (6, "")
    assert lonely.err.endswith("one run to look at: a history needs two\n")


def test_one_metric_may_be_chosen(bench, workplace, commits):
    store(workplace, commits[:3])
    ended = bench("history", "--metric", "activation_bytes")
    assert ended.code == 0, ended.err
    assert "no change seen" in ended.out


def test_too_few_runs_of_a_noisy_metric_decide_nothing(bench, workplace, commits):
    store(workplace, commits[:2])
    ended = bench("history", "--metric", "step_seconds", "--json")
    assert ended.code == 5, ended.err
    assert {one["not_judged"] for one in ended.json()["series"]} == {
        "2 runs: a change needs 7 runs before it and 7 after it"
    }


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["quik"],
            "unknown suite or store 'quik'; did you mean 'quick'? (known: quick) in bench-out",
        ),
        (["no.sqlite"], "no.sqlite: no such store"),
        (["--metric", "stp_seconds"], "--metric: unknown metric 'stp_seconds'; did you mean"),
        (["--cell", "wassi"], "--cell: no cell matches 'wassi'"),
        (
            ["--since", "2026-02-30"],
            "--since: '2026-02-30' is not a date: give one such as 2026-03-01, or a commit",
        ),
        (["--since", "v9"], "--since: 'v9' is neither a date nor a commit of these runs"),
        (["--threshold", "2"], "--threshold: must be in (0, 1), got 2"),
    ],
)
def test_bad_input_is_one_line(bench, workplace, commits, words, line):
    store(workplace, commits[:3])
    ended = bench("history", "-o", "trend.html", *words)
    assert ended.code == 2
    assert ended.err.startswith(f"bench: {line}")
    assert ended.err.count("\n") == 1
    assert not (workplace / "trend.html").exists()


def test_nothing_to_look_at(bench, workplace, commits):
    ended = bench("history")
    assert (ended.code, ended.err) == (
        2,
        "bench: no runs in bench-out: start with `bench run quick`\n",
    )
    store(workplace, commits[:1])
    ended = bench("history")
    assert ended.code == 6
    assert ended.err == (
        "bench: bench-out/quick/results.sqlite: only one run to look at: a history needs two\n"
    )
