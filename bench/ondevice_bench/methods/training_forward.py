"""What a network does in training besides its own forward: the contexts of its methods."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.effect import expect
from ondevice_bench.methods.forward import Call
from ondevice_bench.methods.method import Method
from ondevice_bench.methods.packed_saves import PackedSaves


class _Entered(threading.local):
    """Whether this thread is within a part of a training step. A copy begins outside of one."""

    is_now = False

    def __reduce__(self) -> Any:
        return _Entered, ()


class TrainingForward:
    """It surrounds the forward of the network. Evaluation stays as it is.

    A part of a training step is expected, as `effect.py` says. A copy expects one of its own.
    """

    _network: "ref[nn.Module] | None" = None

    def __init__(self, methods: Sequence[Method]) -> None:
        self._methods = tuple(methods)
        self._cuts = any(method.slices > 1 for method in methods)
        self._entered = _Entered()
        self.has_run = False  # whether a training step has used it

    def __getstate__(self) -> dict[str, Any]:
        """A copy has not run, and gets to know its network when it is called."""
        kept = {name: each for name, each in vars(self).items() if name != "_network"}
        return {**kept, "has_run": False}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({"_entered": _Entered(), **state})  # earlier versions have no `_entered`

    @property
    def names(self) -> tuple[str, ...]:
        """The methods that change a training forward."""
        needed = [
            each
            for each in self._methods
            if each.slices > 1 or type(each).packing is not Method.packing
        ]
        return tuple(type(each).__name__ for each in needed)

    @property
    def packs(self) -> bool:
        """Whether it packs what autograd saves."""
        return any(isinstance(each, PackedSaves) for each in self._methods)

    @property
    def is_needed(self) -> bool:
        """Whether a training forward differs from that of the network."""
        return bool(self.names)

    @contextmanager
    def entered(self, network: nn.Module) -> Iterator[None]:
        """Run the block as a part of a training step: in the context of each method, once."""
        if self._entered.is_now:
            yield
            return
        self._entered.is_now = self.has_run = True
        try:
            with ExitStack() as stack:
                for method in self._methods:
                    stack.enter_context(method.packing(network))
                yield
        finally:
            self._entered.is_now = False

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Run the block with the forward of the network alone: it belongs to no training step."""
        before, self._entered.is_now = self._entered.is_now, True
        try:
            yield
        finally:
            self._entered.is_now = before

    def expect_of(self, network: nn.Module) -> None:
        """Expect that this network is called in training mode."""
        if torch.compiler.is_compiling():
            return
        if self._network is None or self._network() is not network:
            self._network = ref(network)
            expect(self)

    def has_happened(self) -> bool:
        """Whether a call of the network was a part of a training step."""
        return self.has_run

    def trained(self) -> Iterator[Tensor]:
        """All parameters of the network."""
        network = None if self._network is None else self._network()
        return iter(()) if network is None else iter(network.parameters())

    def reason(self) -> str:
        """The methods, and what to do."""
        return (
            f"{' + '.join(self.names)}: the network trains, but was never called in training mode, "
            "so the method has no effect: call train() on the network, and call the network "
            "itself, not only parts of it"
        )

    def __call__(self, call: Call) -> Any:
        """Run the forward, as a part of a training step if the network trains."""
        if not torch.is_grad_enabled():
            return call.run()
        if not call.module.training:
            self.expect_of(call.module)
            return call.run()
        if self._cuts and not self._entered.is_now:
            raise Refusal(
                "microbatch: this call has the whole batch, and the method cuts batches into "
                "slices: train with `treatment.backward(batch, loss)`"
            )
        with self.entered(call.module):
            for method in self._methods:
                method.see_inputs(call.tensors())
            return call.run()
