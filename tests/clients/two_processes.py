"""The client whose loop runs in two processes: DistributedDataParallel over gloo.

`python -m tests.clients.two_processes RANK FOLDER` is one of the two. It prints its outcomes.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tests.clients.batches import scores, small
from tests.clients.methods import METHODS
from tests.clients.networks import Small
from tests.clients.oracle import WRONG, Client, Loss, Outcome, outcome
from tests.clients.torch_clients import double
from tests.clients.training import Training

_PROCESSES = 2
_PATIENCE = timedelta(seconds=20)


def _distributed(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Each process has every other example; gradients are averaged while backward runs."""
    network = DistributedDataParallel(training.prepare())
    optimizer = training.optimizer()
    for batch in batches:
        part = tuple(each[dist.get_rank() :: _PROCESSES] for each in batch)
        training.backward(network, part, loss)
        optimizer.step()
        optimizer.zero_grad()


DISTRIBUTED = Client(
    "`DistributedDataParallel`", double(Small), small, scores, _distributed, blocks="blocks.*"
)


@cache
def outcomes() -> Mapping[str, Outcome]:
    """The outcome of each method; both processes must agree."""
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", __name__, str(rank), folder],
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            for rank in range(_PROCESSES)
        ]
        first, second = (json.loads(each.communicate()[0]) for each in processes)
    return {
        name: Outcome(**first[name])
        if first[name] == second[name]
        else Outcome(WRONG, f"the processes differ: {first[name]}, {second[name]}")
        for name in first
    }


def main(rank: int, folder: str) -> None:
    """One of the processes."""
    found = {}
    for number, method in enumerate(METHODS):
        dist.init_process_group(
            "gloo",
            init_method=f"file://{folder}/{number}",
            rank=rank,
            world_size=_PROCESSES,
            timeout=_PATIENCE,
        )
        found[method.name] = asdict(outcome(DISTRIBUTED, method))
        dist.destroy_process_group()
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
