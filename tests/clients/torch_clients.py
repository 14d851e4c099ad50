"""Clients that need no package but torch."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.clients import loops
from tests.clients.networks import (
    Albert,
    ConvGru,
    Encoder,
    Mixer,
    Named,
    Reading,
    Recurrent,
    Single,
    Small,
    TiedGpt,
    UNet,
    Volume,
    Waves,
)
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


def single(make: Callable[..., nn.Module], **options: Any) -> Callable[[], nn.Module]:
    """The network in float32."""
    return lambda: make(**options)


small = partial(inputs, 3, 6, 6, classes=3)


def single_inputs() -> list[tuple[Tensor, Tensor]]:
    """The batches of images in float32."""
    return [(images.float(), targets) for images, targets in small()]


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
def half_inputs() -> list[tuple[Tensor, Tensor]]:
    """The batches of images in bfloat16."""
    return [(images.bfloat16(), targets) for images, targets in small()]


def half() -> nn.Module:
    """The network in bfloat16."""
    return Small().bfloat16()


def empty_inputs() -> list[tuple[Tensor, Tensor]]:
    """The second of three batches is empty."""
    first, second, third = small()
    return [first, tuple(each[:0] for each in second), third]


def summed(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """A loss that is zero, and not NaN, for an empty batch."""
    return F.cross_entropy(network(batch[0]), batch[1], reduction="sum")


def unbatched_inputs() -> list[tuple[Tensor, Tensor]]:
    """One image at a time, without a dimension for the batch."""
    return [(images[0], targets[0]) for images, targets in small()]


def _loop(name: str, loop: Any, make: Callable[..., nn.Module] = Small, **options: Any) -> Client:
    return Client(name, double(make, **options), small, scores, loop, blocks="blocks.*")


LOOPS = (
    _loop("plain loop", loops.plain),
    _loop("gradient accumulation", loops.accumulation),
    _loop("`clip_grad_norm_`", loops.clipped),
    _loop("`clip_grad_value_`", loops.clipped_values),
    _loop("`clip=` of `treatment.optimizer`", loops.clipped_by_the_optimizer),
    _loop("`GradScaler`", loops.scaled),
    _loop("`GradScaler` and `clip_grad_norm_`", loops.scaled_and_clipped),
    Client("autocast to bfloat16", single(Small), single_inputs, scores, loops.autocast,
           blocks="blocks.*", precise=_loop("float64", loops.plain)),
    _loop("`AveragedModel`", loops.averaged),
    _loop("evaluation between steps", loops.evaluated),
    _loop("closure", loops.with_closure),
    _loop("schedule of the learning rate", loops.scheduled),
    _loop("momentum", partial(loops.plain, momentum=0.9)),
    _loop("weight decay", partial(loops.plain, weight_decay=0.1)),
    _loop("resumed from `state_dict`s", loops.resumed),
    _loop("pickled", loops.pickled),
    _loop("an SGD of its own", loops.own_sgd),
    _loop("an AdamW of its own", loops.own_adamw),
    _loop("one step of an SGD of its own", loops.one_step),
    _loop("an optimizer made before `treat`", loops.own_made_before),
    _loop("updates inside backward", loops.in_backward),
    _loop("`torch.autograd.grad`", loops.by_autograd_grad),
    _loop("gradient penalty", loops.penalised),
    _loop("a step given up by `network.zero_grad()`", loops.discarded),
    _loop("a smaller batch", loops.smaller_last),
    _loop("two forwards before one backward", loops.twice),
)
COMPILED = (
    _loop("`torch.compile`, eager", loops.compiled("eager")),
    _loop("`torch.compile`, aot_eager", loops.compiled("aot_eager")),
)
def _on(name: str, make: Callable[..., nn.Module], *shape: Any, blocks: str = "") -> Client:
    *sizes, last = shape
    loop = loops.plain
    if callable(last):
        loop = last
    else:
        sizes.append(last)
    return Client(
        name, double(make), partial(inputs, *sizes, classes=3), scores, loop, blocks=blocks
    )


SPECIAL = (
    _loop("dropout", loops.plain, dropout=0.5),
    _loop("batch-norm that trains", loops.plain, batch_norm=True),
    _loop("a head that starts at zero", loops.plain, zero_head=True),
    _loop("frozen layers", loops.frozen),
    _loop("forward hook", loops.with_forward_hook),
    _loop("backward hook", loops.with_backward_hook),
    _loop("hook on a weight", loops.with_weight_hook),
    _loop("pruned layer", loops.pruned),
    _loop("`weight_norm`", loops.weight_norm),
    _loop("`spectral_norm`", loops.spectral_norm),
    _loop("parametrised layer", loops.parametrized),
    _on("in-place activation after a linear layer", Mixer, 4, 6, blocks="blocks.*"),
    _on("keyword arguments and tuples", Named, 6, blocks="blocks.*"),
    _on("a weight that the network reads itself", Reading, 6),
    _on("a cell called for each moment", Recurrent, 5, 4),
    _on("`nn.TransformerEncoder`", Encoder, 4, 6, loops.evaluated, blocks="encoder.layers.*"),
    _on("complex weights", Waves, 6),
    _on("Conv3d alone", Volume, 1, 3, 4, 4, blocks="layers"),
    Client("weights in bfloat16", half, half_inputs, scores, loops.plain, blocks="blocks.*",
           precise=Client("float64", lambda: half().double(), small, scores, loops.plain)),
    Client("an empty batch", double(Small), empty_inputs, summed, loops.plain, blocks="blocks.*"),
    Client("images without a batch", double(Single), unbatched_inputs, scores, loops.plain,
           blocks="blocks.*"),
)  # fmt: skip
