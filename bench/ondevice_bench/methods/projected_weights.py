"""The weights of a network whose gradients the optimizer projects."""

from collections.abc import Mapping

from torch import nn

from ondevice_bench.methods.method import Method
from ondevice_bench.methods.optimizer_guard import guard_update, release_update
from ondevice_bench.methods.projected_update import Projection
from ondevice_bench.methods.refusals import applies_to_none
from ondevice_bench.models.layers import LayerSelection


class ProjectedWeights:
    """The projection of each weight. `refusals` are the chosen layers that train as usual."""

    def __init__(self) -> None:
        self._projections: dict[nn.Parameter, Projection] = {}
        self.refusals: dict[str, str] = {}

    @property
    def by_weight(self) -> Mapping[nn.Parameter, Projection]:
        """How the gradient of each weight is projected."""
        return self._projections

    def project(
        self, module: nn.Module, method: Method, projection: Projection, selection: LayerSelection
    ) -> None:
        """Let the optimizer project the gradients of the chosen layers."""
        name = type(method).__name__.lower()
        reasons = {each: method.projects(module.get_submodule(each)) for each in selection.layers}
        refusals = {each: why for each, why in reasons.items() if why is not None}
        if len(refusals) == len(reasons):
            raise applies_to_none(name, refusals)
        self.refusals |= refusals
        for each in (each for each in reasons if each not in refusals):
            weight = module.get_submodule(each).get_parameter("weight")
            guard_update(weight, name)
            self._projections[weight] = projection

    def release(self) -> None:
        """Let any optimizer train the weights again."""
        for weight in self._projections:
            release_update(weight)
