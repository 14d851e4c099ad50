"""GaLore: the optimizer sees the gradients of chosen linear layers in a subspace of their rank."""

from torch import nn

from ondevice_bench.methods.method import Method
from ondevice_bench.methods.projected_update import Projection


class GaLore(Method):
    """The state of the optimizer is as small as the projected gradient. The gradient is whole."""

    projection: Projection

    def __init__(self, *, rank: int, every: int, scale: float) -> None:
        self.projection = Projection(rank, every, scale)

    def projects(self, layer: nn.Module) -> str | None:
        """The reason why the gradient of this layer's weight is not projected; None if it is."""
        weight = layer._parameters.get("weight")
        if weight is None or weight.ndim != 2:
            return "has no matrix as weight: galore projects the gradients of linear layers"
        if weight._post_accumulate_grad_hooks:
            return "has a hook that runs when the gradient of its weight is complete"
        return None if weight.requires_grad else "is frozen"

    def notes(self) -> list[str]:
        """Whether the FLOPs have the decomposition that some steps have."""
        period = self.projection.every
        if period == 1:
            return []
        counted = "has" if self.projection.renewed else "has not"
        note = (
            f"each basis is renewed once in {period} steps, which takes a decomposition of the "
            f"gradient: the step whose FLOPs are counted {counted} one"
        )
        return [note]
