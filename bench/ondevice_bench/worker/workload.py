"""A cell as a training step: batch, model, optimizer, and the phases of a step."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ondevice_bench.data import nested
from ondevice_bench.methods.method_mix import Composed
from ondevice_bench.methods.ranks import Ranks
from ondevice_bench.methods.treatment import Treatment, treat
from ondevice_bench.models.families import family
from ondevice_bench.models.family import Family, model_output, seeded
from ondevice_bench.models.layers import complete_layout
from ondevice_bench.protocol.job import Job, MethodCall
from ondevice_bench.specs import inputs as kinds
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.suite.cell import Train
from ondevice_bench.worker import current_stage

if TYPE_CHECKING:
    # a worker imports this only for a file of weights
    from ondevice_bench.models.loading import LoadReport


def load_batch(job: Job) -> Any:
    """The batch, usually `(inputs, targets)`. Floating-point tensors have the cell's type."""
    current_stage.enter("the batch")
    return typed(job, nested.read(Path(job.batch_path)))


def typed(job: Job, batch: Any) -> Any:
    """The batch with its floating-point tensors in the cell's type."""
    return nested.mapped(batch, lambda t: t.to(_dtype(job)) if t.is_floating_point() else t)


def empty_batch(job: Job) -> Any:
    """A batch of the right shapes and no content, for passes that compute nothing."""
    inputs, count = kinds.from_dict(job.inputs), job.cell.batch
    if isinstance(inputs, kinds.OwnBatch):
        make = family(job.model).batch
        assert make is not None
        return typed(job, make(count, job.cell.seed))
    return empty(inputs, count, _dtype(job))


def empty(
    inputs: kinds.Images | kinds.Tokens | kinds.LayerTensors, count: int, dtype: torch.dtype
) -> Any:
    """Empty `(inputs, targets)` of this kind."""
    if isinstance(inputs, kinds.LayerTensors):
        shapes = (inputs.input, inputs.output)
        return tuple(torch.zeros(count, *shape, dtype=dtype) for shape in shapes)
    if isinstance(inputs, kinds.Tokens):
        tokens = torch.zeros(count, inputs.length, dtype=torch.int64)
        labels = torch.zeros(count, dtype=torch.int64)
        return tokens, labels if inputs.classes else torch.zeros_like(tokens)
    square = (inputs.size, inputs.size)
    images = torch.zeros(count, inputs.channels, *square, dtype=dtype)
    return images, torch.zeros(count, *(square if inputs.dense else ()), dtype=torch.int64)


def initial_model(job: Job) -> tuple[nn.Module, "LoadReport | None"]:
    """The untreated network with its initial weights, and the report if a file was loaded."""
    network = family(job.model)
    model = seeded(network.construct, job.model_options, job.cell.seed)
    loaded = _fill(job, network, model)
    convert(model, _dtype(job))
    return model, loaded


def _fill(job: Job, network: Family, model: nn.Module) -> "LoadReport | None":
    """Fill the network with the weights of the cell."""
    if job.weights["kind"] == "unset":  # for passes that compute nothing
        return None
    network.initialise(model, job.cell.seed)
    match job.weights["kind"]:
        case "spectrum":
            from ondevice_bench.models.spectrum import give_spectrum

            give_spectrum(model, job.weights["decay"], job.cell.seed)
        case "file":
            from ondevice_bench.models import loading

            heads = layout_of(job, model, network).heads
            return loading.load(model, Path(job.weights["path"]), heads)
    return None


def layout_of(job: Job, model: nn.Module, network: Family) -> ModelLayout:
    """The layout of the network, from its spec or its file. What it leaves out is guessed."""
    given = network.layout if job.layout is None else ModelLayout(**job.layout)
    return complete_layout(model, given)


def treated_model(job: Job, model: nn.Module) -> Treatment:
    """The network treated by the cell's methods, in training mode."""
    model.train()
    ranks = {
        name: Ranks(tuple(numbers["activation"]), numbers["weight"])
        for name, numbers in (job.ranks or {}).items()
    }
    treatment = treat(
        model,
        by_layers(job.methods),
        job.cell.layers,
        layout=layout_of(job, model, family(job.model)),
        ranks=ranks,
        seed=job.cell.seed,
    )
    if job.cell.train.freeze_bn:
        _freeze_batch_norms(treatment)
    train_mode(treatment, job.cell.train)
    if job.calibration_path and treatment.keeps_calibration:
        batch = typed(job, nested.read(Path(job.calibration_path)))
        treatment.keep_calibration(batch, family(job.model).loss)
    return treatment


