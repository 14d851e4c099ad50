"""What a method does in a client: it is exact, approximate as declared, refused, or wrong.

The client trains a network plainly, then the same network with the method, from the same weights,
batches and random numbers. This module compares the two; it shares no code with the methods.
"""

import ast
import re
import traceback
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

import ondevice_bench
from tests.clients.methods import Method
from tests.clients.training import Plain, State, Training, Treated, state_of

EXACT, APPROXIMATE, REFUSED, WRONG = "exact", "approximate", "refused", "wrong"
BOUND = 1e-8  # in float64, beside the weights
LESS_PRECISE = 3  # in low precision: how much farther from float64 than plain training
_MOST_LETTERS = 150
_OURS = Path(ondevice_bench.__file__).parent

Loss = Callable[[nn.Module, Any], Tensor]
Loop = Callable[[Training, Sequence[Any], Loss], State | None]


@dataclass(frozen=True)
class Client:
    """Code that nobody here wrote: a network, and the loop that trains it. A row of the table."""

    name: str
    network: Callable[[], nn.Module]
    batches: Callable[[], Sequence[Any]]
    loss: Loss
    loop: Loop
    blocks: str = ""  # the pattern of the blocks that `checkpoint` is told
    precise: "Client | None" = None  # for a client in low precision: the same in float64


@dataclass(frozen=True)
class Outcome:
    """A cell of the table. The note has the reason of a refusal, or says what is wrong."""

    kind: str
    note: str = ""


@dataclass(frozen=True)
class _Result:
    state: State  # weights and statistics at the end, and what the loop watches besides
    steps: tuple[State, ...]  # weights and statistics at the start and after each step
    trains: Mapping[str, bool]  # the parameters, and whether they train
    calls: int  # of the layers, in training


