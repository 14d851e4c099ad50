"""A network in training: plain, by the definition of a method, or treated.

A loop sees the same functions of each, so that one loop trains all of them.
"""

import copy
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ondevice_bench import treat
from ondevice_bench.specs.layout import ModelLayout
from tests.clients.methods import Method

RATE = 0.1

State = Mapping[str, Tensor]


def state_of(network: nn.Module) -> State:
    """Weights and statistics under the names that plain layers have."""
    state = {n: t for n, t in network.state_dict().items() if "parametrizations." not in n}
    for name, module in network.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            state[f"{name}.weight" if name else "weight"] = module.weight
    return {name: tensor.detach().clone() for name, tensor in state.items()}


class Training(ABC):
    """One network from its first weights to its last."""

    network: nn.Module
    names: set[str]  # of its modules and parameters
    calls = 0  # of the layers, in training

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        self._make = make
        self.restart()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: a copy of the network has hooks that count for nobody."""
        return {}

    def restart(self) -> None:
        """A new network with the first weights, as in a new process."""
        torch.default_generator.manual_seed(0)  # the function for all devices is slow
        self.network = self._make()
        modules, parameters = self.network.named_modules(), self.network.named_parameters()
        self.names = {name for name, _ in (*modules, *parameters)}
        for module in self.network.modules():
            if not list(module.children()):
                module.register_forward_pre_hook(self._note)

    def _note(self, *_: Any) -> None:
        self.calls += torch.is_grad_enabled()

    @abstractmethod
    def prepare(self) -> nn.Module:
        """The network to train. A loop calls this where its author would call `treat`."""

    @abstractmethod
    def optimizer(self, rate: float = RATE, **options: Any) -> torch.optim.Optimizer:
        """The optimizer that its author would use with this network."""

    def backward(
        self, network: nn.Module, batch: Any, loss: Callable[[nn.Module, Any], Tensor]
    ) -> Tensor:
        """Leave the gradients of the loss, and return it. The network may be wrapped."""
        value = loss(network, batch)
        value.backward()
        return value

    @abstractmethod
    def copied(self) -> nn.Module:
        """A copy by way of a file."""

    @abstractmethod
    def finish(self) -> nn.Module:
        """The network with plain layers, as its author would save it."""


class Plain(Training):
    """Plain training, or training by the definition of a method."""

    def __init__(
        self,
        make: Callable[[], nn.Module],
        method: Method | None = None,
        layers: Mapping[str, Mapping[str, Tensor]] | None = None,
    ) -> None:
        super().__init__(make)
        self._method, self._layers = method, layers or {}
        self.first: State | None = None  # at the beginning of the training

    def prepare(self) -> nn.Module:
        self.first = self.first or state_of(self.network)
        if self._method is not None and self._method.definition is not None:
            self._method.definition(self.network, self._layers)
        return self.network

    def optimizer(self, rate: float = RATE, **options: Any) -> torch.optim.Optimizer:
        trained = [p for p in self.network.parameters() if p.requires_grad]
        clip = options.pop("clip", None)
        options.pop("accumulate", None)  # plain gradients add up by themselves
        optimizer = torch.optim.SGD(trained, lr=rate, **options)
        if clip is not None:
            optimizer.register_step_pre_hook(
                lambda *_: nn.utils.clip_grad_norm_(trained, clip) and None
            )
        return optimizer

    def copied(self) -> nn.Module:
        return copy.deepcopy(self.network)  # torch pickles no definition

    def finish(self) -> nn.Module:
        return self.network


class Treated(Training):
    """Training by a method of ours, as the documentation shows it."""

    def __init__(
        self,
        make: Callable[[], nn.Module],
        method: Method,
        blocks: str,
        calibrate: Callable[[Any], object],
    ) -> None:
        super().__init__(make)
        self._method, self._blocks = method, blocks
        self._calibrate = calibrate  # it gets the treatment
        self.treatment: Any = None
        self.layers: dict[str, dict[str, Tensor]] = {}  # the first state of each treated layer

    def prepare(self) -> nn.Module:
        layout = ModelLayout(blocks=self._blocks) if self._method.method == "checkpoint" else None
        self.treatment = treat(
            self.network, self._method.method, layout=layout, **self._method.options
        )
        self.network = self.treatment.module
        if self._method.calibrates:
            self._calibrate(self.treatment)
        for report in self.treatment.report():
            state = self.network.get_submodule(report.name).state_dict()
            self.layers[report.name] = {name: each.clone() for name, each in state.items()}
        return self.network

    def optimizer(self, rate: float = RATE, **options: Any) -> torch.optim.Optimizer:
        optimizer: torch.optim.Optimizer = self.treatment.optimizer(lr=rate, **options)
        return optimizer

    def backward(
        self, network: nn.Module, batch: Any, loss: Callable[[nn.Module, Any], Tensor]
    ) -> Tensor:
        if self.treatment.slices == 1:
            return super().backward(network, batch, loss)
        value: Tensor = self.treatment.backward(batch, lambda _, part: loss(network, part))
        return value

    def copied(self) -> nn.Module:
        twin: nn.Module = pickle.loads(pickle.dumps(self.network))
        return twin

    def silent(self) -> list[str]:
        """The treated layers that stored nothing, as the report has them."""
        return [report.name for report in self.treatment.report() if report.shape is None]

    def finish(self) -> nn.Module:
        merged: nn.Module = self.treatment.merge()
        return merged
