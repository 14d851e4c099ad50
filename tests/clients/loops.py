"""Training loops as people write them, with torch alone: steps, optimizers, averages and files.

Where a loop returns tensors, they are compared, too.
"""

import copy
import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.clients.oracle import Loss
from tests.clients.training import RATE, Plain, State, Training


def plain(training: Training, batches: Sequence[Any], loss: Loss, **options: Any) -> None:
    network = training.prepare()
    optimizer = training.optimizer(**options)
    for batch in batches:
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()


def accumulation(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    _accumulated(training, training.optimizer, batches, loss)


def counted_accumulation(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    optimizer = partial(training.optimizer, accumulate=len(batches))
    _accumulated(training, optimizer, batches, loss)


def _accumulated(
    training: Training,
    make_optimizer: Callable[[], torch.optim.Optimizer],
    batches: Sequence[Any],
    loss: Loss,
) -> None:
    network = training.prepare()
    optimizer = make_optimizer()

    def share(network: nn.Module, batch: Any) -> Tensor:
        return loss(network, batch) / len(batches)

    for _ in range(2):
        for batch in batches:
            training.backward(network, batch, share)
        optimizer.step()
        optimizer.zero_grad()


def clipped(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()
    for batch in batches:
        training.backward(network, batch, loss)
        nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()


def clipped_values(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()
    for batch in batches:
        training.backward(network, batch, loss)
        nn.utils.clip_grad_value_(network.parameters(), 0.01)
        optimizer.step()
        optimizer.zero_grad()


def clipped_by_the_optimizer(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    plain(training, batches, loss, clip=0.1)


def _scaled(loss: Loss, scaler: Any) -> Loss:
    return lambda network, batch: scaler.scale(loss(network, batch))


def scaled(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for batch in batches:
        training.backward(network, batch, _scaled(loss, scaler))
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


def scaled_and_clipped(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for batch in batches:
        training.backward(network, batch, _scaled(loss, scaler))
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


def autocast(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()

    def cast(network: nn.Module, batch: Any) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return loss(network, batch)

    for batch in batches:
        training.backward(network, batch, cast)
        optimizer.step()
        optimizer.zero_grad()


def compiled(backend: str) -> Callable[[Training, Sequence[Any], Loss], None]:
    def loop(training: Training, batches: Sequence[Any], loss: Loss) -> None:
        torch._dynamo.reset()
        network = training.prepare()
        optimizer = training.optimizer()
        run = torch.compile(network, backend=backend)
        for batch in batches:
            training.backward(run, batch, loss)
            optimizer.step()
            optimizer.zero_grad()

    return loop


def averaged(training: Training, batches: Sequence[Any], loss: Loss) -> State:
    """An exponential average of the weights; its outputs are what people keep it for."""
    network = training.prepare()
    optimizer = training.optimizer()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    for batch in batches:
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(network)
    with torch.no_grad():
        return {"output of the average": average.module.eval()(batches[0][0])}


def evaluated(training: Training, batches: Sequence[Any], loss: Loss) -> State:
    network = training.prepare()
    optimizer = training.optimizer()
    values = []
    for batch in batches:
        network.train()
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()
        network.eval()
        with torch.no_grad():
            values.append(loss(network, batch))
    network.train()
    return {"losses": torch.stack(values)}


def with_closure(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()
    for batch in batches:

        def closure(batch: Any = batch) -> Tensor:
            optimizer.zero_grad()
            return training.backward(network, batch, loss)

        optimizer.step(closure)


def scheduled(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for batch in batches:
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()


def resumed(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Saves after each step, and goes on as in a new process."""
    network = training.prepare()
    optimizer = training.optimizer()
    for number, batch in enumerate(batches):
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()
        if number == len(batches) - 1:
            return
        file = io.BytesIO()
        torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, file)
        file.seek(0)
        saved = torch.load(file)
        training.restart()
        network = training.prepare()
        optimizer = training.optimizer()
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])


def pickled(training: Training, batches: Sequence[Any], loss: Loss) -> State:
    plain(training, batches, loss)
    twin = training.copied()
    with torch.no_grad():
        return {"output of the copy": twin.eval()(batches[0][0])}


def own_sgd(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    _own(training, batches, loss, torch.optim.SGD, momentum=0.9, lr=RATE)


def own_adamw(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    _own(training, batches, loss, torch.optim.AdamW, lr=0.01)


def _own(
    training: Training,
    batches: Sequence[Any],
    loss: Loss,
    kind: type[torch.optim.Optimizer],
    **options: Any,
) -> None:
    network = training.prepare()
    optimizer = kind((p for p in network.parameters() if p.requires_grad), **options)
    for batch in batches:
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()


def own_made_before(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """The optimizer is made first, so it has the parameters of the plain network."""
    if isinstance(training, Plain):
        network = training.prepare()
        optimizer = training.optimizer()
    else:
        optimizer = torch.optim.SGD(training.network.parameters(), lr=RATE)
        network = training.prepare()
    for batch in batches:
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()


def one_step(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A single step with an optimizer of its own: there is no second one that could notice."""
    own_sgd(training, batches[:1], loss)


def discarded(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """The second step is given up, as loops do when a loss is not finite."""
    network = training.prepare()
    optimizer = training.optimizer()
    for number, batch in enumerate(batches):
        training.backward(network, batch, loss)
        if number != 1:
            optimizer.step()
        network.zero_grad()


def smaller_last(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    shorter = [tuple(each[:3] for each in batch) for batch in batches]
    plain(training, [batches[0], shorter[1], batches[2]], loss)


def larger_later(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """The first batch is small: nothing that a method keeps may stay as small."""
    shorter = tuple(each[:2] for each in batches[0])
    plain(training, [shorter, *batches[1:]], loss)


def average_of_state(training: Training, batches: Sequence[Any], loss: Loss) -> State:
    """An exponential average in the place of the tensors of a `state_dict`."""
    network = training.prepare()
    optimizer = training.optimizer()
    average = copy.deepcopy(network)
    for batch in batches:
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()
        now = network.state_dict()
        for name, tensor in average.state_dict().items():
            if tensor.is_floating_point():
                tensor.mul_(0.5).add_(now[name], alpha=0.5)
    with torch.no_grad():
        return {"output of the average": average.eval()(batches[0][0])}


def one_cycle(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A schedule that sets the momentum, too."""
    network = training.prepare()
    optimizer = training.optimizer()
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, len(batches) + 1)
    for batch in batches:
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()


def with_step_hook(training: Training, batches: Sequence[Any], loss: Loss) -> State:
    """A hook of the optimizer, in a process with an optimizer of torch's own."""
    torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RATE)
    network = training.prepare()
    optimizer = training.optimizer()
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(network.head.bias.detach().clone()))
    for batch in batches:
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()
    return {"weights in the hook": torch.stack(calls)}


def unfrozen(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """The first convolution trains from the second step on."""
    training.network.stem[0].requires_grad_(False)
    network = training.prepare()
    for number, batch in enumerate(batches):
        if number == 1:
            network.stem[0].requires_grad_()
        optimizer = training.optimizer()
        training.backward(network, batch, loss)
        optimizer.step()
        optimizer.zero_grad()
