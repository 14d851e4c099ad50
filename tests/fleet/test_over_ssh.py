"""`bench fleet` with two boards behind sshd."""

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter

import pytest

from ondevice_bench.fleet.lock_notes import FOLDER
from ondevice_bench.record.store import Store
from tests.conftest import BENCH
from tests.remote.test_end import processes_there, wait_until
from tests.remote.test_over_ssh import one_line

pytest.importorskip("distributed", reason="dask is not installed: pip install '.[fleet]'")
SUITE = (
    "schema: 1\ntitle: Lab\nmodels: [{mcunet: {batch: [1, 2, 3]}}]\n"
    "methods: [vanilla, checkpoint]\nmeasure: [trace]\nrounds: 1\n"
)
UNITS = ("000000000001", "000000000002")


def records(workplace):
    with Store.open(workplace / "bench-out/tiny/results.sqlite") as store:
        (run,) = store.runs()
        return run, list(store.records(run.id))


def test_a_board_that_dies_leaves_its_cells_to_the_other_and_the_page_compares_both(
    bench, workplace, suite_file, lab, own_server
):
    suite_file(SUITE)
    lab(
        {name: {"seconds": 1.5, "step": step} for name, step in (("board1", 1.0), ("board2", 1.05))}
    )
    jobs = workplace / "there-board2/jobs"

    def die():
        while not jobs.exists() or " trace " not in jobs.read_text():
            time.sleep(0.05)
        own_server.stop()

    thread = threading.Thread(target=die, daemon=True)
    thread.start()
    ended = bench("fleet", "run", "tiny")
    thread.join()
    assert ended.code == 0, ended.err
    assert "board2 no longer takes part: board2: did not come back within 2 s" in ended.err
    run, found = records(workplace)
    assert run.finished
    assert "unit" not in run.machine
    of_cells = Counter(r.key.cell for r in found if r.key.pass_name == "trace")
    assert of_cells == Counter(
        f"mcunet/{method}/all/b{size}/s0"
        for method in ("vanilla", "checkpoint")
        for size in (1, 2, 3)
    )
    traced = [r for r in found if r.key.pass_name == "trace"]
    for size in (1, 2, 3):  # a baseline and its methods are of one board
        assert len({r.details["unit"] for r in traced if f"/b{size}/" in r.key.cell}) == 1
    shared = {r.details["unit"]: r.metrics for r in found if r.key.pass_name == "family"}
    assert shared.keys() == set(UNITS)
    for unit in UNITS:
        assert f"board {unit}: " in ended.out
    page = (workplace / "bench-out/tiny/report.html").read_text()
    assert all(unit in page for unit in UNITS)
    assert "address" not in page
    again = bench("fleet", "run", "tiny", "--retry", "failed")
    assert again.code == 6


def test_the_status_says_what_every_board_does(bench, workplace, suite_file, lab, own_server):
    suite_file(SUITE)
    lab()
    ended = bench("fleet", "run", "tiny")
    assert ended.code == 0, ended.err
    own_server.stop()
    FOLDER.mkdir()
    (FOLDER / "killed.note").write_text('{"board1": ["rmdir", "lock"]}\n')
    status = json.loads(bench("fleet", "status", "--json").out)
    assert status["left_locks"] == [{"board": "board1", "unlock": "rmdir lock"}]
    one, other = status["boards"]
    assert (one["board"], one["unit"], one["now"]) == ("board1", UNITS[0], "ready")
    assert (other["board"], other["unit"]) == ("board2", "–")
    assert "refused" in other["now"]
    (run,) = status["runs"]
    assert run["measured"] == "6/6"
    ended = bench("fleet", "status")
    assert "board1" in ended.out
    assert "run `rmdir lock`" in ended.out


