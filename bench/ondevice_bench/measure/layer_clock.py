"""The time inside certain layers during a step: their forward, and the functions of their backward.

A layer's backward is what autograd does for the operators of its forward: the gradients of its
input, weight and bias. The time of each of these functions counts, and nothing between them: not
the sum where two functions take one tensor, and not what adds a gradient to `.grad`. The clock adds
nothing to the graph, so the step computes the same with it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn
from torch.autograd.graph import Node

from ondevice_bench.measure.clock import TimedSamples, sample
from ondevice_bench.measure.removable_hooks import hooked
from ondevice_bench.measure.training_step import TrainingStep
from ondevice_bench.suite.suite import Sampling

_NOT_OF_A_LAYER = "AccumulateGrad"  # it adds a gradient to `.grad`


@dataclass(frozen=True)
class LayerSample:
    """One step: the time inside the layers, inside the clock itself, and of the whole step."""

    forward_seconds: float
    backward_seconds: float
    clock_seconds: float
    step_seconds: float

    @property
    def seconds(self) -> float:
        """The time inside the layers."""
        return self.forward_seconds + self.backward_seconds


class LayerClock:
    """Adds up the time inside layers. Only one of them may run at a time."""

    def __init__(self) -> None:
        self.forward_ns = self.backward_ns = self.own_ns = 0
        self.calls = 0
        self.overlaps = False
        self._began: int | None = None

    def reset(self) -> None:
        """Begin a new step."""
        self.forward_ns = self.backward_ns = self.own_ns = 0
        self._began = None

    @contextmanager
    def on(self, layers: Iterable[nn.Module]) -> Iterator[None]:
        """Follow these layers in every forward of the block, and in its backward."""
        befores: list[Node | None] = []  # what computed the inputs of the layers that run

        def enter(_: nn.Module, inputs: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> None:
            entered = time.perf_counter_ns()
            x = inputs[0] if inputs else next(iter(named.values()))
            befores.append(x.grad_fn)
            self.calls += 1
            self.own_ns += self._start() - entered

        def leave(_: nn.Module, __: object, output: Tensor) -> None:
            self.forward_ns += self._stop()
            stopped = time.perf_counter_ns()
            before = befores.pop()
            for node in _functions(output.grad_fn, before):
                node.register_prehook(begin_backward)
                node.register_hook(end_backward)
            self.own_ns += time.perf_counter_ns() - stopped

        def begin_backward(_: object) -> None:
            self._start()

        def end_backward(*_: object) -> None:
            self.backward_ns += self._stop()

        hooks = [
            hook
            for layer in layers
            for hook in (
                layer.register_forward_pre_hook(enter, with_kwargs=True),
                layer.register_forward_hook(leave, prepend=True),
            )
        ]
        with hooked(hooks):
            yield

    def _start(self) -> int:
        self.overlaps = self.overlaps or self._began is not None
        self._began = time.perf_counter_ns()
        return self._began

    def _stop(self) -> int:
        now = time.perf_counter_ns()
        began, self._began = self._began, None
        return 0 if began is None else now - began


def time_layers(
    step: TrainingStep, layers: Iterable[nn.Module], sampling: Sampling, clock: LayerClock
) -> TimedSamples[LayerSample]:
    """Whole steps with the clock on, until the time inside the layers is precise enough."""

    def run() -> None:
        for part in range(step.parts):
            step.backward(step.forward(part))
        step.update()

    return _timed(run, layers, sampling, clock)


def time_layers_of_inference(
    step: TrainingStep, layers: Iterable[nn.Module], sampling: Sampling, clock: LayerClock
) -> TimedSamples[LayerSample]:
    """As `time_layers`, for inference: the network is in evaluation mode, without gradients."""
    return _timed(step.infer, layers, sampling, clock)


def _timed(
    run: Callable[[], None], layers: Iterable[nn.Module], sampling: Sampling, clock: LayerClock
) -> TimedSamples[LayerSample]:
    def measure() -> LayerSample:
        clock.reset()
        began = time.perf_counter_ns()
        run()
        whole = time.perf_counter_ns() - began
        return LayerSample(
            forward_seconds=clock.forward_ns / 1e9,
            backward_seconds=clock.backward_ns / 1e9,
            clock_seconds=clock.own_ns / 1e9,
            step_seconds=whole / 1e9,
        )

    with clock.on(layers):
        return sample(measure, lambda each: each.seconds, sampling)


def _functions(last: Node | None, before: Node | None) -> list[Node]:
    """The functions of backward from the output of a layer back to its input."""
    found: list[Node] = []
    seen = {before}
    waiting = [last]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or type(node).__name__ == _NOT_OF_A_LAYER:
            continue
        seen.add(node)
        found.append(node)
        waiting += [each for each, _ in node.next_functions]
    return found
