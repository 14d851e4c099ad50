"""What a board says is checked before it is used."""

import json
import platform
import sys

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.probe import probe
from ondevice_bench.protocol import frames
from ondevice_bench.protocol.frames import MARK, packed
from ondevice_bench.remote import answers
from ondevice_bench.remote import host as hosts
from ondevice_bench.remote import link as links
from ondevice_bench.remote.answers import BadAnswer
from ondevice_bench.remote.far_side import hello
from ondevice_bench.remote.host import SshHost
from ondevice_bench.running.queries.aa_trial import CELL
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs import inputs
from tests.board import MACHINE
from tests.remote.pipe import PipeWay


def saying(content: bytes, tmp_path) -> tuple[str, ...]:
    """A board that says this, whatever it is asked."""
    (tmp_path / "content").write_bytes(content)
    script = (
        "import sys, time\n"
        f"sys.stdout.buffer.write(open({str(tmp_path / 'content')!r}, 'rb').read())\n"
        "sys.stdout.flush()\n"
        "sys.stdin.buffer.read()\n"
    )
    return (sys.executable, "-c", script)


def greeting(**changes) -> bytes:
    return MARK + packed({**hello(probe()), **changes})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x" * 200_000,
        MARK + b"\xff" * 8,
        MARK + b"\0\0\0\2\0\0\0\0[]",
        MARK + b"\0\0\x75\x30\0\0\0\0" + b"[" * 30_000,
        MARK + packed({}),
        MARK + packed({"frames": frames.VERSION, "protocol": 3}),
        greeting(machine={"arch": 1}),
        greeting(unit="../../x"),
        greeting(allowed=[]),
        greeting(allowed=[-1]),
        greeting(torch=["2"]),
        greeting(torch="two", machine=MACHINE),
        greeting(caches_kib={"x": 1}),
        greeting(memory_limit=-1),
        greeting() + packed({"state": {"load_1min": "much"}}),
        greeting() + packed({"error": "\x1b[2J" * 10_000}),
        greeting() + packed({"error": 3}),
    ],
)
def test_what_a_board_says_is_checked_before_it_is_used(tmp_path, monkeypatch, content):
    monkeypatch.setattr(hosts, "HELLO_SECONDS", 1.0)
    monkeypatch.setattr(links, "STALL_SECONDS", 1.0)
    with pytest.raises(BadInput) as error:
        SshHost(PipeWay(tmp_path, program=saying(content, tmp_path)))
    (line,) = error.value.lines
    assert line.startswith("board: ")
    assert len(line) < 1000


def test_a_board_says_how_much_memory_its_container_allows():
    for limit in (None, 1 << 29):
        frame = frames.Frame({**hello(probe()), "memory_limit": limit})
        assert answers.hello(frame).memory_limit == limit


STATE = {
    "load_1min": 0.0,
    "memory_available_bytes": 1,
    "swap_used_bytes": 0,
    "cpu_mhz": None,
    "temperature_celsius": None,
}


ENDED = {"launch": "forked", "seconds": 0.1, "output": ""}


GOOD = b'{"status": "ok", "result": {"metrics": {"step_flops": 1}}}'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (packed({**ENDED, "launch": "by hand"}, GOOD), "not measured: "),
        (packed({**ENDED, "seconds": -1}, GOOD), "not measured: "),
        (packed({**ENDED, "seconds": 1e300}, GOOD), "not measured: "),
        (packed({**ENDED, "seconds": float("nan")}, GOOD), "not measured: "),
        (packed({**ENDED, "output": 3}, GOOD), "not measured: "),
        (packed(ENDED, b"{}"), "the worker's reply cannot be read"),
        (packed(ENDED, b"[" * 100_000), "the worker's reply cannot be read"),
        (packed(ENDED, GOOD.replace(b"1", b"1e999")), "the worker's reply cannot be read"),
        (packed({"error": "no space left"}), "no space left"),
    ],
)
def test_a_reply_that_makes_no_sense_fails_its_own_cell(tmp_path, monkeypatch, answer, reason):
    monkeypatch.setattr(hosts, "ATTEMPTS", 1)
    content = greeting() + packed({"state": STATE}) + answer
    with SshHost(PipeWay(tmp_path, program=saying(content, tmp_path))) as host:
        asked = JobMaker(host, None).job(CELL, "trace")
        outcome = host.run(asked, 1)
        reply = outcome.reply
        assert (reply.status, dict(reply.result.metrics)) == ("failed", {})
        # another board may do better, unless the worker itself has said this
        assert outcome.is_lost != reason.startswith("the worker's reply")
        assert reply.reason.startswith(reason)


