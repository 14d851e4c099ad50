"""The steps in which the factors of a weight are iterated."""

from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.methods.tensors import has_content

_UPDATES = "updates"


class IterationSchedule(nn.Module):
    """Every m-th update of a layer is an iteration. Layers take turns: `place` is the layer's.

    It belongs to the `state_dict`, so that training goes on as if it had not stopped. It has no
    entry there if every update is an iteration.
    """

    def __init__(self, every: int = 1, place: int = 0) -> None:
        super().__init__()
        self.every = every
        self.updates = place  # of the layer, and as if there had been that many before

    @property
    def is_due(self) -> bool:
        """Whether the next update is an iteration.

        Without content each one is, so that the estimate of a peak has the largest one.
        """
        return not has_content() or (self.updates + 1) % self.every == 0

    def advance(self) -> None:
        """Count an update."""
        self.updates = (self.updates + 1) % self.every

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        if self.every > 1:
            destination[f"{prefix}{_UPDATES}"] = torch.tensor(self.updates)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *_: Any) -> None:
        # the weights of a network that was iterated at each step can be loaded, too
        found: Tensor | None = state_dict.get(f"{prefix}{_UPDATES}")
        if found is not None:
            self.updates = int(found) % self.every
