"""Batches of noise, and the losses on them."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


small = partial(inputs, 3, 6, 6, classes=3)


def single_inputs() -> list[tuple[Tensor, Tensor]]:
    """The batches of images in float32."""
    return [(images.float(), targets) for images, targets in small()]


def half_inputs() -> list[tuple[Tensor, Tensor]]:
    """The batches of images in bfloat16."""
    return [(images.bfloat16(), targets) for images, targets in small()]


def empty_inputs() -> list[tuple[Tensor, Tensor]]:
    """The second of three batches is empty."""
    first, second, third = small()
    return [first, tuple(each[:0] for each in second), third]


def mean_or_zero(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The mean over the batch; it is zero, and not NaN, for an empty one."""
    total = F.cross_entropy(network(batch[0]), batch[1], reduction="sum")
    return total / max(1, len(batch[1]))


def unbatched_inputs() -> list[tuple[Tensor, Tensor]]:
    """One image at a time, without a dimension for the batch."""
    return [(images[0], targets[0]) for images, targets in small()]
