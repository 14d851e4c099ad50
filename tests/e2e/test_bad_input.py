"""Bad input through the real command: one clear line, the right exit code, nothing written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BENCH, TINY

HEAD = "schema: 1\ntitle: t\n"
GOOD = HEAD + "models: [mcunet]\nmethods: [vanilla]\n"
HUGE = (
    HEAD
    + f"models: [mcunet]\nmethods: [vanilla]\nseeds: {list(range(350))}\n"
    + ("hardware: [x86, pi5, generic]\n")
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "x.yaml: no such file"),
        ("", "x.yaml: the file is empty"),
        ("- mcunet\n", "x.yaml:1: must be a mapping of keys to values"),
        (GOOD + "title: u\n", 'x.yaml:5: found duplicate key "title"'),
        (GOOD.replace("mcunet", "mcunt"), "x.yaml:3: models[0]: unknown model 'mcunt'; did you mean 'mcunet'?"),
        (GOOD.replace("vanilla", "vanila"), "x.yaml:4: methods[0]: unknown method 'vanila'; did you mean 'vanilla'?"),
        (GOOD + "hardware: pi55\n", "x.yaml:5: hardware: unknown hardware profile 'pi55'; did you mean 'pi5'?"),
        (GOOD.replace("[mcunet]", "[]"), "x.yaml:3: models: must not be empty"),
        (GOOD.replace("mcunet", "{mcunet: {batch: -2}}"), "x.yaml:3: models[0].batch: must be at least 1, got -2"),
        (HUGE.replace("[mcunet]", "[{mcunet: {batch: " + str(list(range(1, 101))) + "}}]"), "x.yaml: the matrix has 105,000 cells, more than 100,000"),
        (GOOD + "exclude: nothing\n", "x.yaml:5: exclude[0]: 'nothing' matches no cell"),
    ],
    ids=["missing", "empty", "list", "duplicate", "model", "method", "hardware", "matrix", "batch", "huge", "exclude"],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["run", "plan"])
def test_a_wrong_suite(bench, workplace, verb, text, says):
    if text is not None:
        (workplace / "x.yaml").write_text(text)
    ended = bench(verb, "x.yaml")
    assert ended.code == 2
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith(f"bench: {says}")
    assert not (workplace / "bench-out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("run", "."), 2, ".: is a folder, not a suite file"),
        (("run", "quikc"), 2, "unknown suite 'quikc'; did you mean 'quick'?"),
        (("run", "quick", "--hardware", "pi55"), 2, "unknown hardware 'pi55'; did you mean 'pi5'?"),
        (("run", "quick", "--suites", "none"), 2, "none: not a folder of suites"),
        (("run", "quick", "--filter", "nothing"), 6, "--filter: 'nothing' matches no cell"),
        (("run", "quick", "--retry", "all"), 2, "Invalid value for '--retry'"),
        (("run",), 2, "name a suite, or describe one with --model (see `bench run --help`)"),
        (("rnu",), 2, "No such command 'rnu'. Did you mean 'run'?"),
        (("run", "--rounds"), 2, "No such option"),
        (("run", "quick", "--memory-cap", "0G"), 2, "--memory-cap: must be above 0, got '0G'"),
        (("compare",), 2, "Missing argument 'BASE'. (see `bench compare --help`)"),
        (("list",), 2, "Missing command. (see `bench list --help`)"),
        (
            ("report", "--format", "pdf"),
            2,
            "Invalid value for '--format': 'pdf' is not one of 'html', 'text', 'md', 'csv', 'json'. (see `bench report --help`)",
        ),
        (("run", "quick", "--fresh", "--retry", "failed"), 2, "`fresh` starts a new run"),
        (("report",), 2, "no runs in bench-out: start with `bench run quick`"),
        (("report", "--json", "--format", "md"), 2, "--json and --format md: give one of them"),
        (
            ("report", "--format", "md", "--layout", "paper"),
            2,
            "--layout goes with --format html, not md",
        ),
        (("report", "--format", "text", "--open"), 2, "--open goes with --format html, not text"),
        (
            ("report", "--format", "csv", "--baseline", "asi"),
            2,
            "--baseline: the lines of --format csv",
        ),
        (("report", "none.sqlite"), 2, "none.sqlite: no such store"),
        (("compare", "a", "b"), 2, "no run, suite or store 'a'"),
    ],
)
def test_a_wrong_command(bench, workplace, arguments, code, says):
    ended = bench(*arguments)
    assert ended.code == code
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.removeprefix("bench: ").lower().startswith(says.lower())
    assert not (workplace / "bench-out").exists()


def test_a_suite_for_other_boards_runs_nothing_and_says_so(bench, workplace):
    other = "pi5" if os.uname().machine == "x86_64" else "x86"
    (workplace / "x.yaml").write_text(f"{GOOD}hardware: {other}\n")
    ended = bench("run", "x.yaml")
    assert ended.code == 6
    assert f"1 × pending on {other}. Run it on {other}, or add " in ended.err
    assert not (workplace / "bench-out").exists()


@pytest.mark.parametrize("content", [b"some text", b"SQLite format 3\0" + b"\xee" * 300])
def test_a_store_that_is_none_is_left_alone(bench, suite_file, workplace, content):
    suite_file()
    store = workplace / "bench-out" / "tiny" / "results.sqlite"
    store.parent.mkdir(parents=True)
    store.write_bytes(content)
    for verb in ("run", "report"):
        ended = bench(verb, "tiny")
        assert ended.code == 2
        assert len(ended.err.splitlines()) == 1
        assert "results.sqlite" in ended.err
    assert store.read_bytes() == content


def _mounted(
    workplace: Path, options: str, command: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    """Run the tiny suite in a small file system of its own."""
    disk = workplace / "disk"
    disk.mkdir()
    script = f'mount -t tmpfs -o {options} tmpfs "$1" && cd "$1" && shift && exec "$@" --quiet'
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    probe = subprocess.run(("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", disk), check=False)
    if probe.returncode:
        pytest.skip("needs root and mount namespaces")
    suite = workplace / "suites" / "tiny.yaml"
    return subprocess.run(
        ("unshare", "-m", "sh", "-c", script, "sh", disk, *command, "run", suite),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("ro", "Read-only file system"),
        ("size=16k", ""),
        ("size=300k", "No space left on device"),
    ],
)
def test_a_disk_that_is_full_or_read_only(forking_bench, suite_file, workplace, options, says):
    suite_file(TINY + "measure: [trace]\n")
    reads_there = options == "size=300k"  # a worker, which then cannot be forked elsewhere
    ended = _mounted(workplace, options, (str(BENCH),) if reads_there else forking_bench)
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("bench: bench-out/tiny")
    assert says in line


def test_an_internal_error_is_one_line_that_says_where_the_details_are(workplace):
    script = (
        "import sys, ondevice_bench.suite.load\n"
        "def broken(*a): raise RuntimeError('a bug\\nof ours')\n"
        "ondevice_bench.suite.load.load_suite = broken\n"
        "sys.argv = ['bench', 'run', 'quick', *sys.argv[1:]]\n"
        "from ondevice_bench.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("bench: internal error: RuntimeError: a bug; details are in /")
    details = Path(line.rpartition(" ")[2])
    assert "Traceback" in details.read_text()
    details.unlink()
    shown = subprocess.run(
        [sys.executable, "-c", script, "--debug"], capture_output=True, text=True, check=False
    )
    assert "Traceback" in shown.stderr
    Path(shown.stderr.strip().rpartition(" ")[2]).unlink()
