"""A real sshd on the loopback interface, with keys and files of its own."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
_FORWARDED = ("PYTHONPATH", "LD_LIBRARY_PATH")


@dataclass
class Sshd:
    """A running server, and what a client needs to reach it."""

    folder: Path
    host: str
    port: int
    namespace: str  # of the network; empty for this one
    process: subprocess.Popen = None

    @property
    def config(self) -> Path:
        """The configuration of the client."""
        return self.folder / "ssh_config"

    @property
    def user(self) -> str:
        return getpass.getuser()

    @property
    def address(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"

    def sessions(self) -> list[int]:
        """The processes of the server that have a client each."""
        return _children(self.process.pid)

    def new_host_key(self) -> None:
        """What a board has after it was installed anew, or what somebody else would have."""
        self.stop()
        (self.folder / "host_key").unlink()
        (self.folder / "host_key.pub").unlink()
        _key(self.folder / "host_key")
        self.start()

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # what sshd needs to give up its rights
        elsewhere = ("ip", "netns", "exec", self.namespace) if self.namespace else ()
        files = ("-E", self.folder / "log", "-f", self.folder / "sshd_config")
        self.process = subprocess.Popen([*elsewhere, SSHD, "-D", *files])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as attempt:
                if attempt.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.05)
        self.stop()
        raise TimeoutError("sshd does not start")

    def stop(self) -> None:
        for pid in self.sessions():
            os.kill(pid, signal.SIGKILL)
        self.process.terminate()
        self.process.wait(10)


def start(
    folder: Path,
    *,
    forwarded: tuple[str, ...] = _FORWARDED,
    host: str = "127.0.0.1",
    namespace: str = "",
) -> Sshd:
    """Start a server whose files lie in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _key(folder / "host_key")
    _key(folder / "user_key")
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    environment = " ".join(f'"{k}={os.environ[k]}"' for k in forwarded if os.environ.get(k))
    (folder / "sshd_config").write_text(
        f"ListenAddress {host}\nPort {port}\nHostKey {folder}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        "MaxStartups 100\nLogLevel ERROR\n" + (f"SetEnv {environment}\n" if environment else "")
    )
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[{host}]:{port} {host_key}\n")
    (folder / "ssh_config").write_text(
        f"IdentityFile {folder}/user_key\nIdentitiesOnly yes\nIdentityAgent none\n"
        f"UserKnownHostsFile {folder}/known_hosts\nGlobalKnownHostsFile /dev/null\n"
        "UpdateHostKeys no\nControlPath none\n"
    )
    server = Sshd(folder, host, port, namespace)
    server.start()
    return server


def _key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                _, _, after = (entry / "stat").read_text().rpartition(")")
            except OSError:
                continue
            if int(after.split()[1]) == parent:
                found.append(int(entry.name))
    return found
