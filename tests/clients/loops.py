"""Training loops as people write them, with torch alone.

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


def in_backward(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Each parameter is updated as soon as backward has its gradient."""
    network = training.prepare()

    def update(parameter: Tensor) -> None:
        with torch.no_grad():
            parameter -= RATE * parameter.grad
        parameter.grad = None

    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(update)
    for batch in batches:
        loss(network, batch).backward()


def by_autograd_grad(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    network = training.prepare()
    optimizer = training.optimizer()
    trained = [p for p in network.parameters() if p.requires_grad]
    for batch in batches:
        gradients = torch.autograd.grad(loss(network, batch), trained)
        for parameter, gradient in zip(trained, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        optimizer.zero_grad()


def penalised(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A penalty on the gradient by the input, which differentiates twice."""
    network = training.prepare()
    optimizer = training.optimizer()
    for inputs, targets in batches:
        seen = inputs.clone().requires_grad_()
        value = loss(network, (seen, targets))
        (slope,) = torch.autograd.grad(value, seen, create_graph=True)
        (value + slope.square().sum()).backward()
        optimizer.step()
        optimizer.zero_grad()


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


def penalised_weights(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A penalty on the squares of all parameters, as a part of the loss."""

    def penalised(network: nn.Module, batch: Any) -> Tensor:
        return loss(network, batch) + 0.1 * sum(p.square().sum() for p in network.parameters())

    plain(training, batches, penalised)


def cleared_late(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Gradients are cleared between forward and backward."""
    network = training.prepare()
    optimizer = training.optimizer()
    for batch in batches:
        value = loss(network, batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()


def two_backwards(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Two losses of one forward, and a backward for each."""
    network = training.prepare()
    optimizer = training.optimizer()
    for batch in batches:
        value = loss(network, batch)
        (0.25 * value).backward(retain_graph=True)
        (0.75 * value).backward()
        optimizer.step()
        optimizer.zero_grad()


def functional(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """The loop holds the weights, and the network gets them in each call."""
    network = training.prepare()
    held = {
        name: each.detach().clone().requires_grad_(each.requires_grad)
        for name, each in network.named_parameters()
    }
    trained = {name: each for name, each in held.items() if each.requires_grad}

    def call(inputs: Tensor) -> Tensor:
        return torch.func.functional_call(network, held, inputs)

    for batch in batches:
        gradients = torch.autograd.grad(loss(call, batch), list(trained.values()))
        with torch.no_grad():
            for each, gradient in zip(trained.values(), gradients, strict=True):
                each.sub_(gradient, alpha=RATE)
    with torch.no_grad():
        for name, each in network.named_parameters():
            each.copy_(held[name])


def adversarial(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """Each step trains on inputs that a first backward has made harder."""
    network = training.prepare()
    optimizer = training.optimizer()
    for inputs, targets in batches:
        seen = inputs.clone().requires_grad_()
        training.backward(network, (seen, targets), loss)
        optimizer.zero_grad()
        harder = (inputs + 0.1 * seen.grad).detach()
        training.backward(network, (harder, targets), loss)
        optimizer.step()
        optimizer.zero_grad()


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


def twice(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A siamese step: the network sees two batches before one backward."""
    network = training.prepare()
    optimizer = training.optimizer()
    for first, second in zip(batches, reversed(batches), strict=True):
        (loss(network, first) + loss(network, second)).backward()
        optimizer.step()
        optimizer.zero_grad()


def frozen(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """The author trains the head and the last convolution alone."""
    network = training.network
    network.requires_grad_(False)
    network.head.requires_grad_()
    network.stem[-1].requires_grad_()
    plain(training, batches, loss)


def with_forward_hook(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    training.network.head.register_forward_hook(lambda _, inputs, output: 2 * output)
    plain(training, batches, loss)


def with_backward_hook(training: Training, batches: Sequence[Any], loss: Loss) -> State:
    seen = []
    training.network.head.register_full_backward_hook(lambda *a: seen.append(a[2][0].clone()))
    plain(training, batches, loss)
    return {"gradients in the hook": torch.cat(seen) if seen else torch.empty(0)}


def with_weight_hook(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    """A hook on a weight, which halves its gradient."""
    training.network.head.weight.register_hook(lambda gradient: gradient / 2)
    plain(training, batches, loss)


def pruned(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    from torch.nn.utils import prune

    prune.l1_unstructured(training.network.head, "weight", 0.5)
    plain(training, batches, loss)


def weight_norm(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    nn.utils.weight_norm(training.network.head)
    plain(training, batches, loss)


def parametrized(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    nn.utils.parametrizations.orthogonal(training.network.blocks[0].mlp[0])
    plain(training, batches, loss)


def spectral_norm(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    nn.utils.spectral_norm(training.network.head)
    plain(training, batches, loss)
