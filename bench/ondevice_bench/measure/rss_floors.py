"""Settled moments of resident memory, and the highest between them."""

import torch
from torch import nn

from ondevice_bench.measure import memory


def peak() -> int:
    """The highest since the last reset; pages in swap are missing in it, so there is none then."""
    in_swap = memory.swap_bytes()
    if in_swap:
        raise memory.PeakUnavailable(
            f"{in_swap} bytes of the process lay in swap, which resident memory leaves out"
        )
    return memory.peak_bytes()


def floor() -> memory.ResidentMemory:
    """Settle, forget earlier peaks, and say what is resident."""
    memory.settle()
    memory.reset_peak()
    return memory.resident()


def warm_runtime() -> None:
    """A throwaway step: threads start, and lazily loaded parts of torch are loaded."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(model(torch.zeros(4, 3, 32, 32)), torch.zeros(4).long())
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
