"""`run` from Python: what it gives, what it stores, and how it ends."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

import ondevice_bench
from ondevice_bench import Suite, load, run
from ondevice_bench.api import run as module
from ondevice_bench.api.run import _command, _size_text
from ondevice_bench.errors import BadInput, ExitCode, NothingRan
from ondevice_bench.protocol.job import Reply
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.session import Interrupted
from ondevice_bench.units import parse_bytes
from tests.api.conftest import KEYS, well
from tests.conftest import TINY, TINY_CELL


def test_a_profile_is_a_name_or_a_path(answered, workplace):
    answered()
    (workplace / "tiny.yaml").write_text(TINY)
    found = run("tiny.yaml", hardware=Path("hardware/x86.yaml"))
    assert found.summary.run.command == "bench run tiny.yaml --hardware hardware/x86.yaml"
    with pytest.raises(BadInput, match=r"^hardware: must be a name, or the path of"):
        run(Suite(name="mine", **KEYS), hardware=3)


def test_the_name_is_the_function_whatever_was_imported_first():
    from ondevice_bench import run as first
    from ondevice_bench.running import session  # noqa: F401  # the import is the test
    from ondevice_bench import run as second  # isort: skip  # it stands after session

    assert first is second is ondevice_bench.run is ondevice_bench.api.run.run


def test_a_suite_object_is_measured_and_its_run_says_what_follows(answered, workplace):
    answered()
    found = run(Suite(name="mine", **KEYS))
    assert found.exit_code == ExitCode.OK
    assert found.page == workplace / ondevice_bench.record.store.OUT / "mine" / "report.html"
    assert found.page.is_file()
    assert set(found.frame["metric"]) == {"activation_bytes", "step_seconds"}
    assert found.frame["run"].unique().tolist() == [found.id]
    assert str(found).splitlines()[-1] == f"report: {found.page.relative_to(workplace)}"
    html = found._repr_html_()
    assert html.index(found.verdict[0].partition(":")[0]) < html.index("<table>")
    assert load("mine").equals(found.frame)


def test_the_page_is_found_after_a_change_of_the_folder(answered, workplace, monkeypatch):
    answered()
    found = run(Suite(name="mine", **KEYS), out="elsewhere")
    (workplace / "other").mkdir()
    monkeypatch.chdir(workplace / "other")
    assert found.page.is_file()


def test_names_paths_and_options_are_those_of_the_command(answered, workplace):
    hosts = answered()
    (workplace / "tiny.yaml").write_text(TINY)
    found = run(
        workplace / "tiny.yaml", filters="*vanilla*", memory_cap="1G", budget="1h", out="elsewhere"
    )
    assert found.page.parent.name == "elsewhere"
    assert hosts[0].memory_cap == 1 << 30
    assert not hosts[0].is_open
    stored = found.summary.run
    assert stored.settings["budget_seconds"] == 3600.0
    assert stored.command == (
        f"bench run {workplace}/tiny.yaml --filter '*vanilla*' --budget 1h --memory-cap 1G "
        "--out elsewhere"
    )


def test_ctrl_c_keeps_what_was_measured_and_the_same_call_goes_on(answered, workplace):
    asked = []

    def answer(job):
        if job.pass_name != "shapes":
            asked.append(job.pass_name)
            if len(asked) == 3:
                raise KeyboardInterrupt
        return well(job)

    answered(answer)
    suite = Suite(name="mine", **KEYS)
    with pytest.raises(Interrupted) as error:
        run(suite)
    assert error.value.lines[0].startswith("interrupted: 2 of 4 measurements are stored in ")
    assert "`run(Suite(name='mine', " in error.value.lines[0]
    found = run(suite)
    assert len(asked) == 5  # the third was asked twice
    assert found.exit_code == ExitCode.OK
    with Store.open(found.page.parent / FILE_NAME) as store:
        assert len(store.runs()) == 1
        assert len(store.records(found.id)) == 4


def test_ctrl_c_before_the_first_process_is_one_line_too(answered, workplace, monkeypatch):
    def stopped(self):
        raise KeyboardInterrupt

    answered()
    monkeypatch.setattr(FakeHost, "software", stopped)
    with pytest.raises(Interrupted, match="interrupted before anything was measured"):
        run(Suite(name="mine", **KEYS))


def test_ctrl_c_while_the_report_is_drawn_loses_nothing(answered, workplace, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    answered()
    suite = Suite(name="mine", **KEYS)
    monkeypatch.setattr(module, "with_report", stopped)
    with pytest.raises(Interrupted, match="interrupted: everything is measured and stored"):
        run(suite)
    monkeypatch.undo()
    with Store.open(workplace / "bench-out" / "mine" / FILE_NAME) as store:
        (stored,) = store.runs()
        assert stored.finished
        assert len(store.records(stored.id)) == 4


def test_it_runs_in_a_thread_and_in_an_event_loop(answered, workplace):
    answered()

    async def both():
        suite = Suite(name="mine", **KEYS)
        return run(suite), await asyncio.to_thread(run, suite, fresh=True)

    assert [found.exit_code for found in asyncio.run(both())] == [ExitCode.OK, ExitCode.OK]


def test_a_second_run_into_the_folder_is_refused_while_the_first_one_measures(answered, workplace):
    suite, problems = Suite(name="mine", **KEYS), []

    def answer(job):
        if job.pass_name == "trace":
            with pytest.raises(BadInput) as error:
                run(suite)
            problems.extend(error.value.lines)
        return well(job)

    answered(answer)
    assert run(suite).exit_code == ExitCode.OK
    assert len(problems) == 2
    assert all("is measuring into this folder" in line for line in problems)


def test_what_failed_is_said_and_measured_again_on_request(answered, workplace):
    answered(lambda job: Reply("failed", "no luck"))
    suite = Suite(name="mine", **KEYS)
    bad = run(suite)
    assert bad.exit_code == ExitCode.CELL_FAILED
    assert "no luck" in " ".join(bad.problems)
    assert "no luck" in bad._repr_html_()
    answered()
    good = run(suite, retry=True)
    assert (good.id, good.exit_code) == (bad.id, ExitCode.OK)


def test_the_command_of_a_run_is_one_that_bench_takes(answered, workplace):
    answered()
    (workplace / "mine.yaml").write_text(Suite(**KEYS).text)
    stored = run("mine.yaml", filters=["b1", "b2"], fresh=True).summary.run.command
    assert stored == "bench run mine.yaml --filter b1 --filter b2 --fresh"
    with pytest.raises(NothingRan):
        run("mine.yaml", retry=True, out="new")
    numbers = run("mine.yaml", fresh=True, memory_cap=3 << 30, budget=1e-05, out="").summary.run
    assert numbers.command == (
        "bench run mine.yaml --budget 0.00001 --memory-cap 3G --out . --fresh"
    )
    assert parse_bytes(_size_text(1000)) == 1000
    assert (
        _command("quick", {"retry": True, "out": "x"}) == "bench run quick --retry failed --out x"
    )


@pytest.mark.parametrize(
    ("suite", "options", "says"),
    [
        ("quik", {}, "unknown suite 'quik'; did you mean 'quick'?"),
        ("quick", {"budget": "soon"}, "budget: must be a duration such as 90, 90s, 10m or 2h"),
        ("quick", {"memory_cap": "2"}, "memory_cap: must be a size such as 512M or 2G, got '2'"),
        ("quick", {"sustain": 5}, "sustain: must be from 2m to 4h"),
        ("quick", {"memory_cap": -5}, "memory_cap: must be a size such as 512M or 2G, or bytes"),
        ("quick", {"memory_cap": True}, "memory_cap: must be a size such as 512M or 2G, or bytes"),
        ("quick", {"memory_cap": 1.5}, "memory_cap: must be a size such as 512M or 2G, or bytes"),
        ("quick", {"memory_cap": 10**30}, "memory_cap: must be a size such as 512M or 2G, or"),
        ("quick", {"memory_cap": "0G"}, "memory_cap: must be a size such as 512M or 2G, or bytes"),
        ("quick", {"memory_cap": "9" * 400 + "G"}, "memory_cap: must be a size such as 512M"),
        ("quick", {"filters": None}, "filters: must be text, or a list of texts, got None"),
        ("quick", {"filters": [5]}, "filters: must be text, or a list of texts, got [5]"),
        ("x" * 300, {}, "unknown suite 'xxx"),
        (None, {}, "suite: must be a name, the path of a file or a Suite, got a NoneType"),
        (KEYS, {}, "suite: must be a name, the path of a file or a Suite, got a dict"),
        ("quick", {"fresh": True, "retry": True}, "`fresh` starts a new run"),
    ],
)
def test_bad_input_is_one_exception_and_nothing_is_written(
    answered, workplace, suite, options, says
):
    answered()
    with pytest.raises(BadInput) as error:
        run(suite, **options)
    (line,) = error.value.lines
    assert line.startswith(says)
    assert list(workplace.iterdir()) == []


def test_a_run_of_an_object_names_no_command_that_would_measure_something_else(answered, bench):
    answered()
    found = run(Suite(name="mine", **KEYS))
    assert 'data-command=""' in found.page.read_text()
    shown = bench("show", "cell", "b1", "--run", "mine")
    assert shown.code == 0, shown.err
    assert "measure again" not in shown.out


def test_real_workers_measure_beside_a_program_that_has_imported_torch(workplace, forked):
    import torch  # noqa: F401  # for its threads

    keys = {"measure": ["trace"], "rounds": 1, "methods": ["vanilla"]}
    small = {"vit_b_32": {"batch": 2, "depth": 1, "image_size": 32}}
    found = run(Suite(name="tiny", models=[small], **keys), quiet=True)
    (cell,) = found.summary.cells
    assert (cell.id, cell.status) == (TINY_CELL, "ok")
    assert cell.estimates["activation_bytes"].estimate > 0
    assert dataclasses.is_dataclass(found)
