"""The measuring side of a board, whose workers have their imports done: `forking_board.py SOCKET FOLDER`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

from tests.torch_server import fork_workers_from  # it is found now

fork_workers_from(sys.argv.pop(1))

from ondevice_bench.remote import far_side  # noqa: E402  # after what it starts workers with

far_side.main()
