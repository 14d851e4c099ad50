"""The part of a network that the choice of layers freezes, until `merge`."""

from torch import nn

from ondevice_bench.methods.batch_norm import InEvaluation
from ondevice_bench.methods.forward import surround, take_away
from ondevice_bench.methods.frozen_weight import freeze
from ondevice_bench.models.layers import LayerSelection


class FrozenPart:
    """Its parameters do not train. Its batch-norms compute as in evaluation, in any mode."""

    def __init__(self) -> None:
        self.norms: tuple[nn.Module, ...] = ()
        self._parameters: tuple[nn.Parameter, ...] = ()
        self._shared: tuple[str, ...] = ()  # their names in the other part
        self._in_evaluation = InEvaluation(has_means=False), InEvaluation(has_means=True)

    def freeze(self, module: nn.Module, selection: LayerSelection) -> None:
        """Freeze what the selection freezes."""
        parameters = dict(module.named_parameters())
        self.norms = tuple(map(module.get_submodule, selection.frozen_norms))
        for norm in self.norms:
            if "forward" not in vars(norm):  # that of other code stays as it is
                surround(norm, self._in_evaluation[norm.momentum is None])
        self._parameters = tuple(
            each for name in selection.frozen if (each := parameters[name]).requires_grad
        )
        for each in self._parameters:
            freeze(each)
        frozen = set(map(id, self._parameters))
        self._shared = tuple(
            name for name in selection.also_frozen if id(module.get_parameter(name)) in frozen
        )

    def release(self) -> None:
        """Let everything train again."""
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        for norm in self.norms:
            for surrounding in self._in_evaluation:
                take_away(norm, surrounding)
        self.norms, self._shared = (), ()

    def notes(self) -> list[str]:
        """What a reader of numbers must know of it."""
        return [
            f"{name} does not train: it is shared with the part that the choice of layers freezes"
            for name in self._shared
        ]