def by_layers(calls: Sequence[MethodCall]) -> Composed | Mapping[str, Composed]:
    """The calls of a cell's method. Those of a mix have layers."""
    methods: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for path, options, *layers in calls:
        methods.setdefault(layers[0] if layers else "", []).append((path, options))
    return methods.get("", methods)


def build_model(job: Job) -> Treatment:
    """The network with its initial weights, treated, in training mode."""
    current_stage.enter("the model")
    return treated_model(job, initial_model(job)[0])


def convert(model: nn.Module, dtype: torch.dtype) -> None:
    """Convert weights and buffers, which are drawn in float32 so that a seed means equal weights.

    `Module.to` refuses fake tensors after an initialisation.
    """
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.is_floating_point() and tensor.dtype != dtype:
            tensor.data = tensor.data.to(dtype)


def train_mode(treatment: Treatment, train: Train) -> None:
    """Set training mode. A frozen batch-norm, or one in a frozen part, stays in evaluation mode."""
    model = treatment.module
    model.train()
    for norm in _batch_norms(model) if train.freeze_bn else treatment.frozen_norms:
        norm.eval()


def _freeze_batch_norms(treatment: Treatment) -> None:
    """Freeze all batch-norms, except for a shift that the method itself trains."""
    for norm in _batch_norms(treatment.module):
        for name, parameter in norm.named_parameters():
            if not (treatment.trains_shifts and name == "bias"):
                parameter.requires_grad_(False)


def _batch_norms(model: nn.Module) -> Iterator[nn.Module]:
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            yield module


class Workload:
    """The step that every pass measures."""

    def __init__(self, job: Job, batch: Any, treatment: Treatment) -> None:
        self.model = treatment.module
        self.treatment = treatment
        self.train = job.cell.train
        self.batch = batch
        self.loss = family(job.model).loss
        self.parts = treatment.parts(batch)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = treatment.optimizer(
            lr=self.train.lr,
            weight_decay=self.train.weight_decay,
            clip=self.train.clip,
            momentum=self.train.momentum,
            kind=self.train.optimizer,
        )
        self._is_checked = False

    def forward(self, part: int = 0) -> Tensor:
        """Compute the part's share of the mean loss of the batch."""
        current_stage.enter("forward")
        return self.treatment.share_of_loss(self.batch, self.loss, part)

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients."""
        current_stage.enter("backward")
        torch.autograd.backward(loss)

    def update(self) -> None:
        """Clip the gradients, step the optimizer, and clear the gradients as the suite says.

        A network that has called none of its changed layers until then is refused.
        """
        current_stage.enter("the update")
        if not self._is_checked:
            self.treatment.require_calls()
            self._is_checked = True
        self.optimizer.step()
        self.clear_gradients()

    def clear_gradients(self) -> None:
        """Free the gradients, or fill them with zeros, as the suite says."""
        self.optimizer.zero_grad(set_to_none=self.train.zero_grad == "none")

    def step(self) -> float:
        """Run one whole step and return its loss."""
        total = 0.0
        for part in range(self.parts):
            loss = self.forward(part)
            self.backward(loss)
            total += loss.item()
        self.update()
        return total

    def step_without_loss(self) -> None:
        """Run one whole step on tensors without content. Its loss has no value."""
        for part in range(self.parts):
            self.backward(self.forward(part))
        self.update()

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Set evaluation mode without gradients, and training mode after the block."""
        self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            train_mode(self.treatment, self.train)

    def infer(self) -> None:
        """Run one forward pass. Call it inside `evaluating`."""
        current_stage.enter("inference")
        model_output(self.model, inputs_of(self.batch))

    def resident(self) -> Iterator[Tensor]:
        """Tensors that are alive outside a step: of the model, the optimizer, and the batch."""
        yield from self.model.parameters()
        yield from self.model.buffers()
        yield from self.treatment.state()
        yield from self.optimizer_state()
        yield from nested.leaves(self.batch)

    def optimizer_state(self) -> Iterator[Tensor]:
        """The tensors that the optimizer keeps between steps."""
        for state in self.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))

    def gradients(self) -> Iterator[Tensor]:
        """The gradients that are alive now."""
        yield from (p.grad for p in self.trained if p.grad is not None)
        yield from self.treatment.gradients()

    def packed_tensors(self) -> Iterator[Tensor]:
        """Saved tensors that a method packs by its own hooks."""
        yield from self.treatment.packed_tensors()


def inputs_of(batch: Any) -> Any:
    """The inputs of the network: the first of a pair, or the whole batch."""
    return batch[0] if isinstance(batch, tuple) and len(batch) == 2 else batch


def build(job: Job) -> Workload:
    """Batch, model and optimizer of a job."""
    return Workload(job, load_batch(job), build_model(job))


def _dtype(job: Job) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, job.cell.dtype)
    return dtype
