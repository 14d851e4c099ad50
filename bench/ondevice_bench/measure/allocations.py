"""What torch's allocator did during a piece of code, by its own record.

CPU tensors only; what a library allocates behind torch's back is not in it, only in the RSS.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from torch import nn
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile, record_function

_SPAN, _MODULE = "bench.span:", "bench.module:"


@dataclass
class Span:
    """A named stretch of the record; levels are bytes over that of the record's beginning."""

    name: str
    start_bytes: int
    end_bytes: int = 0
    peak_bytes: int = 0
    kept: dict[str, int] = field(default_factory=dict)  # by module: allocated within, still there

    @property
    def kept_bytes(self) -> int:
        """How much more there is at its end than at its beginning."""
        return self.end_bytes - self.start_bytes


@dataclass
class Allocations:
    """Bytes of every allocation (positive) and release (negative), in order, and the spans."""

    sizes: tuple[int, ...] = ()
    spans: tuple[Span, ...] = ()

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

    def peak_of(self, name: str) -> int:
        """The highest level in any span of that name."""
        return max((span.peak_bytes for span in self.spans if span.name == name), default=0)


@contextlib.contextmanager
def recorded() -> Iterator[Allocations]:
    """Record the allocator's events within; they are there when the block has ended."""
    found = Allocations()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        yield found
    assert profiler.profiler is not None
    results = profiler.profiler.kineto_results
    assert results is not None
    events = sorted(_flat(results.experimental_event_tree(), ""), key=lambda event: event.time)
    found.sizes = tuple(event.size for event in events if not event.mark)
    found.spans = tuple(_spans(events))


def span(name: str) -> contextlib.AbstractContextManager[Any]:
    """A stretch of what is recorded that gets figures of its own."""
    return record_function(_SPAN + name)


@contextlib.contextmanager
def modules_named(model: nn.Module) -> Iterator[None]:
    """Let the record say in which module's forward each allocation was made."""
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
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True)
class _Event:
    time: int
    size: int = 0
    address: int = 0
    module: str = ""
    mark: str = ""  # "+name" where a span begins, "-name" where it ends


def _flat(nodes: list[Any], module: str) -> Iterator[_Event]:
    """Allocations with the module they lie in, and the ends of spans."""
    for node in nodes:
        kind, fields = node.typed
        if kind == _EventType.Allocation:
            yield _Event(node.start_time_ns, int(fields.alloc_size), int(fields.ptr or 0), module)
            continue
        inside = node.name.removeprefix(_MODULE) if node.name.startswith(_MODULE) else module
        if node.name.startswith(_SPAN):
            name = node.name.removeprefix(_SPAN)
            yield _Event(node.start_time_ns, mark=f"+{name}")
            yield from _flat(node.children, inside)
            yield _Event(node.end_time_ns, mark=f"-{name}")
        else:
            yield from _flat(node.children, inside)


def _spans(events: list[_Event]) -> Iterator[Span]:
    """The spans with their levels; they follow one another, none within another."""
    level, now = 0, None
    here: dict[int, _Event] = {}
    for event in events:
        if event.mark.startswith("+"):
            now, here = Span(event.mark[1:], level, peak_bytes=level), {}
        elif event.mark:
            assert now is not None
            now.end_bytes = level
            for kept in here.values():
                now.kept[kept.module] = now.kept.get(kept.module, 0) + kept.size
            yield now
            now = None
        else:
            level += event.size
            if now is not None:
                now.peak_bytes = max(now.peak_bytes, level)
                if event.size >= 0:
                    here[event.address] = event
                else:
                    here.pop(event.address, None)
