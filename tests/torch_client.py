"""Stands for a process of the torch server: `torch_client.py SOCKET MODULE ARGUMENT...`."""

import json
import os
import signal
import socket
import sys

path, *words = sys.argv[1:]
fds = sorted({int(name) for name in os.listdir("/proc/self/fd")})
fds = [each for each in fds if os.path.exists(f"/proc/self/fd/{each}")]  # not the listing's own
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.connect(path)
request = {"words": words, "cwd": os.getcwd(), "environment": dict(os.environ), "fds": fds}
socket.send_fds(connection, [json.dumps(request).encode()], fds)
reply = connection.recv(64)
status = int(reply) if reply else 1
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
