"""Clients that need no package but torch."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from tests.clients import loops, loops_of_gradients, loops_of_special_layers
from tests.clients.batches import (
    empty_inputs,
    half_inputs,
    inputs,
    mean_or_zero,
    scores,
    single_inputs,
    small,
    tokens,
    unbatched_inputs,
)
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


def double(make: Callable[..., nn.Module], **options: Any) -> Callable[[], nn.Module]:
    """The network in float64."""
    return lambda: make(**options).double()


def single(make: Callable[..., nn.Module], **options: Any) -> Callable[[], nn.Module]:
    """The network in float32."""
    return lambda: make(**options)


def half() -> nn.Module:
    """The network in bfloat16."""
    return Small().bfloat16()


def _loop(name: str, loop: Any, make: Callable[..., nn.Module] = Small, **options: Any) -> Client:
    return Client(name, double(make, **options), small, scores, loop, blocks="blocks.*")


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

LOOPS = (
    _loop("plain loop", loops.plain),
    _loop("gradient accumulation", loops.accumulation),
    _loop("gradient accumulation with `accumulate=N`", loops.counted_accumulation),
    _loop("`clip_grad_norm_`", loops.clipped),
    _loop("`clip_grad_value_`", loops.clipped_values),
    _loop("`clip=` of `treatment.optimizer`", loops.clipped_by_the_optimizer),
    _loop("`GradScaler`", loops.scaled),
    _loop("`GradScaler` and `clip_grad_norm_`", loops.scaled_and_clipped),
    Client(
        "autocast to bfloat16",
        single(Small),
        single_inputs,
        scores,
        loops.autocast,
        blocks="blocks.*",
        precise=_loop("float64", loops.plain),
    ),
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
    _loop("updates inside backward", loops_of_gradients.in_backward),
    _loop("`torch.autograd.grad`", loops_of_gradients.by_autograd_grad),
    _loop("gradient penalty", loops_of_gradients.penalised),
    _loop("a step given up by `network.zero_grad()`", loops.discarded),
    _loop("a smaller batch", loops.smaller_last),
    _loop("two forwards before one backward", loops_of_gradients.twice),
    _loop("a batch that is larger than the first", loops.larger_later),
    _loop("an average of the `state_dict`", loops.average_of_state),
    _loop("`OneCycleLR`", loops.one_cycle),
    _loop("a penalty on all parameters in the loss", loops_of_gradients.penalised_weights),
    _loop("`zero_grad` between forward and backward", loops_of_gradients.cleared_late),
    _loop("two backward passes through one graph", loops_of_gradients.two_backwards),
    _loop("`functional_call`", loops_of_gradients.functional),
    _loop("adversarial examples", loops_of_gradients.adversarial),
    _loop("a hook of the optimizer's step", loops.with_step_hook),
    _loop("a layer that trains from the second step on", loops.unfrozen),
)

COMPILED = (
    _loop("`torch.compile`, eager", loops.compiled("eager")),
    _loop("`torch.compile`, aot_eager", loops.compiled("aot_eager")),
)

SPECIAL = (
    _loop("dropout", loops.plain, dropout=0.5),
    _loop("batch-norm that trains", loops.plain, batch_norm=True),
    _loop("a head that starts at zero", loops.plain, zero_head=True),
    _loop("frozen layers", loops_of_special_layers.frozen),
    _loop("forward hook", loops_of_special_layers.with_forward_hook),
    _loop("backward hook", loops_of_special_layers.with_backward_hook),
    _loop("hook on a weight", loops_of_special_layers.with_weight_hook),
    _loop("pruned layer", loops_of_special_layers.pruned),
    _loop("`weight_norm`", loops_of_special_layers.weight_norm),
    _loop("`spectral_norm`", loops_of_special_layers.spectral_norm),
    _loop("parametrised layer", loops_of_special_layers.parametrized),
    _on("in-place activation after a linear layer", Mixer, 4, 6, blocks="blocks.*"),
    _on("keyword arguments and tuples", Named, 6, blocks="blocks.*"),
    _on("a weight that the network reads itself", Reading, 6),
    _on("a cell called for each moment", Recurrent, 5, 4),
    _on("`nn.TransformerEncoder`", Encoder, 4, 6, loops.evaluated, blocks="encoder.layers.*"),
    _on("complex weights", Waves, 6),
    _on("Conv3d alone", Volume, 1, 3, 4, 4, blocks="layers"),
    Client("weights in bfloat16", half, half_inputs, scores, partial(loops.plain, rate=1.0),
           blocks="blocks.*",
           precise=Client("float64", lambda: half().double(), small, scores,
                          partial(loops.plain, rate=1.0))),
    Client("an empty batch", double(Small), empty_inputs, mean_or_zero, loops.plain, blocks="blocks.*"),
    Client("images without a batch", double(Single), unbatched_inputs, scores, loops.plain,
           blocks="blocks.*"),
)  # fmt: skip
