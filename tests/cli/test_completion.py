"""Completion through real shells: what they offer at the end of a line."""

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys

import pytest

from ondevice_bench.cli.completion import SCRIPTS

LONG = "mcunet/asi(fraction=0.25)/last:4/b8"
SPACED = "linear(768, 3072) at 197/vanilla/b8"


@pytest.fixture
def place(tmp_path):
    """A folder with a command `bench` on the path, a suite, and results that came from elsewhere."""
    program = tmp_path / "bin" / "bench"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ondevice_bench "$@"\n')
    program.chmod(0o755)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "my_own.yaml").write_text("not a suite\n")
    store = tmp_path / "bench-out" / "t" / "results.sqlite"
    store.parent.mkdir(parents=True)
    with sqlite3.connect(store) as db:
        db.execute("CREATE TABLE cells (cell TEXT)")
        evil = f"mcunet/$(touch {tmp_path}/here)`touch {tmp_path}/here`;touch {tmp_path}/here"
        for name in (LONG, "mcunet/vanilla/b8", SPACED, evil, "mcunet/x\n\x1b[31m"):
            db.execute("INSERT INTO cells VALUES (?)", (name,))
    db.close()
    return tmp_path


def shell(place, *command):
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    ended = subprocess.run(
        command,
        check=False,
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr == ""
    assert not (place / "here").exists()
    return ended.stdout.splitlines()


def in_bash(place, line, word):
    """What bash's function puts in the place of `word`, which is the end of the line."""
    script = (
        'eval "$3"; COMP_LINE=$1; COMP_POINT=${#COMP_LINE}; '
        '_bench_completion bench "$2" ""; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return shell(place, "bash", "--norc", "-c", script, "bash", line, word, SCRIPTS["bash"])


@pytest.mark.parametrize(
    ("line", "word", "offered"),
    [
        ("bench rep", "rep", ["report"]),
        ("bench board l", "l", ["list"]),
        ("bench run my", "my", ["my_own"]),
        ("bench run --model effi", "effi", ["efficientnet_lite0"]),
        ("bench run --model=effi", "effi", ["efficientnet_lite0"]),  # bash breaks words at `=`
        ("bench run --model mcunet --method galo", "galo", ["galore"]),
        ("bench run --sust", "--sust", ["--sustain"]),
        ("bench show cell mcunet/as", "mcunet/as", [r"mcunet/asi\(fraction=0.25\)/last:4/b8"]),
        (r"bench show cell mcunet/asi\(fraction=0", "0", [r"0.25\)/last:4/b8"]),
        ("bench show cell 'mcunet/as", "mcunet/as", [LONG]),
        ("bench show cell lin", "lin", [r"linear\(768,\ 3072\)\ at\ 197/vanilla/b8"]),
        ("bench schema s", "s", ["suite", "search"]),
    ],
)
def test_bash_offers(place, line, word, offered):
    assert in_bash(place, line, word) == offered


@pytest.mark.parametrize(
    "line",
    ["bench nonsense x", "bench run --model=x --fo=1 'y", "bench 'zz", "bench run --batch "],
)
def test_bash_offers_nothing_where_nothing_is_known_and_prints_no_error(place, line):
    assert in_bash(place, line, "") == [""]


def test_a_store_that_is_none_has_no_names(place):
    (place / "bench-out" / "t" / "results.sqlite").write_bytes(b"\0" * 5000)
    with sqlite3.connect(place / "bench-out" / "endless.sqlite") as db:
        db.execute(
            "CREATE VIEW cells AS WITH RECURSIVE n(cell) AS (SELECT 1 UNION ALL SELECT cell+1 FROM n)"
            " SELECT cell FROM n WHERE cell < 0"
        )
    db.close()
    folder = place / "bench-out" / "u"
    folder.mkdir()
    (place / "bench-out" / "endless.sqlite").rename(folder / "results.sqlite")
    assert in_bash(place, "bench show cell m", "m") == [""]


def test_fish_offers(place):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    script = "bench completion fish | source; for line in $argv; complete -C $line; end"
    lines = (
        "bench run my",
        "bench run --model=effi",
        "bench show cell mcunet/as",
        "bench run suites/m",
    )
    offered = ["my_own", "--model=efficientnet_lite0", LONG, "suites/my_own.yaml"]
    assert shell(place, "fish", "--no-config", "-c", script, *lines) == offered


def test_zsh_takes_the_script(place):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    script = "autoload -Uz compinit; compinit -u -D; source <(bench completion zsh); print $_comps[bench]"
    assert shell(place, "zsh", "-f", "-c", script) == ["_bench"]


def test_zsh_completes_at_the_first_key_where_it_loads_the_script_from_a_folder(place):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    (place / "fpath").mkdir()
    (place / "fpath" / "_bench").write_text(SCRIPTS["zsh"])
    script = (
        "fpath=($PWD/fpath $fpath); autoload -Uz compinit; compinit -u -D; "
        "compadd() { print -r -- $@ }; words=(bench rep); CURRENT=2; PREFIX=rep; _bench; _bench"
    )
    assert shell(place, "zsh", "-f", "-c", script) == ["-- report"] * 2


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_answer_needs_neither_torch_nor_numpy(place, name):
    """It has to come while a key is pressed."""
    code = (
        "import os, sys; sys.argv = ['bench']; from ondevice_bench.cli import completing;"
        "print(completing._names(os.environ['_BENCH_COMPLETE'], 'bench run --method gal', 'gal'));"
        "print({'torch', 'numpy', 'pandas', 'ruamel.yaml', 'rich'} & set(sys.modules))"
    )
    env = {**os.environ, "_BENCH_COMPLETE": name}
    lines = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert lines.stdout.splitlines() == ["['galore']", "set()"]
