"""JSON from anybody takes no more memory than it may."""

import io
import struct
import subprocess
import sys
import tracemalloc

import pytest

from ondevice_bench import bounded_json
from ondevice_bench.protocol.frames import BadFrame, packed, read_frame
from ondevice_bench.protocol.job import Reply

HEADER = struct.Struct(">II")
COUNT = 100_000
KINDS = {"lists": "[]", "objects": '{"a":1}', "numbers": "1.5", "small numbers": "1"}


@pytest.mark.parametrize("item", KINDS.values(), ids=KINDS)
def test_the_memory_of_values_is_known_before_they_are_made(item):
    text = f"[{','.join([item] * COUNT)}]"
    tracemalloc.start()
    values = bounded_json.loads(text)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(values) == COUNT
    foretold = bounded_json.built_bytes(text)
    assert taken < 1.2 * foretold
    assert foretold == bounded_json.built_bytes(text.encode())


def test_too_much_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(bounded_json, "json", None)
    with pytest.raises(bounded_json.TooMuch, match="more than 0 MiB of memory"):
        bounded_json.loads("[[],[]]", most=100)


LARGEST = """
import io, resource, struct
from ondevice_bench.protocol import frames
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
text = b'{"a":[' + b"[]," * ((1 << 26) // 3 - 10) + b"0]}"
stream = io.BytesIO(struct.pack(">II", len(text), 0) + text)
before = peak()
try:
    frames.read_frame(stream.read)
except frames.BadFrame as error:
    print(error)
print(peak() - before)
"""


def test_the_largest_message_from_a_board_takes_little_more_than_its_own_size():
    program = [sys.executable, "-P", "-c", LARGEST]
    ended = subprocess.run(program, check=True, capture_output=True, text=True)
    said, taken = ended.stdout.splitlines()
    assert said == "a message is too large: its values would take more than 128 MiB of memory"
    assert int(taken) < 100  # MiB; the values would take 1.3 GiB


def test_a_reply_and_a_frame_with_too_many_values_say_so():
    many = f"[{'[],' * 2_000_000}0]"
    with pytest.raises(ValueError, match="more than 128 MiB of memory"):
        Reply.from_text(f'{{"status": "ok", "result": {{"details": {many}}}}}')
    data = packed({"text": ""}).replace(b'""', many.encode())
    with pytest.raises(BadFrame, match="more than 128 MiB of memory"):
        read_frame(io.BytesIO(HEADER.pack(len(data) - HEADER.size, 0) + data[HEADER.size :]).read)
