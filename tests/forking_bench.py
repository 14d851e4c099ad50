"""The real command `bench`, whose workers have their imports done: `forking_bench.py SOCKET ARGUMENT...`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from tests.torch_server import fork_workers_from  # it is found now

fork_workers_from(sys.argv.pop(1))
sys.argv[0] = str(Path(sys.executable).with_name("bench"))

from ondevice_bench.cli import main  # noqa: E402  # after what takes longer

main()
