"""The real command on a small suite: what it prints, stores and draws, and how it ends."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ondevice_bench import metrics
from ondevice_bench.record.store import Store
from tests.conftest import TINY, TINY_CELL, TINY_MODEL
from tests.report.test_fits_on_the_page import FOUND as FITS

BENCH = Path(sys.executable).parent / "bench"
EXACT = sum(m.kind == "exact" and m.pass_name == "trace" for m in metrics.ALL)
# a network that a machine of any speed trains in time, and one that none does
NETS = """\
import time

import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, pause):
        super().__init__()
        self.pause = pause
        self.linear = nn.Linear(3 * 224 * 224, 2)

    def forward(self, x):
        if type(x) is torch.Tensor:  # plans use fake tensors
            time.sleep(self.pause)
        return self.linear(x.flatten(1))

def quick():
    return Net(0)

def slow():
    return Net(3600)
"""
FAILING = """\
schema: 1
title: One that ends and one that does not
models: [./nets.py:quick: {batch: 2}, ./nets.py:slow: {batch: 2}]
methods: [vanilla]
measure: [trace]
timeout: 3
"""
READING = """\
from torch import nn
from torch.nn import functional as F

class Reading(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(192, 4)
        self.unused = nn.Conv1d(1, 1, 1)

    def forward(self, x):
        return F.linear(x, self.qkv.weight, self.qkv.bias)

def none(image_size=8):
    return nn.Sequential(nn.Flatten(), Reading())

def some(image_size=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 192), Reading())
"""
NEVER_CALLED = """\
schema: 1
title: A network that reads the weights of its layers
models: [./net.py:none: {batch: 2}, ./net.py:some: {batch: 2}]
methods: [asi: {rank: 2}]
measure: [trace, fidelity]
"""
FIXED_BASES = """\
schema: 1
title: Bases of the calibrate pass
models: [./net.py:some: {batch: 4}]
methods: [lance: {epsilon: 0.5}]
measure: [trace, memory]
rounds: 1
"""


@pytest.fixture
def done(tiny_run):
    """A workplace in which the tiny suite was run once, and what the command printed."""
    return tiny_run.folder, tiny_run.ended


def test_a_run_ends_with_a_table_and_the_path_of_its_report(done):
    folder, ended = done
    lines = ended.out.splitlines()
    assert lines[0] == f"{TINY_MODEL}, batch 2, seed 0"
    assert any(line.split()[:1] == ["vanilla"] for line in lines)
    assert lines[-1] == "report: bench-out/tiny/report.html"
    assert any(line.startswith("activations: ") and "whole network" in line for line in lines)
    assert (folder / "bench-out/tiny/report.html").stat().st_size > 1_000_000
    assert sorted(p.name for p in (folder / "bench-out/tiny").iterdir()) == [
        ".lock",
        "report.html",
        "results.sqlite",
    ]


def test_a_log_gets_plain_lines_with_measurements_done_and_time_left(done):
    _, ended = done
    before, first, *_, last = ended.err.splitlines()
    assert before == "looking for cells that cannot fit …"
    assert first == "0/3 · vanilla, memory"
    assert re.fullmatch(r"2/3 · roughly \d+ s left · vanilla, time", last)
    assert "\x1b" not in ended.err


def test_what_was_measured_is_in_the_store(done):
    folder, _ = done
    with Store.open(folder / "bench-out/tiny/results.sqlite") as store:
        (run,) = store.runs()
        records = {r.key.pass_name: r for r in store.records(run.id)}
    assert set(records) == {"memory", "trace", "time"}
    assert records["memory"].launch == "spawned"
    assert records["time"].launch == records["trace"].launch == "forked"
    assert run.machine["threads"] == records["time"].details["threads"]
    assert run.software["torch"]
    assert run.command == "bench run tiny"
    for record in records.values():
        assert record.status == "ok"
        assert record.state_before["load_1min"] is not None


def test_plan_knows_bytes_exactly_and_time_from_the_earlier_run(done, bench):
    folder, _ = done
    planned = bench("plan", "tiny", "--json", cwd=folder).json()
    (cell,) = planned["cells"]
    assert cell["state"] == "planned"
    with Store.open(folder / "bench-out/tiny/results.sqlite") as store:
        (run,) = store.runs()
        records = store.records(run.id)
    (traced,) = (r.metrics["activation_bytes"] for r in records if r.key.pass_name == "trace")
    assert cell["vanilla_activation_bytes"] == traced
    assert cell["known_seconds"] == pytest.approx(sum(r.seconds for r in records))


def test_plan_for_another_board_knows_no_time_from_this_machine(done, bench):
    folder, _ = done
    (cell,) = bench("plan", "tiny", "--hardware", "pi5", "--json", cwd=folder).json()["cells"]
    assert (cell["state"], cell["known_seconds"]) == ("planned", None)


def test_plan_without_an_earlier_run_says_that_the_time_is_unknown(bench):
    ended = bench("plan", "quick")
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == (
        "21 planned, 1 skipped; time unknown until a first run "
        "(the suite expects 3:00 on such a board)"
    )
    assert "39.93 MiB" in ended.out


def test_plan_for_another_board_shows_it_as_that_board_would(bench, suite_file):
    suite_file(TINY + "hardware: [x86, pi5]\n")
    cells = bench("plan", "tiny", "--hardware", "pi5", "--json").json()["cells"]
    assert {c["profile"]: c["state"] for c in cells} == {"x86": "pending", "pi5": "planned"}


def test_report_draws_an_earlier_run_again(done, bench):
    folder, _ = done
    for name in ("tiny", "bench-out/tiny/results.sqlite", None):
        ended = bench("report", *([name] if name else []), "-o", "again.html", cwd=folder)
        assert (ended.code, ended.out) == (0, "report: again.html\n")
        assert TINY_CELL in (folder / "again.html").read_text()
        (folder / "again.html").unlink()
    assert bench("report", "tiny", "--json", cwd=folder).json()["cells"][0]["status"] == "ok"


def test_a_report_shows_what_fit_computed_and_refuses_another_file(done, bench):
    folder, _ = done
    (folder / "fits.json").write_text(json.dumps(FITS.to_dict()))
    words = ("report", "tiny", "-o", "fits.html", "--fits", "fits.json")
    ended = bench(*words, cwd=folder)
    assert ended.code == 0, ended.err
    assert "<td>89.3 %</td>" in (folder / "fits.html").read_text()
    (folder / "fits.json").write_text("{}")
    for more, says in (
        ((), "fits.json:1: board: is required"),
        (("--format", "md"), "--fits: only the HTML page shows what fits a board"),
    ):
        wrong = bench(*words, *more, cwd=folder)
        assert (wrong.code, says in wrong.err) == (2, True), wrong.err
    (folder / "fits.json").write_text(json.dumps(FITS.to_dict()))
    wrong = bench(*words, "--layout", "regression", cwd=folder)
    assert "the layout regression has no section `fits`" in wrong.err


def test_a_run_compared_with_itself_is_the_same(done, bench):
    folder, _ = done
    ended = bench("compare", "tiny", "tiny", cwd=folder)
    assert ended.code == 0
    noisy = 4  # step, inference, faults and peak: one process each decides nothing
    assert ended.out.splitlines()[-1].endswith(
        f": 0 regressed, 0 improved, 0 missing, {noisy} inconclusive, {EXACT} unchanged"
    )
    assert "1 and 1 processes measured it;" in ended.out
    assert bench("list", "runs", "--json", cwd=folder).json()[0]["finished"]


def test_a_baseline_is_a_small_file_that_runs_are_compared_with(done, bench):
    folder, _ = done
    saved = bench("baseline", "save", "main", "tiny", cwd=folder)
    assert saved.out == "baseline: baselines/main.json\n"
    first = (folder / "baselines/main.json").read_bytes()
    assert bench("baseline", "save", "main", "tiny", cwd=folder).code == 0
    assert (folder / "baselines/main.json").read_bytes() == first
    ended = bench("compare", "baselines/main.json", "tiny", cwd=folder)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1].endswith(f", {EXACT} unchanged")
    (folder / "baselines/main.json").write_text("{}")
    for words, says in (
        (("compare", "baselines/main.json", "tiny"), "JSON of something else, not a baseline"),
        (("compare", "baselines/no.json", "tiny"), "cannot be read: No such file"),
        (("baseline", "save", "../x", "tiny"), "letters, digits"),
    ):
        wrong = bench(*words, cwd=folder)
        assert (wrong.code, says in wrong.err) == (2, True), wrong.err


def test_an_exact_metric_that_grew_is_exit_code_4(done, bench, workplace):
    """A copy of the store in which the network kept less."""
    folder, _ = done
    now = folder / "bench-out/tiny/results.sqlite"
    earlier = workplace / "earlier.sqlite"
    shutil.copy(now, earlier)
    with Store.create(earlier) as store:
        store._db.execute("UPDATE metrics SET value = value - 4 WHERE name = 'activation_bytes'")
    ended = bench("compare", earlier, now)
    assert ended.code == 4
    row = next(line for line in ended.out.splitlines() if "activation_bytes" in line)
    assert row.split()[0] == "vanilla"
    assert row.endswith("less than 0.5 %")
    assert any(line.startswith("regressed: ") for line in ended.out.splitlines())
    assert TINY_CELL not in ended.out
    reverse = bench("compare", now, earlier, "--json")
    assert reverse.code == 0
    assert [d["metric"] for d in reverse.json()["differences"] if d["verdict"] == "improved"] == [
        "activation_bytes"
    ]


def test_a_cell_that_fails_is_recorded_and_the_rest_goes_on(bench, suite_file, workplace):
    suite_file(FAILING)
    (workplace / "suites/nets.py").write_text(NETS)
    ended = bench("run", "tiny", "--json")
    assert ended.code == 3
    quick, failed = ended.json()["cells"]
    assert quick["status"] == "ok"
    assert failed["status"] == "timeout"
    assert "no result within 3 s" in failed["problems"][0]
    assert "no result within 3 s" in (workplace / "bench-out/tiny/report.html").read_text()
    again = bench("run", "tiny", "--retry", "failed", "-q", "--json")
    assert again.json()["run"] == ended.json()["run"]


def test_an_interrupt_ends_cleanly_and_the_run_goes_on(bench, suite_file, workplace):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored
    suite_file(TINY + "seeds: [0, 1, 2]\nmeasure: [trace]\n")
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(
            [BENCH, "run", "tiny", "--filter", "s"],
            cwd=workplace,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            assert any("/3 · " in line for line in running.stderr)
            running.send_signal(number)
            rest = running.stderr.read()
        assert running.returncode == 130
        assert "Traceback" not in rest
        assert "`bench run tiny --filter s` continues from there" in rest.splitlines()[-1]
    ended = bench("run", "tiny", "--filter", "s", "--json")
    assert ended.code == 0
    assert "continuing tiny-" in ended.err
    assert [c["status"] for c in ended.json()["cells"]] == ["ok"] * 3
    with Store.open(workplace / "bench-out/tiny/results.sqlite") as store:
        assert len(store.runs()) == 1


def test_a_terminal_sees_one_live_line_that_goes_away(suite_file, workplace):
    suite_file(TINY + "measure: [trace]\n")
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [BENCH, "run", "tiny"], cwd=workplace, stdout=subprocess.PIPE, stderr=theirs, text=True
    )
    os.close(theirs)
    table, _ = running.communicate(timeout=120)
    seen = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert running.returncode == 0
    assert "report: " in table
    assert "0/1 · vanilla, trace" in seen
    assert "\n" not in seen  # one line, rewritten
    assert seen.endswith("\r\x1b[2K")  # and removed at the end


def test_listings_say_what_suites_can_name(bench):
    methods = {m["name"]: m for m in bench("list", "methods", "--json").json()}
    assert {"vanilla", "gradient_filter", "svd", "hosvd", "asi", "wsi", "wasi"} <= set(methods)
    assert "epsilon: in (0, 1]; unset" in methods["wasi"]["options"]
    assert "depth: an integer in [1, 48]; default 12" in bench("list", "models").out
    assert "quick" in bench("list", "suites").out
    marked = [h["name"] for h in bench("list", "hardware", "--json").json() if h["this machine"]]
    assert len(marked) == 1
    metrics = {m["name"]: m for m in bench("list", "metrics", "--json").json()}
    assert metrics["peak_rss_over_runtime_bytes"]["scope"] == "process"
    titles, _, *rows = bench("list", "metrics").out.strip().splitlines()
    assert titles.split() == ["name", "pass", "unit", "better", "kind", "scope", "title"]
    shown = {words[0]: words[1:4] for row in rows if len(words := row.split()) > 4}
    assert shown["activation_bytes"] == ["trace", "bytes", "lower"]
    assert shown["accuracy"] == ["accuracy", "–", "higher"]


def test_every_verb_has_help_and_json(bench):
    top = bench("--help").out
    for verb in ("run", "plan", "report", "compare"):
        assert verb in top
        assert "--json" in bench(verb, "--help").out
    assert bench("--version").out.startswith("bench ")
    assert bench().code == 0


def test_a_reader_that_leaves_early_is_no_error(workplace):
    done = subprocess.run(
        f"{BENCH} list metrics | head -n 1", shell=True, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_every_process_takes_the_bases_of_the_calibration_batch(bench, workplace):
    (workplace / "net.py").write_text(READING.replace("Reading()", "nn.Linear(192, 4)"))
    (workplace / "fixed.yaml").write_text(FIXED_BASES)
    ended = bench("run", "fixed.yaml")
    assert ended.code == 0, ended.err
    with Store.open(workplace / "bench-out/fixed/results.sqlite") as store:
        (run,) = store.runs()
        records = {r.key.pass_name: r for r in store.records(run.id)}
    assert {record.status for record in records.values()} == {"ok"}
    chosen = {name: r["activation"] for name, r in records["calibrate"].details["ranks"].items()}
    trace = records["trace"]
    assert chosen == {n: r["activation_ranks"] for n, r in trace.details["treated"].items()}
    assert trace.metrics["method_state_bytes"] == 4 * 192 * sum(r for (r,) in chosen.values())
    kept = sum(each["stored_bytes"] for each in trace.details["treated"].values())
    assert kept == 4 * 4 * sum(r for (r,) in chosen.values())


def test_layers_that_the_network_never_calls_are_named_everywhere(bench, workplace):
    (workplace / "net.py").write_text(READING)
    (workplace / "never.yaml").write_text(NEVER_CALLED)
    ended = bench("run", "never.yaml")
    assert ended.code == 0
    why = "because the network reads their weights itself, does not use them, or has frozen them"
    note = f"1 of 2 changed layers saw no input in training, {why}: 2.qkv"
    assert ended.out.count(note) == 1
    assert note in (workplace / "bench-out/never/report.html").read_text()
    with Store.open(workplace / "bench-out/never/results.sqlite") as store:
        (run,) = store.runs()
        none, some = (
            {r.key.pass_name: r for r in store.records(run.id) if network in r.key.cell}
            for network in (":none", ":some")
        )
    assert {(none[name].status, none[name].reason) for name in ("trace", "fidelity")} == {
        ("skipped", f"no changed layer saw an input in training, {why}: 1.qkv")
    }
    assert some["trace"].details["treated"]["2.qkv"]["shape"] is None
    assert list(some["fidelity"].details["layers"]["_first"]) == ["1"]
    assert some["fidelity"].metrics["gradient_cosine"] < 1
    shown = bench("show", "cell", some["trace"].key.cell).out
    assert "\nchanged: 2.qkv: no input in training, ranks " in shown
    assert "\nnot changed: 2.unused: is a Conv1d (methods treat Linear and Conv2d)\n" in shown
    counted = bench("account", "--model", "./net.py:some", "--method", "asi", "--rank", "2")
    assert "\nnot changed: 2.unused: is a Conv1d " in counted.out
    assert "\nnot changed: 2.qkv: sees no input: the network reads its weight itself" in counted.out
