"""Weights from a seed: each parameter draws from a random stream of its own."""

import hashlib

import torch
from torch import nn


def generator_for(seed: int, name: str) -> torch.Generator:
    """The stream of the parameter `name`: other parameters, added or gone, do not shift it.

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
