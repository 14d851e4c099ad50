"""Meters that are commands: good ones, and every way in which one can be bad."""

import os
import sys
import time

import pytest

from ondevice_bench.measure.energy import EnergyUnavailable
from ondevice_bench.measure.printed_power import PrintedPower
from tests.workers import is_alive

BEGINNING = "import sys, time, os\n"
PRINTS = "print(time.monotonic() - {since}, {watts}, flush=True)\ntime.sleep(0.02)\n"
GOOD = "while True:\n    " + PRINTS.format(since=0, watts=2.5).replace("\n", "\n    ")


def meter(program, **what):
    return PrintedPower([sys.executable, "-c", BEGINNING + program], **what)


def spent(program, seconds=0.3, **what):
    """The mean power while this process sleeps."""
    with meter(program, **what).begin() as metering:
        start = metering.mark()
        time.sleep(seconds)
        end = metering.mark()
        metering.settle()
        assert metering.tells_of(end)
        return metering.joules(start, end) / (end - start)


def test_a_command_that_prints_is_a_meter():
    assert spent(GOOD) == pytest.approx(2.5)


def test_a_power_that_rises_gives_its_integral():
    rising = GOOD.replace("2.5", "10 * (time.monotonic() - began)")
    with meter(f"began = time.monotonic()\n{rising}").begin() as metering:
        start = metering.mark()
        time.sleep(0.5)
        middle = metering.mark()
        time.sleep(0.5)
        end = metering.mark()
        metering.settle()
        early = metering.joules(start, middle) / (middle - start)
        late = metering.joules(middle, end) / (end - middle)
    # the mean of a ramp over a window is its value in the middle
    assert late - early == pytest.approx(10 * (end - start) / 2, abs=0.5)


def test_the_scope_names_command_interval_and_steps():
    with PrintedPower([sys.executable, "-c", BEGINNING + GOOD], scope="the plug").begin() as found:
        time.sleep(0.2)
        found.mark()
        assert found.scope.startswith("the plug, a reading every 0.0")
    assert (
        "everything that `meter.py --rate 5` meters"
        in PrintedPower(["meter.py", "--rate", "5"]).scope
    )


def test_no_shell_runs_the_command(tmp_path):
    program = f"import time\nprint(sys.argv[1], file=open('said', 'w'))\n{GOOD}"
    words = [sys.executable, "-c", BEGINNING + program, "$HOME; touch evil"]
    with PrintedPower(words, tmp_path).begin():
        assert (tmp_path / "said").read_text() == "$HOME; touch evil\n"
    assert not (tmp_path / "evil").exists()


def test_the_process_and_its_children_end_with_the_block():
    child = "import subprocess\nprint(0.5, os.getpid(), flush=True)\n"
    child += "print(1, subprocess.Popen(['sleep', '60']).pid, flush=True)\ntime.sleep(60)\n"
    with meter(child).begin() as metering:
        end = time.monotonic() + 10
        while len(metering._trace) < 2 and time.monotonic() < end:
            time.sleep(0.02)
            metering.mark()
        pids = [int(watts) for watts in metering._trace._watts]
        assert all(map(is_alive, pids))
    end = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(is_alive, pids))


def test_a_command_that_has_ended_keeps_its_number_until_the_block_ends():
    """The group of this number is killed then: it must not be the group of another process."""
    with meter("print(1, 2)").begin() as metering:
        end = time.monotonic() + 10
        while not metering._failure and time.monotonic() < end:
            metering.mark()
        assert os.waitid(os.P_PID, metering._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    assert metering._process.returncode == 0


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("time.sleep(60)", r"gave no reading within 0.3 s \(it must flush each line\)"),
        ("sys.exit('no sensor\\nfound')", "ended with status 1: found"),
        ("print(1, 2)", "ended with status 0"),
        ("os.kill(os.getpid(), 9)", "ended with status -9"),
        ("os.close(1); os.close(2); time.sleep(60)", "closed its output"),
        ("print('<html>', flush=True)\ntime.sleep(60)", "printed '<html>', not `seconds watts`"),
        ("while True:\n    print('y')", "printed 'y', not `seconds watts`"),
        ("while True:\n    print('y', end='')", "printed 'yyyy"),
        ("while True:\n    print('no', file=sys.stderr)", "gave no reading within 0.3 s"),
        (GOOD.replace("2.5", "0"), "nothing but 0 watts"),
        ("print(time.monotonic(), 1, flush=True)\nos.close(1)\ntime.sleep(60)", "closed its"),
    ],
)
def test_a_bad_meter_is_unavailable_with_one_line(program, reason):
    with pytest.raises(EnergyUnavailable, match=reason) as error:
        spent(program, first_seconds=0.3 if "within" in reason else 5.0)
    assert "\n" not in str(error.value)


def test_a_meter_that_stalls_is_unavailable(monkeypatch):
    monkeypatch.setattr("ondevice_bench.measure.power_trace.STALLED_SECONDS", 0.3)
    some = "for _ in range(10):\n    " + PRINTS.format(since=0, watts=5).replace("\n", "\n    ")
    with pytest.raises(EnergyUnavailable, match="gave no reading for"):
        spent(f"{some}\ntime.sleep(60)", seconds=0.8)


def test_a_command_that_is_not_there_is_told(tmp_path):
    missing = PrintedPower(["no-such-meter"], tmp_path).begin()
    with pytest.raises(EnergyUnavailable, match="the meter no-such-meter cannot be run: No such"):
        missing.__enter__()


def test_a_mark_takes_little_time_whatever_the_meter_prints():
    with meter("while True:\n    print(time.monotonic(), 1)").begin() as metering:
        time.sleep(0.1)
        before = os.times().user
        for _ in range(5):
            metering.mark()
        assert os.times().user - before < 2.0
