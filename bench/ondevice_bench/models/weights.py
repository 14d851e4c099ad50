"""Weights from a seed: each parameter draws from its own random stream."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_DRAWS = {
    *(Tensor.normal_, Tensor.uniform_),
    *(nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_),
}


class _NoDraws(TorchFunctionMode):
    """A mode in which layers draw NaN, so that a weight without a fill is visible."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Fill with NaN, if the function draws."""
        named = kwargs or {}
        if func in _DRAWS:
            with torch.no_grad():
                return (args[0] if args else named["tensor"]).fill_(torch.nan)
        return func(*args, **named)


def unset(construct: Callable[..., nn.Module], **options: Any) -> nn.Module:
    """A network that `initialise` fills later, because a billion unused draws take seconds."""
    with _NoDraws():
        return construct(**options)


def generator_for(seed: int, name: str) -> torch.Generator:
    """The stream of the parameter `name`, which does not depend on other parameters.

    torch's CPU generator looks at the lower 32 bits of a seed only, so both are hashed into them.
    """
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))


@torch.no_grad()
def initialise_convolutional(model: nn.Module, seed: int) -> None:
    """He's normal fill for convolutions, N(0, 0.01) for linears, batch-norm at identity."""
    for name, module in model.named_modules():
        match module:
            case nn.Conv2d():
                stream = generator_for(seed, name)
                nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=stream)
                _zero(module.bias)
            case nn.BatchNorm2d():
                module.reset_parameters()
            case nn.Linear():
                nn.init.normal_(module.weight, 0.0, 0.01, generator=generator_for(seed, name))
                _zero(module.bias)


@torch.no_grad()
def initialise_transformer(model: nn.Module, seed: int) -> None:
    """N(0, 0.02) for linears, embeddings and bare parameters; biases zero; norms at identity."""
    for name, module in model.named_modules():
        match module:
            case nn.Linear():
                nn.init.normal_(module.weight, 0.0, 0.02, generator=generator_for(seed, name))
                _zero(module.bias)
            case nn.Embedding():
                nn.init.normal_(module.weight, 0.0, 0.02, generator=generator_for(seed, name))
            case nn.Conv2d():
                deviation = module.weight[0].numel() ** -0.5
                stream = generator_for(seed, name)
                nn.init.normal_(module.weight, 0.0, deviation, generator=stream)
                _zero(module.bias)
            case nn.LayerNorm() | nn.RMSNorm():
                module.reset_parameters()
            case _:
                for own, parameter in module.named_parameters(recurse=False):
                    stream = generator_for(seed, f"{name}.{own}")
                    nn.init.normal_(parameter, 0.0, 0.02, generator=stream)


def _zero(bias: torch.Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
