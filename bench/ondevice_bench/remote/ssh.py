"""OpenSSH's own client as the way to a board: its configuration, keys, agents and jump hosts.

What runs on the board passes through a shell there, so every word is quoted. Nothing asks for a
password: no user is there to answer.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ondevice_bench.remote.address import Address
from ondevice_bench.remote.link import Link, LinkLost

OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=20",
    "ServerAliveInterval=15",  # a lost network is noticed after a minute
    "ServerAliveCountMax=4",
    "ControlMaster=no",  # the user's master is used; this process becomes none
    "ClearAllForwardings=yes",  # this process opens no port
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",  # the user's own, for logins by hand
    "RequestTTY=no",
)
FAR_SIDE = "ondevice_bench.remote.far_side"
FAILED = 255  # the exit status if `ssh` itself failed, not its command


def ssh_words(address: Address, words: Sequence[str]) -> list[str]:
    """The command here that runs these words there."""
    options = [word for option in OPTIONS for word in ("-o", option)]
    config = [] if address.ssh_config is None else ["-F", str(address.ssh_config)]
    port = [] if address.port is None else ["-p", str(address.port)]
    there = f"exec {shlex.join(words)}"
    return ["ssh", *config, *options, *port, "--", address.target, there]


def started(words: Sequence[str]) -> Link:
    """Start `ssh`; LinkLost if it cannot start."""
    try:
        return Link(words)
    except FileNotFoundError:
        raise LinkLost("there is no `ssh` here: install OpenSSH's client") from None
    except OSError as error:
        raise LinkLost(f"ssh cannot start: {error.strerror}") from None


@dataclass(frozen=True)
class SshWay:
    """The way to the measuring side on a board."""

    address: Address

    @property
    def name(self) -> str:
        """What the user calls the board."""
        return self.address.name

    def link(self) -> Link:
        """Start `ssh`, and with it the measuring side."""
        python = self.address.interpreter
        return started(ssh_words(self.address, [python, "-P", "-m", FAR_SIDE, self.address.folder]))

    def refusal(self, status: int | None, printed: str) -> str:
        """Why another attempt would fail in the same way. Empty if it might succeed."""
        return why_refused(self.address, status, printed)


def why_refused(address: Address, status: int | None, printed: str) -> str:
    """Why `ssh` or the board refuses, and what to do. Empty if only the network failed."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    last = [*lines[-1:], "it printed nothing"][0]
    if status == FAILED:
        return _why_ssh_refused(address, lines)
    if status in (126, 127):  # of a shell: no such command
        return f"has no {address.interpreter}: run `bench board setup {address.name}`"
    if "No module named" in printed:
        return (
            f"{address.interpreter} has no bench ({last}): run `bench board setup {address.name}`"
        )
    if status is not None and status > 0:
        return f"its measuring side does not start: {last}"
    return ""


def _why_ssh_refused(address: Address, lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    by_hand = shlex.join(["ssh", *_port(address), address.target])
    if "HOST IDENTIFICATION HAS CHANGED" in text:
        place = next((line for line in lines if line.startswith("Offending")), "in known_hosts")
        return (
            f"its host key has changed ({place}): if the board was installed again, remove the old "
            f"key with `ssh-keygen -R`; otherwise somebody else may answer"
        )
    if "Host key verification failed" in text:
        return f"its host key is unknown: connect once by hand with `{by_hand}` and check the key"
    denied = next((line for line in lines if "Permission denied" in line), "")
    if denied:
        return f"{denied} bench asks for no password: set up a key with `ssh-copy-id`, or an agent"
    wrong = ("Bad configuration option", "no such identity")
    return next((line for line in lines if any(each in line for each in wrong)), "")


def _port(address: Address) -> list[str]:
    return [] if address.port is None else ["-p", str(address.port)]
