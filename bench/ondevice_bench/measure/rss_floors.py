"""Resident memory at settled moments, and the peaks between them."""

import torch
from torch import nn

from ondevice_bench.measure import memory


def peak() -> int:
    """The peak since the last reset. PeakUnavailable if pages are in swap: no peak counts them."""
    in_swap = memory.swap_bytes()
    if in_swap:
        raise memory.PeakUnavailable(
            f"{in_swap} bytes of the process were in swap, which resident memory does not count"
        )
    return memory.peak_bytes()


def floor() -> memory.ResidentMemory:
    """Settle, reset the peak, and return the resident memory."""
    memory.settle()
    memory.reset_peak()
    return memory.resident()


def warm_runtime() -> None:
    """Run a step of a small network, which starts threads and loads the lazy parts of torch."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(model(torch.zeros(4, 3, 32, 32)), torch.zeros(4).long())
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
