"""The spectrum pass: for each layer, the number of singular values for each share of energy."""

from typing import Any

import torch
from torch import Tensor, nn

from ondevice_bench.measure.removable_hooks import hooked
from ondevice_bench.methods.ranks import by_epsilon
from ondevice_bench.methods.tensors import energies, largest_rank, working
from ondevice_bench.methods.treatment import Treatment
from ondevice_bench.methods.tucker import TuckerScheme
from ondevice_bench.models.families import family
from ondevice_bench.models.layers import layer_input
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs.trained import EPSILONS
from ondevice_bench.worker.workload import initial_model, load_batch, train_mode


def measure(job: Job) -> PassResult:
    """Ranks of every linear's and convolution's weight, and of each mode of its input."""
    model, _ = initial_model(job)
    train_mode(Treatment(model), job.cell.train)
    batch, loss = load_batch(job), family(job.model).loss
    layers: dict[str, dict[str, Any]] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            weight = _weight(module.weight.detach())
            layers[name] = {"weight": weight, "activation": None, "other_activations": []}
            hooks.append(
                module.register_forward_pre_hook(_note_activation(layers[name]), with_kwargs=True)
            )
    with hooked(hooks), torch.no_grad():
        loss(model, batch)
    return PassResult(details={"epsilons": EPSILONS, "layers": layers})


def _weight(weight: Tensor) -> dict[str, Any]:
    """A convolution's weight is the matrix `(O, C kh kw)`."""
    matrix = weight.flatten(1)
    largest = min(matrix.shape)
    spectrum = energies(working(matrix), 0)
    return {
        "shape": list(matrix.shape),
        "largest": largest,
        "ranks": [by_epsilon(epsilon, spectrum, largest) for epsilon in EPSILONS],
    }


def _note_activation(layer: dict[str, Any]) -> Any:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        x = layer_input(inputs, named).detach()
        shape = tuple(x.shape)
        largest = [largest_rank(shape, mode) for mode in range(x.ndim)]
        spectra = [energies(working(x), mode) for mode in range(x.ndim)]
        ranks = [
            [by_epsilon(e, spectrum, top) for spectrum, top in zip(spectra, largest, strict=True)]
            for e in EPSILONS
        ]
        found = {
            "shape": list(shape),
            "largest": largest,
            "ranks": ranks,  # for each epsilon, of each mode
            "stored": [TuckerScheme.stored_elements(shape, tuple(row)) for row in ranks],
        }
        if layer["activation"] is None:
            layer["activation"] = found
        else:  # the network calls the layer again
            layer["other_activations"].append(found)

    return hook