def test_what_a_lab_can_get_wrong_is_one_line_each(bench, workplace, suite_file, lab, own_server):
    suite_file(SUITE)
    assert "fleet.yaml" in one_line(bench("fleet", "run", "tiny"))
    lab()
    good = json.loads((workplace / "fleet.yaml").read_text())

    def line(**changed):
        (workplace / "fleet.yaml").write_text(json.dumps({**good, **changed}, indent=1))
        return one_line(bench("fleet", "run", "tiny", "--quiet"))

    boards = good["boards"]
    assert "fleet.yaml:" in line(bords=[])
    assert "unknown key 'bords'; did you mean 'boards'?" in line(bords=[])
    assert "board1 is listed twice" in line(boards=[*boards, boards[0]])
    assert "unknown board 'board3'" in line(boards=[{"host": "board3"}])
    (workplace / "fleet.yaml").write_text(
        json.dumps({**good, "boards": [{**boards[0], "lock": "false"}]})
    )
    ended = bench("fleet", "run", "tiny", "--quiet")
    assert ended.err.splitlines() == [
        "bench: board1 takes no part: its lock command ended with 1: it printed nothing",
        "bench: fleet.yaml: no board of the fleet can measure",
    ]
    assert "--tag: unknown tag 'pi6'" in one_line(bench("fleet", "run", "tiny", "--tag", "pi6"))
    own_server.stop()
    (workplace / "fleet.yaml").write_text(json.dumps({**good, "boards": boards[1:]}))
    ended = bench("fleet", "run", "tiny")
    assert ended.code == 2
    assert "board2 takes no part: ssh: connect to host" in ended.err
    assert not (workplace / "bench-out").exists()


def test_a_board_in_two_places_of_the_file_takes_part_once(bench, workplace, suite_file, lab):
    suite_file(SUITE)
    lab({"board2": {"hello": {"unit": UNITS[0]}}})
    ended = bench("fleet", "run", "tiny")
    assert ended.code == 0, ended.err
    assert "board2 takes no part: it is the same machine as board1" in ended.err
    _, found = records(workplace)
    assert {record.details["unit"] for record in found} == {UNITS[0]}


def test_boards_of_two_profiles_have_a_run_each_and_the_page_compares_them(
    bench, workplace, suite_file, lab
):
    suite_file(SUITE)
    lab()
    fleet = json.loads((workplace / "fleet.yaml").read_text())
    fleet["boards"][1]["profile"] = "generic"
    (workplace / "fleet.yaml").write_text(json.dumps(fleet))
    ended = bench("fleet", "run", "tiny", "--json")
    assert ended.code == 0, ended.err
    one, other = ended.json()
    assert {one["profile"], other["profile"]} >= {"generic"}
    assert one["profile"] != other["profile"]
    page = (workplace / "bench-out/tiny/report.html").read_text()
    assert "Board by board" in page
    assert one["report"] == other["report"] == "bench-out/tiny/report.html"


def test_locks_are_taken_before_and_given_back_after(bench, workplace, suite_file, lab):
    suite_file(SUITE)
    lab()
    fleet = json.loads((workplace / "fleet.yaml").read_text())
    (board, _) = fleet["boards"]
    board |= {"lock": "mkdir lock", "unlock": "rmdir lock"}
    (workplace / "fleet.yaml").write_text(json.dumps({**fleet, "boards": [board]}))
    assert bench("fleet", "run", "tiny").code == 0
    assert not (workplace / "lock").exists()
    (workplace / "lock").mkdir()  # somebody else has it
    ended = bench("fleet", "run", "tiny", "--fresh")
    assert ended.code == 2
    assert "its lock command ended with 1: mkdir:" in ended.err
    assert (workplace / "lock").exists()


def test_ctrl_c_ends_everything_there_and_the_next_command_completes_the_run(
    bench, workplace, suite_file, lab
):
    suite_file(SUITE)
    lab({name: {"seconds": 1} for name in ("board1", "board2")})
    words = [BENCH, "fleet", "run", "tiny"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    jobs = workplace / "there-board1/jobs"
    wait_until(lambda: jobs.exists() and " trace " in jobs.read_text())
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    last = errors.splitlines()[-1]
    assert last.startswith("bench: interrupted: ")
    assert last.endswith("fleet run tiny` continues from there")
    for name in ("board1", "board2"):
        there = workplace / f"there-{name}"
        wait_until(lambda: not processes_there(there))  # noqa: B023  # it is called at once
        assert not [path for path in there.iterdir() if path.is_dir()]
    before = {r.key: r.started for r in records(workplace)[1]}
    assert bench("fleet", "run", "tiny").code == 0
    run, found = records(workplace)
    assert run.finished
    assert sum(r.key.pass_name == "trace" for r in found) == 6
    assert {r.key: r.started for r in found if r.key in before} == before  # both boards came back


def test_without_dask_one_line_says_what_to_install(workplace, lab, suite_file):
    suite_file(SUITE)
    lab()
    hidden = workplace / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'distributed' else found(name, *rest)\n"
    )
    path = f"{hidden}:{os.environ.get('PYTHONPATH', '')}"
    ended = subprocess.run(
        [BENCH, "fleet", "run", "tiny"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "`bench fleet run` needs dask: pip install 'ondevice-bench[fleet]'" in line
