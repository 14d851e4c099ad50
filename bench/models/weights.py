"""Weights from a seed: each parameter draws from a random stream of its own."""

import hashlib

import torch


def generator_for(seed: int, name: str) -> torch.Generator:
    """The stream of the parameter `name`: other parameters, added or gone, do not shift it.

    torch's CPU generator looks at the lower 32 bits of a seed only, so both are hashed into them.
    """
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))
