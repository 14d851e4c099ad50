"""Update in backward: each parameter is updated when its gradient is complete, which is then freed.

Exact. Not all gradients are alive at the same time.
"""

from torch import nn
from torch.utils.hooks import RemovableHandle

from ondevice_bench.methods.applied_gradient import NAME
from ondevice_bench.methods.backward_update import end_updates, refuse_second_backward
from ondevice_bench.methods.method import Method
from ondevice_bench.methods.optimizer_guard import guard_update, release_update
from ondevice_bench.methods.refusals import require_values
from ondevice_bench.specs.layout import ModelLayout


class UpdateInBackward(Method):
    """The optimizer of `Treatment.optimizer` does the work. Another one is refused."""

    updates_in_backward = True
    _hook: RemovableHandle | None = None

    def wrap(self, model: nn.Module, layout: ModelLayout) -> None:
        """Refuse other optimizers: they would find no gradients."""
        require_values(model, NAME)
        for parameter in model.parameters():
            if parameter.requires_grad:
                guard_update(parameter, NAME)
        self._hook = model.register_forward_hook(refuse_second_backward)

    def unwrap(self, model: nn.Module) -> None:
        """Leave all parameters to any optimizer again."""
        for parameter in model.parameters():
            release_update(parameter)
        end_updates(model.parameters())
        if self._hook is not None:
            self._hook.remove()
