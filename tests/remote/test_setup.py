"""`bench board`: a real environment behind a real sshd, from wheels, without a network.

What `bench` needs are wheels without content here; one of them lets Python find the real packages.
"""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import requires, version
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from ondevice_bench.errors import BadInput
from ondevice_bench.remote import installer, setup
from ondevice_bench.remote import version as versions
from ondevice_bench.remote.address import Address, address, boards, remember
from ondevice_bench.remote.wheel import wheel
from tests.remote.test_over_ssh import one_line

LOOKED = {"python": "3.11.2", "arch": "aarch64", "memory": 1 << 30, "free": 1 << 33}


@pytest.fixture
def wheelhouse(tmp_path):
    """A wheel for each package that `bench` needs."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    for text in requires("ondevice-bench"):
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            stub(folder, need.name, version(need.name), has_path=need.name == "torch")
    stub(folder, "pillow", "11.0")
    return folder


def stub(folder, name, number, *, has_path=False):
    stem = f"{name.replace('-', '_')}-{number}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as file:
        members = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        for member, text in members.items():
            file.writestr(f"{stem}.dist-info/{member}", text)
        if has_path:
            file.writestr("zz_real_packages.pth", sysconfig.get_path("purelib") + "\n")
        names = [f"{member},,\n" for member in [*file.namelist(), f"{stem}.dist-info/RECORD"]]
        file.writestr(f"{stem}.dist-info/RECORD", "".join(names))


def write_hosts(workplace, server, **board):
    whole = {"address": server.address, "ssh_config": str(server.config), **board}
    (workplace / "hosts.yaml").write_text(json.dumps({"schema": 1, "boards": {"board1": whole}}))


def test_a_board_without_a_network_gets_this_very_bench(bench, workplace, bare_server, wheelhouse):
    folder = workplace / "its folder"
    write_hosts(workplace, bare_server, folder=str(folder))
    assert "run `bench board setup board1`" in one_line(bench("board", "check", "board1"))
    words = ("--wheelhouse", wheelhouse, "--python", sys.executable)
    (needed,) = wheelhouse.glob("typer-*")
    needed.rename(workplace / needed.name)
    line = one_line(bench("board", "setup", "board1", *words, timeout=390))
    assert line.startswith("bench: board1: pip: ERROR: ")
    assert "typer" in line
    (workplace / needed.name).rename(needed)
    ended = bench("board", "setup", "board1", *words, timeout=390)
    assert ended.code == 0, ended.err
    assert "board1 is ready: profile " in ended.out
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "env/bin/bench").exists()
    assert len(list(folder.glob("env/lib/python3*/site-packages/pillow-*"))) == 1
    code = "from ondevice_bench.remote import version as v; print(v.ROOT); print(v.code_digest())"
    python = folder / "env/bin/python"
    printed = subprocess.check_output([python, "-P", "-c", code], env={}, text=True)
    root, digest = printed.splitlines()
    assert (root.startswith(str(folder)), digest) == (True, versions.code_digest())
    # other code of the same version is refused until the board is set up again
    (site,) = folder.glob("env/lib/python3*/site-packages/ondevice_bench/units.py")
    site.write_text(site.read_text() + "\n# other code\n")
    line = one_line(bench("board", "check", "board1"))
    assert "has bench " in line
    assert line.endswith("run `bench board setup board1`")
    assert bench("board", "setup", "board1", *words, timeout=390).code == 0
    assert "# other code" not in site.read_text()
    ended = bench("board", "remove", "board1")
    assert (ended.code, folder.exists()) == (0, False)
    assert bench("board", "remove", "board1").out == f"board1: had no {folder}\n"


def test_what_a_board_lacks_is_one_line(bench, workplace, server, wheelhouse):
    folder = workplace / "there"
    write_hosts(workplace, server, folder=str(folder))
    line = one_line(bench("board", "setup", "board1", "--python", "/no/python3"))
    assert "board1: has no /no/python3: install Python 3.11 or newer" in line
    old = workplace / "old"
    code = "import sys; sys.version_info = (3, 9, 2, 'final', 0); sys.argv = sys.argv[:1] + sys.argv[2:]; exec(sys.argv.pop(1))"
    old.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -c "{code}" -c "$@"\n')
    old.chmod(0o755)
    line = one_line(bench("board", "setup", "board1", "--python", old))
    assert line.endswith(
        "its Python is 3.9, bench needs 3.11 or newer: install one there, and name it with --python"
    )
    assert not folder.exists()
    folder.mkdir()
    (folder / "precious").write_text("x")
    words = ("--wheelhouse", wheelhouse, "--python", sys.executable)
    assert "is not a folder of bench" in one_line(bench("board", "setup", "board1", *words))
    assert "remove it by hand" in one_line(
        bench("board", "remove", "board1", "--python", sys.executable)
    )
    assert (folder / "precious").read_text() == "x"
    (empty := workplace / "empty").mkdir()
    assert "has no wheels" in one_line(bench("board", "setup", "board1", "--wheelhouse", empty))


def test_a_python_that_cannot_read_the_installer_says_that_it_is_too_old(monkeypatch):
    """As on a Jetson with Ubuntu 18.04."""
    monkeypatch.setattr(sys, "version_info", (3, 6, 9, "final", 0))
    with pytest.raises(SystemExit, match=r"^bench needs Python 3\.11 there$"):
        exec(setup._LOADER)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"python": "3.11.2"}, "arch: Field required"),
        (LOOKED | {"free": -1}, "free: Input should be greater than or equal to 0"),
    ],
)
def test_what_an_installer_says_is_checked(monkeypatch, answer, said):
    said_there = "\n".join(map(json.dumps, ({"ready": True}, answer)))
    script = f"import sys; print({said_there!r}, flush=True); sys.stdin.read()"
    monkeypatch.setattr(setup, "ssh_words", lambda *_: [sys.executable, "-S", "-c", script])
    with pytest.raises(BadInput) as error:
        setup.set_up(Address("board1", "pi@board1"), None, None, print)
    (line,) = error.value.lines
    assert line == f"board1: what answers is no installer of bench: {said}"


def test_too_little_memory_or_disk_there_is_refused(monkeypatch, tmp_path):
    request = {"folder": str(tmp_path / "x"), "desk": "desk", "least_disk": 1 << 60}
    with pytest.raises(installer.Stop, match="MiB left: bench and torch need 3 GiB"):
        installer.look(request)
    monkeypatch.setattr(installer, "_memory_bytes", lambda: 512 << 20)
    with pytest.raises(installer.Stop, match="it has 512 MiB of memory: torch needs 1 GiB"):
        installer.look(request)


@pytest.mark.parametrize(
    ("wheelhouse", "names", "wanted"),
    [
        (None, ["ondevice_bench-0-py3-none-any.whl"], ["pillow>=11"]),
        (Path("w"), ["ondevice_bench-0-py3-none-any.whl", "Pillow-11.whl"], ["pillow>=11"]),
        (Path("w"), ["ondevice_bench-0-py3-none-any.whl", "numpy-2.whl"], []),
    ],
)
def test_a_board_can_read_images_for_the_pass_loading(wheelhouse, names, wanted):
    wheels = [setup._Wheel(name, b"") for name in names]
    assert setup._for_images(wheelhouse, wheels) == wanted


def test_a_system_of_32_bits_is_refused_though_its_kernel_has_64(monkeypatch, tmp_path):
    narrow = SimpleNamespace(version_info=sys.version_info, maxsize=(1 << 31) - 1)
    monkeypatch.setattr(installer, "sys", narrow)
    with pytest.raises(installer.Stop, match="its Python has 32 bits, torch needs 64"):
        installer.look({"folder": str(tmp_path / "x"), "desk": "desk", "least_disk": 1})


NO_VERSION = "ERROR: Could not find a version that satisfies the requirement typer"
NO_CLOCK = "'SSLError(certificate is not yet valid)': /simple/typer/"


@pytest.mark.parametrize(
    ("printed", "end", "said"),
    [
        (("WARNING: a", NO_VERSION, "ERROR: b"), "exit 1", NO_VERSION),
        (
            (f"WARNING: Retrying after connection broken by {NO_CLOCK}", NO_VERSION),
            "exit 1",
            f"{NO_VERSION}; before: {NO_CLOCK}",
        ),
        (
            ("ERROR: Exception:", "Traceback (most recent call last):", "ReadTimeout: timed out"),
            "exit 2",
            "ReadTimeout: timed out",
        ),
        (("WARNING: a",), "kill -9 $$", "the system has killed it: perhaps the memory ran out"),
        ((), "exit 1", "it failed"),
    ],
)
def test_the_line_that_says_most_about_a_failure_is_told(printed, end, said):
    script = "\n".join([*(f"echo {shlex.quote(line)}" for line in printed), end])
    with pytest.raises(installer.Stop, match=f"^pip: {re.escape(said)}$"):
        installer._run(["sh", "-c", script], "pip")


def test_a_title_that_a_shell_prints_before_is_left_out(monkeypatch, tmp_path):
    """Such as `printf '\\033]0;board1\\007'` in ~/.bashrc: it has no end of line."""
    shell = ["sh", "-c", "printf 'board1'; exec \"$@\"", "sh"]
    monkeypatch.setattr(setup, "ssh_words", lambda _, words: [*shell, *words])
    monkeypatch.setattr(setup, "_START_SECONDS", 5.0)
    board = Address("board1", "pi@board1", folder=str(tmp_path / "there"))
    with setup.Installer(board, sys.executable) as there:
        looked = there.ask("look", desk="desk", least_disk=1)
    assert looked["python"] == platform.python_version()


def test_a_python_without_its_whole_library_is_not_told_to_be_set_up(monkeypatch):
    """As the package `python3-minimal`, which has no json."""
    ended = "import sys; sys.stdin.read(1); import no_json"
    monkeypatch.setattr(setup, "ssh_words", lambda *_: [sys.executable, "-S", "-c", ended])
    with pytest.raises(BadInput) as error:
        setup.Installer(Address("board1", "pi@board1"), "python3")
    (line,) = error.value.lines
    reason = "ModuleNotFoundError: No module named 'no_json'"
    lacks = f"its Python has no whole standard library ({reason})"
    assert line == f"board1: {lacks}: install python3-full there"


@pytest.mark.parametrize(
    ("python", "is_made"), [("/bin/true", False), ("/bin/false", True), ("/no/python3.9", True)]
)
def test_an_environment_without_its_python_is_made_anew(monkeypatch, tmp_path, python, is_made):
    """As after an upgrade of the system."""
    (tmp_path / "env/bin").mkdir(parents=True)
    (tmp_path / "env/bin/pip").touch()
    (tmp_path / "env/bin/python").symlink_to(python)
    ran = []
    monkeypatch.setattr(installer, "_run", lambda words, what: ran.append(what))
    installer.install(
        {"folder": str(tmp_path), "offline": False, "wheel": "a.whl", "requirements": []}
    )
    assert ran == ["the environment"] * is_made + ["pip", "pip"]


def test_what_is_left_of_a_folder_can_be_removed_later(monkeypatch, tmp_path):
    folder = tmp_path / "there"
    (folder / "wheels").mkdir(parents=True)
    for name in (installer.MARKER, "in-use", "one", "two", "wheels/three"):
        (folder / name).touch()
    (folder / "link").symlink_to(tmp_path)
    request = {"folder": str(folder), "desk": "desk"}
    unlink = os.unlink

    def unlink_or_end(path, **where):
        if os.path.basename(path) == installer.MARKER:
            raise KeyboardInterrupt
        unlink(path, **where)

    with monkeypatch.context() as ended:
        ended.setattr(os, "unlink", unlink_or_end)
        with pytest.raises(KeyboardInterrupt):
            installer.remove(request)
    assert os.listdir(folder) == [installer.MARKER]
    unlink(folder / installer.MARKER)  # an end before the empty folder goes
    assert installer.remove(request) == {"removed": True}
    assert installer.remove(request) == {"removed": False}
    assert tmp_path.exists()


def test_what_installs_ends_with_its_connection(monkeypatch):
    read_end, write_end = os.pipe()
    os.close(write_end)
    with os.fdopen(read_end) as ended:
        monkeypatch.setattr(sys, "stdin", ended)
        with pytest.raises(installer.Stop, match="the connection ended"):
            installer._run([sys.executable, "-c", "import time; time.sleep(600)"], "pip")


def test_the_wheel_is_equal_each_time_and_holds_the_declarations(tmp_path):
    name, content = wheel()
    assert wheel() == (name, content)
    (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / name) as file:
        names = file.namelist()
    assert "ondevice_bench/builtin/hardware/pi5.yaml" in names
    assert "ondevice_bench/worker/worker.py" in names
    assert not [each for each in names if "__pycache__" in each]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("boards: {}", "schema: is required"),
        ("schema: 1\nboards: {b: {adress: a@b}}", "did you mean 'address'?"),
        ("schema: 1\nboards: {b: {address: b}}", "must be USER@HOST or USER@HOST:PORT, got 'b'"),
        ("schema: 1\nboards: {b: {address: -oProxyCommand=x@b}}", "must be USER@HOST"),
        ("schema: 1\nboards: {b: {address: a@b:99999}}", "99999 is not a port"),
        ("schema: 1\nboards: {'b c': {address: a@b}}", "cannot be the name of a board"),
        ('schema: 1\nboards: {b: {address: a@b, folder: "x\\ny"}}', "is not a path"),
        ("schema: 1\nboards: {b: {address: a@b, folder: -x}}", "is not a path"),
        (
            "schema: 1\nboards: {b: {address: a@b, folder: ~c/x}}",
            "'~c/x' is not a path: it must be",
        ),
        ("schema: 1\nboards: {b: {address: a@b, python: '~/'}}", "is not a path"),
        ("schema: 1\nboards: {b: {address: a@b, folder: ~/-x}}", "is not a path"),
    ],
)
def test_a_fault_in_hosts_yaml_has_its_place(workplace, text, expected):
    (workplace / "hosts.yaml").write_text(text)
    with pytest.raises(BadInput) as error:
        boards()
    assert all(line.startswith("hosts.yaml:") for line in error.value.lines)
    assert expected in "\n".join(error.value.lines)


def test_a_path_there_begins_in_the_home_folder(workplace):
    """A shell there would not see its sign."""
    text = "schema: 1\nboards: {b: {address: a@b, folder: ~/bench, python: ~/env/bin/python}}"
    (workplace / "hosts.yaml").write_text(text)
    found = boards()["b"]
    assert (found.folder, found.interpreter) == ("bench", "env/bin/python")


@pytest.mark.parametrize(
    "text",
    [
        "board2",
        "a@",
        "@b",
        "a@b:",
        "a@b:0",
        "a@b:x",
        "-o@b",
        "a b@c",
        "a@b c",
        "a@b\nc",
        "a@[::1",
        "a@-oProxyCommand=x",
        "a@$(x)",
        "`x`@b",
        "a@b;c",
    ],
)
def test_what_is_no_board_is_one_line(workplace, text):
    (workplace / "hosts.yaml").write_text("schema: 1\nboards: {board1: {address: a@b}}")
    with pytest.raises(BadInput) as error:
        address(text)
    assert len(error.value.lines) == 1
    if text == "board2":
        assert "did you mean 'board1'?" in error.value.lines[0]


def test_an_address_has_a_port_and_may_be_of_ipv6(workplace):
    found = address("pi@board1:2222"), address("pi@[fe80::1%eth0]:22"), address("pi@board1")
    assert [(each.target, each.port) for each in found] == [
        ("pi@board1", 2222),
        ("pi@fe80::1%eth0", 22),
        ("pi@board1", None),
    ]


@pytest.mark.parametrize("text", ["c@d:22", "c@[fe80::1%eth0]", "c@[fe80::1%eth0]:22"])
@pytest.mark.parametrize("name", ["board2", "2", "true"])
def test_a_name_is_added_with_the_indent_of_the_others(workplace, text, name):
    others = "schema: 1\nboards:\n    # mine\n    board1:\n        address: a@b\n"
    (workplace / "hosts.yaml").write_text(others)
    remember(name, address(text))
    found = {name: board.address for name, board in boards().items()}
    assert found == {"board1": "a@b", name: text}


def test_a_name_is_added_with_the_line_ends_of_the_file(workplace):
    before = b"schema: 1\r\nboards:\r\n  board1: {address: a@b}\r\n"
    (workplace / "hosts.yaml").write_bytes(before)
    remember("board2", address("c@d"))
    after = (workplace / "hosts.yaml").read_bytes()
    added = b'  board2:\r\n    address: "c@d"\r\n'
    assert after.replace(added, b"") == before
    assert boards()["board2"].address == "c@d"


ADDING = """
import sys, time
from ondevice_bench.remote import address
read, number = address.boards, sys.argv[1]
def boards_slowly(file):
    found = read(file)
    time.sleep(0.05)  # time for the others to read the same file
    return found
