"""Training loops as people write them, with torch alone."""

from collections.abc import Sequence
from typing import Any

import torch

from tests.clients.oracle import Loss, State
from tests.clients.training import RATE, Training


def plain(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()
    for batch in batches:
        loss(network, batch).backward()
        optimizer.step()
        optimizer.zero_grad()
