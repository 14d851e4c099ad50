"""Clients that need no package but torch."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.clients import loops
from tests.clients.networks import Albert, ConvGru, Small, TiedGpt, UNet
from tests.clients.oracle import Client

STEPS = 3
BATCH = 4


def inputs(*shape: int, classes: int, places: tuple[int, ...] = ()) -> list[tuple[Tensor, Tensor]]:
    """Batches of noise."""
    stream = torch.Generator().manual_seed(5)
    return [
        (
            torch.randn(BATCH, *shape, generator=stream, dtype=torch.float64),
            torch.randint(classes, (BATCH, *places), generator=stream),
        )
        for _ in range(STEPS)
    ]


def tokens(length: int, vocabulary: int, classes: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Batches of random tokens; each token has a target, or each text has a class."""
    stream = torch.Generator().manual_seed(5)
    return [
        (
            torch.randint(vocabulary, (BATCH, length), generator=stream),
            torch.randint(classes or vocabulary, (BATCH,) if classes else (BATCH, length),
                          generator=stream),
        )
        for _ in range(STEPS)
    ]  # fmt: skip


def scores(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy with a class for each text, image, token or pixel."""
    output = network(batch[0])
    if output.ndim == 3:
        return F.cross_entropy(output.flatten(0, 1), batch[1].flatten())
    return F.cross_entropy(output, batch[1])


def double(make: Callable[..., nn.Module], **options: Any) -> Callable[[], nn.Module]:
    """The network in float64."""
    return lambda: make(**options).double()


NETWORKS = (
    Client("GPT with tied weights", double(TiedGpt), partial(tokens, 6, 17), scores, loops.plain,
           blocks="blocks.*"),
    Client("ALBERT: one block, called three times", double(Albert), partial(tokens, 5, 17, 3),
           scores, loops.plain, blocks="block"),
    Client("U-Net with GroupNorm", double(UNet),
           partial(inputs, 3, 8, 8, classes=3, places=(8, 8)), scores, loops.plain,
           blocks="down1|down2|up1"),
    Client("GRU after Conv1d", double(ConvGru), partial(inputs, 5, 7, classes=3), scores,
           loops.plain, blocks="head"),
)  # fmt: skip
small = partial(inputs, 3, 8, 8, classes=3)
