"""Batch-norm layers during a forward that is not the forward of a step."""

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def statistics_unchanged(module: nn.Module) -> Iterator[None]:
    """In the block, batch-norm layers do not change their running statistics."""
    norms = [
        norm
        for norm in module.modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.track_running_stats
    ]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