address.boards = boards_slowly
address.remember(f"board{number}", address.Address(f"board{number}", f"pi@h{number}"))
"""


@pytest.mark.parametrize("before", ["", "schema: 1\nboards:\n  mine: {address: a@b}\n"])
def test_commands_that_add_boards_at_the_same_time_lose_none(workplace, before):
    if before:
        (workplace / "hosts.yaml").write_text(before)
    words = [sys.executable, "-c", ADDING]
    started = [subprocess.Popen([*words, str(number)]) for number in range(4)]
    assert [process.wait(timeout=120) for process in started] == [0] * 4
    added = {name: board.address for name, board in boards().items() if name != "mine"}
    assert added == {f"board{number}": f"pi@h{number}" for number in range(4)}
    assert ("mine" in boards()) == bool(before)


def test_a_name_that_another_command_took_in_the_meantime_is_refused(workplace):
    remember("board1", Address("board1", "a@b"))
    with pytest.raises(BadInput, match="has another board with the name board1: a@b"):
        remember("board1", Address("board1", "c@d"))
    assert boards()["board1"].address == "a@b"


@pytest.mark.parametrize(
    "text",
    [
        "schema: 1\nboards: {board1: {address: a@b}}\n",
        "schema: 1\nboards:\n  {board1: {address: a@b}}\n",
        'schema: 1\n"boards": {board1: {address: a@b}}\n',
    ],
)
def test_a_file_that_is_written_in_another_way_stays_as_it_is(workplace, text):
    (workplace / "hosts.yaml").write_text(text)
    with pytest.raises(BadInput) as error:
        remember("board2", address("c@d:22"))
    (line,) = error.value.lines
    assert line == 'hosts.yaml: add the board by hand: board2: {address: "c@d:22"}'
    assert (workplace / "hosts.yaml").read_text() == text


def test_a_name_is_added_to_hosts_yaml_and_the_rest_stays(bench, workplace, server, quick_python):
    text = f"""\
schema: 1
boards:
  # the one in the kitchen
  board1: {{address: "{server.address}", python: "{quick_python}", folder: "{workplace}/there",
           ssh_config: {server.config}}}
"""
    (workplace / "hosts.yaml").write_text(text)
    ended = bench("board", "setup", "board1", "--name", "kitchen")
    assert "hosts.yaml has this board already, as board1" in one_line(ended)
    assert (workplace / "hosts.yaml").read_text() == text
    assert bench("board", "setup", "board1").code == 0
    assert json.loads(bench("board", "list", "--json").out) == [
        {"name": "board1", "address": server.address, "python": str(quick_python)}
    ]
    assert json.loads(bench("board", "check", "board1", "--json").out)["name"] == "board1"
