"""What torch's allocator did during a piece of code, by its own record."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from torch.profiler import ProfilerActivity, profile


@dataclass
class Allocations:
    """Bytes of every allocation (positive) and release (negative), in order; CPU tensors only."""

    sizes: tuple[int, ...] = ()

    @property
    def kept_bytes(self) -> int:
        """What was allocated and is still there at the end, less what was there and is gone."""
        return sum(self.sizes)

    @property
    def peak_bytes(self) -> int:
        """The highest level over that of the beginning."""
        return max(accumulate(self.sizes, initial=0))

    @property
    def largest_bytes(self) -> int:
        """The largest single allocation."""
        return max(self.sizes, default=0)


@contextlib.contextmanager
def recorded() -> Iterator[Allocations]:
    """Record the allocator's events within; they are there when the block has ended."""
    found = Allocations()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        yield found
    assert profiler.profiler is not None
    results = profiler.profiler.kineto_results
    assert results is not None
    events = [event for event in results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    found.sizes = tuple(int(event.nbytes()) for event in events)
