"""Batch-norm layers while a forward runs that is not the step's own."""

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def statistics_unchanged(module: nn.Module) -> Iterator[None]:
    """Batch-norm layers that train leave their running statistics as they are."""
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
