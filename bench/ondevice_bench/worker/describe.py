"""A description of a network: its inputs, layers and layout. This runs the user's code."""

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.modules.dropout import _DropoutNd

from ondevice_bench.data import nested
from ondevice_bench.errors import UserModelError
from ondevice_bench.models import loading
from ondevice_bench.models.families import family
from ondevice_bench.models.family import Family, cross_entropy, model_output, scores_in, seeded
from ondevice_bench.models.layers import (
    MODULES_OF,
    NoSuchPart,
    complete_layout,
    kind_of,
    select_layers,
)
from ondevice_bench.specs import inputs as kinds
from ondevice_bench.specs import sources
from ondevice_bench.specs.layer_choice import PARTS
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.worker.random_draws import draws
from ondevice_bench.worker.workload import empty, inputs_of

_COUNT = 2
_DEFAULT_LOSS = (
    "the loss is the cross-entropy of (inputs, targets), with numbers of classes (int64) as "
    "targets: for another loss, put a function loss(model, batch) into its file"
)


def describe(request: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs, kinds of layer and layout of a network; a ValueError if something is wrong."""
    network = family(request["model"])
    options = request["options"]
    file = Path(request["weights"]) if request["weights"] else None
    weights = loading.read(file) if file else {}
    try:
        # fake tensors have no bytes, so that a network of any size is described quickly
        with FakeTensorMode(allow_non_fake_inputs=True):
            return _description(network, options, _layout(request), file, weights)
    except loading.BadWeights:
        raise
    except Exception:
        # code that fails on fake tensors may work on real ones: only this second error counts
        return _description(network, options, _layout(request), file, weights)


def _layout(request: Mapping[str, Any]) -> ModelLayout | None:
    """The heads of a network of ours; None for a user's network, whose file may name them."""
    head = request["head"]
    return None if head is None else ModelLayout(head=head, auxiliary=request["auxiliary"])


def _description(
    network: Family,
    options: Mapping[str, Any],
    given: ModelLayout | None,
    file: Path | None,
    weights: Mapping[str, Tensor],
) -> dict[str, Any]:
    model = seeded(network.construct, options, 0)
    layout = complete_layout(model, network.layout)
    if file:
        loading.match(model, file, weights, (given or layout).heads)
    kinds_of_layers = {nn.Linear: "linear", nn.Conv2d: "conv2d"}
    chosen = select_layers(model, "all", layout)
    modules = [model.get_submodule(name) for name in (*chosen.layers, *chosen.others)]
    present = {kinds_of_layers.get(type(module), kind_of(module)) for module in modules}
    inputs = _inputs(network, model, options) if network.expects else None
    return {
        "inputs": None if inputs is None else kinds.to_dict(inputs),
        "kinds": sorted(present),
        "layout": asdict(layout),
        "missing_parts": [part for part in PARTS if _lacks(model, part, layout)],
        "missing_modules": [part for part, find in MODULES_OF.items() if not find(model, layout)],
        "has_own_loss": network.loss is not cross_entropy,
        "completes_layout": network.layout is not None and layout != network.layout,
        "has_dropout": _has_dropout(network, model, inputs),
        "code_file": network.code_file,
        "code": _code(network),
    }


def _code(network: Family) -> str:
    """The hash of the code of a network in an installed package; empty for any other."""
    if not network.code_file:
        return ""
    return sources.digest_of_module(network.module, Path(network.code_file))


def _has_dropout(network: Family, model: nn.Module, inputs: kinds.Inputs | None) -> bool:
    """Whether a module drops values, or a training step draws random numbers in another way."""
    if any(isinstance(module, _DropoutNd) for module in model.modules()):
        return True
    if inputs is None or isinstance(inputs, kinds.OwnBatch):
        return False  # it learns no examples
    batch = empty(inputs, _COUNT, torch.float32)
    model.train()
    return draws(lambda: network.loss(model, batch))


def _lacks(model: nn.Module, part: str, layout: ModelLayout) -> bool:
    try:
        select_layers(model, part, layout)
    except NoSuchPart:
        return True
    return False


def _inputs(network: Family, model: nn.Module, options: Mapping[str, Any]) -> kinds.Inputs:
    """The kind of inputs. The network's output for a batch gives the number of classes."""
    assert network.expects is not None
    model.eval()
    if network.batch is not None:
        _try_step(network, model, network.batch(_COUNT, 0))
        return kinds.OwnBatch()
    expected = network.expects(options)
    inputs = inputs_of(empty(expected, _COUNT, torch.float32))
    input_text = f"a batch of shape {tuple(inputs.shape)}"
    output = _tried(
        f"cannot take {input_text}",
        lambda: model_output(model, inputs),
        "give it an option image_size, or put a function batch(size, seed) into its file",
    )
    scores = scores_in(output)
    if isinstance(expected, kinds.Tokens):
        classes = scores.shape[-1] if scores.ndim == 2 else 0
        return kinds.Tokens(expected.length, expected.vocabulary, classes)
    if not isinstance(scores, Tensor) or scores.ndim not in {2, 4} or len(scores) != _COUNT:
        shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise UserModelError(
            f"gives {shape} for {input_text}, "
            "not (images, classes) or (images, classes, height, width): "
            "put functions batch(size, seed) and loss(model, batch) into its file"
        )
    dense = scores.ndim == 4
    return kinds.Images(expected.channels, expected.size, scores.shape[1], dense)


def _try_step(network: Family, model: nn.Module, batch: Any) -> None:
    """Compute the loss of the network's own batch, and call the network alone with its inputs."""
    batch = nested.mapped(batch, lambda t: t.float() if t.is_floating_point() else t)
    # the user's own loss reports its errors itself
    loss = _tried("cannot take its own batch", lambda: network.loss(model, batch), _DEFAULT_LOSS)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        found = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise UserModelError(
            f"loss must return a tensor of one number, the mean loss of the batch, got {found}"
        )
    _tried(
        "cannot be called with the inputs of its own batch",
        lambda: model_output(model, inputs_of(batch)),
        "let batch return (inputs, targets): bench calls the network with `inputs` for inference",
    )


def _tried(what_fails: str, forward: Callable[[], Any], cure: str) -> Any:
    try:
        with torch.no_grad():
            return forward()
    except UserModelError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise UserModelError(f"{what_fails}: {type(error).__name__}: {first}; {cure}") from error


def batch(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write a batch from the user's own function."""
    make = family(request["model"]).batch
    assert make is not None
    _seed_all(request["seed"])
    path = Path(request["path"])
    unfinished = path.with_suffix(".part")
    nested.write(unfinished, make(request["size"], request["seed"]))
    unfinished.rename(path)
    return {}


def _seed_all(seed: int) -> None:
    """Seed whatever the function may draw from: processes of one zygote begin alike."""
    random.seed(seed)
    numpy.random.seed(seed % 2**32)  # noqa: NPY002  # it is the state that the function may use
    torch.manual_seed(seed)