def outcome(client: Client, method: Method) -> Outcome:
    """Train the network of the client with the method, and compare."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        return _outcome(client, method)


def _outcome(client: Client, method: Method) -> Outcome:
    plain = _plainly(client)
    training = Treated(
        client.network,
        method,
        client.blocks,
        lambda treatment: treatment.calibrate(client.batches()[0], client.loss),
    )
    complete: list[State] = []  # after each step that the loop has called

    def note(*_: Any) -> None:
        is_inside_backward = torch._C._current_graph_task_id() != -1
        if method.in_backward and not is_inside_backward:
            complete.append(state_of(training.network))

    watching = register_optimizer_step_post_hook(note)
    try:
        watched = client.loop(training, client.batches(), client.loss)
        silent = training.silent()
        merged = training.finish()
        found = {**state_of(merged), **(watched or {})}
    except Exception as error:
        return _ended(client, method, training, error, complete)
    finally:
        watching.remove()
    expected = plain
    if method.definition is not None:
        expected = _by_definition(client, method, training)
    if training.layers and len(silent) == len(training.layers):
        return Outcome(WRONG, "no treated layer trains, and nothing says so")
    declares_more = not _close(expected.state, plain)
    if (method.calls_more and training.calls <= plain.calls) or (
        declares_more and _close(found, plain)
    ):
        return Outcome(WRONG, "has no effect: the network trains plainly")
    if not _close(found, expected) and not _as_precise(client, method, training, found, expected):
        return Outcome(WRONG, _difference(found, expected))
    if _trains(merged) != plain.trains:
        return Outcome(WRONG, "after `merge` other parameters train than before")
    note = f"{len(silent)} of {len(training.layers)} treated layers do not train" if silent else ""
    return Outcome(APPROXIMATE if declares_more else EXACT, note)


def least_update(client: Client) -> float:
    """By how much of itself the weight changes that learns least in plain training.

    If it is much more than the bound, a wrong gradient of any layer is seen.
    """
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        plain = _plainly(client)
    first = plain.steps[0]
    return min(
        ((plain.state[name] - first[name]).abs().max() / first[name].abs().max()).item()
        for name, trains in plain.trains.items()
        if trains and name.endswith("weight") and first[name].ndim > 1
    )


def _by_definition(client: Client, method: Method, training: Treated) -> _Result:
    return _train(client, Plain(client.network, method, training.layers))


def _as_precise(
    client: Client, method: Method, training: Treated, found: State, expected: _Result
) -> bool:
    """In low precision: whether it comes as near to the same training in float64."""
    precise = client.precise
    if precise is None or found.keys() != expected.state.keys():
        return False
    right = _plainly(precise)
    if method.definition is not None:
        right = _by_definition(precise, method, training)
    rounding = _error(expected.state, right)
    if method.rounds_like is not None:
        like = replace(method, definition=method.rounds_like)
        ours, exact = (_by_definition(each, like, training) for each in (client, precise))
        rounding = max(rounding, _error(ours.state, exact))
    return _error(found, right) <= LESS_PRECISE * rounding


@cache
def _plainly(client: Client) -> _Result:
    return _train(client, Plain(client.network))


def _train(client: Client, training: Plain) -> _Result:
    steps: list[State] = []
    watching = register_optimizer_step_post_hook(
        lambda *_: steps.append(state_of(training.network))
    )
    try:
        watched = client.loop(training, client.batches(), client.loss)
    finally:
        watching.remove()
    network = training.finish()
    state = {**state_of(network), **(watched or {})}
    assert training.first is not None
    return _Result(state, (training.first, *steps), _trains(network), training.calls)


def _trains(network: nn.Module) -> Mapping[str, bool]:
    return {name: each.requires_grad for name, each in network.named_parameters()}


def _close(found: State, expected: _Result) -> bool:
    return _equal(found, expected.state, _update(expected))


def _equal(found: State, expected: State, update: float) -> bool:
    """Whether each tensor is the same but for rounding, beside itself and the largest update."""
    if found.keys() != expected.keys():
        return False
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            return False
        difference = (found[name].double() - tensor.double()).abs().max()
        if not difference <= BOUND * max(tensor.abs().max().item(), update):
            return False
    return True


def _update(result: _Result) -> float:
    """The largest change of a weight or of a statistic."""
    first = result.steps[0]
    return max(
        (result.state[name] - tensor).abs().max().item()
        for name, tensor in first.items()
        if tensor.is_floating_point() or tensor.is_complex()  # the rest are counts
    )


def _error(found: State, expected: _Result) -> float:
    """The distance of the two updates, as a share of the right one."""
    first = expected.steps[0]
    apart = update = 0.0
    for name, tensor in expected.state.items():
        if name in first:
            apart += (found[name].double() - tensor.double()).square().sum().item()
            update += (tensor.double() - first[name].double()).square().sum().item()
    return (apart / update) ** 0.5


def _difference(found: State, expected: _Result) -> str:
    names = sorted(found.keys() ^ expected.state.keys())
    if names:
        return f"`merge` gives a network with other names: {', '.join(names[:3])}"
    for name, tensor in expected.state.items():
        if found[name].shape != tensor.shape:
            return f"{name}: {tuple(found[name].shape)}, not {tuple(tensor.shape)}"
    update = {name: found[name] for name in expected.steps[0]}
    if not all(tensor.isfinite().all() for tensor in update.values()):
        return "the weights become NaN"
    if not _equal(update, {name: expected.state[name] for name in update}, _update(expected)):
        return f"the update is wrong by {_error(update, expected):.1g} of itself"
    wrong = [name for name in found if name not in update]
    return f"the update is right, but wrong: {', '.join(wrong)}"


def _ended(
    client: Client,
    method: Method,
    training: Treated,
    error: Exception,
    complete: Sequence[State],
) -> Outcome:
    """The outcome of a loop that an error ended.

    If backward changes weights, the step that the error ended may be half done. Then the steps
    before it count.
    """
    text = _without_names(str(error).strip(), training.names)
    if not _is_refusal(error):
        first = shorten(text, _MOST_LETTERS, placeholder=" …")
        return Outcome(WRONG, f"ends in {type(error).__name__}: {first}")
    if training.treatment is not None:
        found, expected = state_of(training.finish()), _plainly(client)
        if method.in_backward:
            found = complete[-1] if complete else expected.steps[0]
        if method.definition is not None:
            expected = _by_definition(client, method, training)
        if not _is_after_a_step(found, expected):
            return Outcome(WRONG, f"refuses after a wrong step: {text}")
    return Outcome(REFUSED, text)


def _is_after_a_step(found: State, expected: _Result) -> bool:
    """Whether the weights are those after some step.

    The forward that ended in an error may have moved statistics, which then are the next ones.
    """
    update, steps = _update(expected), expected.steps

    def has(name: str, step: State) -> bool:
        return _equal({name: found[name]}, {name: step[name]}, update)

    return any(
        found.keys() == step.keys()
        and all(
            has(name, step) or (name not in expected.trains and has(name, later)) for name in step
        )
        for step, later in zip(steps, (*steps[1:], steps[-1]), strict=True)
    )


def _without_names(text: str, names: Collection[str]) -> str:
    """The text with one word for the name of any layer or parameter, and each reason once."""
    some = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name)
    general = re.sub(rf"(^|: |; |with )(?:{some})(?=[: ]|$)", r"\1LAYER", text)
    head, colon, reasons = general.partition(": ")
    return head + colon + "; ".join(dict.fromkeys(reasons.split("; ")))


def _is_refusal(error: Exception) -> bool:
    """Whether our code raised it, in one sentence, and not torch under our code."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    if not isinstance(error, (ValueError, RuntimeError)) or "\n" in str(error).strip():
        return False
    if str(error).rstrip().endswith(":"):  # and no reason after it
        return False
    if _OURS not in Path(last.filename).parents:
        return False
    nodes = ast.walk(ast.parse(Path(last.filename).read_text(encoding="utf-8")))
    raises = (node for node in nodes if isinstance(node, ast.Raise))
    return any(node.lineno <= (last.lineno or 0) <= (node.end_lineno or 0) for node in raises)
