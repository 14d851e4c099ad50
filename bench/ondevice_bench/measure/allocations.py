"""The allocations and releases of torch's allocator during a piece of code.

The record has CPU tensors only. Memory that a library allocates without torch is only in the RSS.
"""

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from torch import nn
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile, record_function

from ondevice_bench.measure.removable_hooks import hooked

_SPAN, _MODULE = "bench.span:", "bench.module:"


@dataclass
class MarkedSpan:
    """A named part of the record. Levels are bytes over the level at the record's beginning."""

    name: str
    start_bytes: int
    end_bytes: int = 0
    peak_bytes: int = 0
    # bytes that the span allocated and did not release, by module
    alive_by_module: dict[str, int] = field(default_factory=dict)

    @property
    def net_bytes(self) -> int:
        """The level at the span's end, minus the level at its beginning."""
        return self.end_bytes - self.start_bytes


@dataclass
class Allocations:
    """The record: bytes of allocations (positive) and releases (negative) in order, and spans."""

    sizes: tuple[int, ...] = ()
    spans: tuple[MarkedSpan, ...] = ()

    @property
    def net_bytes(self) -> int:
        """The level at the end: bytes allocated, minus bytes released."""
        return sum(self.sizes)

    @property
    def peak_bytes(self) -> int:
        """The highest level over the level at the beginning."""
        return max(accumulate(self.sizes, initial=0))

    @property
    def largest_bytes(self) -> int:
        """The largest single allocation."""
        return max(self.sizes, default=0)

    def peak_of(self, name: str) -> int:
        """The highest level in any span of this name."""
        return max((span.peak_bytes for span in self.spans if span.name == name), default=0)


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Collect no garbage in the block."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def record_allocations() -> Iterator[Allocations]:
    """Record the allocator's events in the block. The record is filled when the block ends.

    No garbage is collected meanwhile: what was garbage before would be released in the record.
    """
    allocations = Allocations()
    with (
        _without_collection(),
        profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler,
    ):
        yield allocations
    assert profiler.profiler is not None
    results = profiler.profiler.kineto_results
    assert results is not None
    events: list[_Event] = []
    _add_events(events, results.experimental_event_tree(), "")
    events.sort(key=lambda event: event.time)
    allocations.sizes = tuple(event.size for event in events if not event.mark)
    allocations.spans = tuple(_spans(events))


def span(name: str) -> contextlib.AbstractContextManager[Any]:
    """Mark a span of the record, which gets its own levels."""
    return record_function(_SPAN + name)


@contextlib.contextmanager
def mark_modules(model: nn.Module) -> Iterator[None]:
    """Record for each allocation the module whose forward made it."""
    entered: list[Any] = []

    def enter(name: str) -> Any:
        def hook(*_: object) -> None:
            entered.append(record_function(_MODULE + name))
            entered[-1].__enter__()

        return hook

    def leave(*_: object) -> None:
        entered.pop().__exit__(None, None, None)

    hooks = [
        hook
        for name, module in model.named_modules()
        for hook in (
            module.register_forward_pre_hook(enter(name)),
            module.register_forward_hook(leave),
        )
    ]
    with hooked(hooks):
        yield


@dataclass(frozen=True)
class _Event:
    time: int
    size: int = 0
    address: int = 0
    module: str = ""
    mark: str = ""  # "+name" at the beginning of a span, "-name" at its end


def _add_events(events: list[_Event], nodes: list[Any], module: str) -> None:
    """Add the allocations with their module, and the marks of spans."""
    for node in nodes:
        kind, fields = node.typed
        if kind == _EventType.Allocation:
            size, address = int(fields.alloc_size), int(fields.ptr or 0)
            events.append(_Event(node.start_time_ns, size, address, module))
            continue
        name = node.name
        inside = name.removeprefix(_MODULE) if name.startswith(_MODULE) else module
        if name.startswith(_SPAN):
            span_name = name.removeprefix(_SPAN)
            events.append(_Event(node.start_time_ns, mark=f"+{span_name}"))
            _add_events(events, node.children, inside)
            events.append(_Event(node.end_time_ns, mark=f"-{span_name}"))
        else:
            _add_events(events, node.children, inside)


def _spans(events: list[_Event]) -> Iterator[MarkedSpan]:
    """The spans with their levels. No span lies inside another."""
    level, span_now = 0, None
    alive: dict[int, _Event] = {}
    for event in events:
        if event.mark.startswith("+"):
            span_now, alive = MarkedSpan(event.mark[1:], level, peak_bytes=level), {}
        elif event.mark:
            assert span_now is not None
            span_now.end_bytes = level
            by_module = span_now.alive_by_module
            for allocation in alive.values():
                by_module[allocation.module] = by_module.get(allocation.module, 0) + allocation.size
            yield span_now
            span_now = None
        else:
            level += event.size
            if span_now is not None:
                span_now.peak_bytes = max(span_now.peak_bytes, level)
                if event.size >= 0:
                    alive[event.address] = event
                else:
                    alive.pop(event.address, None)
