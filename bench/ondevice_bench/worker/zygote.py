"""A child of the parent that has imported torch and forks workers. It does nothing else.

Messages are JSON packets on one socket. The parent sends `kill`, or `fork` with three descriptors:
the worker's input, the reply pipe and the worker's output. The zygote answers with the worker's
exit status.
The zygote itself kills the worker, before it collects the exit status. Until then no other process
can have the worker's number. What a worker's code forked ends with the worker: the zygote adopts
orphans, and kills them before it says that the worker has ended.
"""

import json
import os
import select
import signal
import socket
import sys

from ondevice_bench.protocol import VERSION
from ondevice_bench.protocol.packets import PACKET_BYTES
from ondevice_bench.protocol.questions import work_from_text
from ondevice_bench.worker import runtime
from ondevice_bench.worker.worker import serve


def main() -> None:
    """Serve until the socket closes, at the latest when the parent ends: `zygote FD`."""
    # not die_with_parent: the kernel would send the signal when the parent's starting thread ends
    connection = socket.socket(fileno=int(sys.argv[1]))
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with runtime.ending_with(connection):
        runtime.import_torch()
    runtime.adopt_orphans()
    threads = runtime.thread_count()
    _send(
        connection,
        {"protocol": VERSION, "software": runtime.software(), "threads": threads},
    )
    _serve(connection, wake_read, wake_write)


def _serve(connection: socket.socket, wake: int, wake_write: int) -> None:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(wake, select.POLLIN)
    child = 0
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if wake in ready:
            os.read(wake, PACKET_BYTES)
            child = _reap(connection, child)
        if connection.fileno() in ready:
            packet, fds, _, _ = socket.recv_fds(connection, PACKET_BYTES, 3)
            if not packet:
                runtime.end_children()
                return
            if "fork" in json.loads(packet):
                child = _fork(connection, (wake, wake_write), fds)
            elif child:
                os.kill(child, signal.SIGKILL)


def _reap(connection: socket.socket, child: int) -> int:
    if not child:
        return 0
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid == 0:
        return child
    runtime.end_children()
    _send(connection, {"exit": os.waitstatus_to_exitcode(status)})
    return 0


def _fork(connection: socket.socket, wake: tuple[int, int], fds: list[int]) -> int:
    input_fd, reply_fd, output_fd = fds
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            runtime.die_with_parent(zygote)
            connection.close()
            for descriptor in wake:
                os.close(descriptor)
            for target, descriptor in enumerate((input_fd, output_fd, output_fd)):
                os.dup2(descriptor, target)
            serve(work_from_text(sys.stdin.readline()), reply_fd)
        finally:
            os._exit(1)
    for descriptor in fds:
        os.close(descriptor)
    return pid


def _send(connection: socket.socket, message: dict[str, object]) -> None:
    connection.send(json.dumps(message).encode())


if __name__ == "__main__":
    main()
