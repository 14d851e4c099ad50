"""Bases that a scheme keeps from step to step.

They belong to its `state_dict`, but they are no buffers of torch. They appear at the first step or
at the calibration, and their shapes follow the batch. What pairs the buffers of two copies of a
network, as an average of weights does, would pair the wrong ones.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from torch import Tensor, nn

from ondevice_bench.methods.tucker import TuckerScheme

_STATE = "basis_"


class BasesScheme(TuckerScheme):
    """A scheme whose `state` is a basis for each mode that it projects."""

    def __init__(self) -> None:
        super().__init__()
        # always new tensors: the old ones may still be saved for a backward
        self.state: tuple[Tensor, ...] = ()

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The tensors between two steps: the state."""
        yield from self.state

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's stub has no types
        self.state = tuple(fn(basis) for basis in self.state)
        return self

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        for mode, basis in enumerate(self.state):
            destination[f"{prefix}{_STATE}{mode}"] = basis

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *_: Any) -> None:
        # a plain network has no state: load an existing one, and require none
        named = {int(n.rpartition("_")[2]): n for n in state_dict if n.startswith(prefix + _STATE)}
        if named:
            self.state = tuple(state_dict[named[mode]].detach().clone() for mode in sorted(named))


def save_bases_last(
    network: nn.Module, state_dict: dict[str, Any], prefix: str, _: Mapping[str, Any]
) -> None:
    """A hook of `state_dict`: all bases stand behind the tensors that each copy of a network has.

    Some averages of weights pair the entries of two networks in their order, and one of the two
    may have no bases yet.
    """
    starts = tuple(
        f"{prefix}{name}.{_STATE}"
        for name, module in network.named_modules()
        if isinstance(module, BasesScheme)
    )
    for name in [each for each in state_dict if each.startswith(starts)]:
        state_dict[name] = state_dict.pop(name)