@pytest.mark.parametrize("changed", [{"load_1min": 1e300}, {"swap_used_bytes": 1 << 80}])
def test_a_state_that_no_bundle_could_carry_is_refused(tmp_path, changed):
    content = greeting() + packed({"state": {**STATE, **changed}})
    with pytest.raises(BadInput, match="a number that is too large"):
        SshHost(PipeWay(tmp_path, program=saying(content, tmp_path)))


def test_software_without_a_torch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "ATTEMPTS", 1)
    content = greeting() + packed({"state": STATE}) + packed({"software": {"python": "3"}})
    board = PipeWay(tmp_path, program=saying(content, tmp_path))
    said = "does not say what its workers compute with"
    with SshHost(board) as host, pytest.raises(BadInput, match=said):
        host.software()


def test_half_a_character_of_an_output_can_be_stored(tmp_path):
    answer = packed({**ENDED, "output": "\ud800!"}, GOOD)
    content = greeting() + packed({"state": STATE}) + answer
    with SshHost(PipeWay(tmp_path, program=saying(content, tmp_path))) as host:
        assert host.run(JobMaker(host, None).job(CELL, "trace"), 1).output == "?!"


def test_what_a_shell_prints_at_its_start_is_left_out(tmp_path):
    content = b"Welcome to board1!\n\0\xff" + greeting() + packed({"state": STATE})
    with SshHost(PipeWay(tmp_path, program=saying(content, tmp_path))) as host:
        assert host.machine.arch == platform.machine()


def test_an_error_in_place_of_a_state_is_one_line(tmp_path):
    content = greeting() + packed({"state": STATE}) + packed({"error": "I/O error"})
    board = PipeWay(tmp_path, program=saying(content, tmp_path))
    with SshHost(board) as host, pytest.raises(BadInput, match="cannot continue: I/O error"):
        host.state()


def test_a_number_that_this_side_needs_must_be_there(tmp_path):
    content = greeting() + packed({"state": STATE}) + packed(ENDED, GOOD)
    with SshHost(PipeWay(tmp_path, program=saying(content, tmp_path))) as host:
        reply = host.run(JobMaker(host, None).job(CELL, "live_peak"), 1).reply
        assert reply.reason == "the worker's reply has no peak_bytes"


@pytest.mark.parametrize(
    ("pass_name", "metric"), [("time", b"step_seconds"), ("family", b"family_step_seconds")]
)
def test_a_step_without_time_is_refused(tmp_path, pass_name, metric):
    still = GOOD.replace(b'"step_flops": 1', b'"' + metric + b'": 0')
    content = greeting() + packed({"state": STATE}) + packed(ENDED, still)
    with SshHost(PipeWay(tmp_path, program=saying(content, tmp_path))) as host:
        reply = host.run(JobMaker(host, None).job(CELL, pass_name), 1).reply
        assert reply.reason == "the worker's reply has a step without time"


DESCRIBED = {
    "kinds": ["linear"],
    "layout": {},
    "missing_parts": [],
    "missing_modules": [],
    "has_own_loss": False,
    "completes_layout": False,
    "has_dropout": False,
    "code_file": "",
    "code": "",
}
OF_IMAGES = inputs.to_dict(inputs.Images(3, 32, 10, False, *inputs.SYMMETRIC))


def described(found):
    text = json.dumps([{"inputs": found, **DESCRIBED}])
    return answers.answers("describe", text, [{"head": None}])


@pytest.mark.parametrize(
    "given",
    [
        inputs.Images(3, 32, 10),
        inputs.Images(3, 32, 10, True, *inputs.SYMMETRIC),
        inputs.Tokens(8, 100, 2),
        inputs.LayerTensors((3, 4), (3, 5)),
        inputs.OwnBatch(),
    ],
)
def test_a_board_may_describe_a_network_with_any_inputs(given):
    (found,) = described(inputs.to_dict(given))
    assert inputs.from_dict(found["inputs"]) == given


@pytest.mark.parametrize(
    "changed",
    [
        {"size": 32.5},
        {"size": -1},
        {"channels": [3]},
        {"mean": 0.5},
        {"mean": [0.5, 0.5]},
        {"mean": [0.5, 0.5, "x"]},
        {"deviation": [float("nan")] * 3},
        {"deviation": [float("inf")] * 3},
        {"kind": "sounds"},
        {"kind": []},
        {"length": 3},
    ],
)
def test_inputs_that_no_network_takes_are_refused(changed):
    with pytest.raises(BadAnswer):
        described({**OF_IMAGES, **changed})
