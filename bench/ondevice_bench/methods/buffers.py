"""A forward without a step leaves the buffers of a network as they were."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from ondevice_bench.methods.tensors import has_content, is_strided


@contextlib.contextmanager
def buffers_unchanged(module: nn.Module) -> Iterator[None]:
    """After the block, all buffers are as before: statistics, and vectors of a spectral norm."""
    held = [
        (owner, name, buffer, buffer.clone())
        for owner in module.modules()
        for name, buffer in owner._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for owner, name, buffer, before in held:
            owner._buffers[name] = buffer
            # torch compares no sparse tensors
            if has_content() and not (is_strided(buffer) and torch.equal(buffer, before)):
                buffer.copy_(before)
