"""A cell as a training step: batch, model, optimizer, and the phases of a step."""

import contextlib
import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.data import tensorfile
from bench.methods.ranks import Ranks
from bench.methods.treatment import Treatment, treat
from bench.run.job import Job
from bench.specs.layout import Layout
from bench.suite.cell import Train


def load_batch(job: Job) -> tuple[Tensor, Tensor]:
    """Images in the cell's dtype, and labels."""
    tensors = tensorfile.read(Path(job.batch_path))
    return tensors["images"].to(_dtype(job)), tensors["labels"]


def empty_batch(job: Job) -> tuple[Tensor, Tensor]:
    """A batch of the right shapes and no content, for passes that compute nothing."""
    size, count = job.inputs["size"], job.cell.batch
    images = torch.empty(count, job.inputs["channels"], size, size, dtype=_dtype(job))
    return images, torch.empty(count, dtype=torch.int64)


def initial_model(job: Job) -> nn.Module:
    """The network with seeded weights, as yet untreated."""
    family = importlib.import_module(job.model_module)
    model: nn.Module = family.construct(**job.model_options)
    family.initialise(model, job.cell.seed)
    convert(model, _dtype(job))
    return model


def treated_model(job: Job, model: nn.Module) -> Treatment:
    """The network treated by the cell's methods, in training mode."""
    train_mode(model, job.cell.train)
    ranks = {
        name: Ranks(tuple(numbers["activation"]), numbers["weight"])
        for name, numbers in (job.ranks or {}).items()
    }
    treatment = treat(
        model,
        job.methods,
        job.cell.layers,
        layout=Layout(**job.layout),
        ranks=ranks,
        seed=job.cell.seed,
    )
    train_mode(treatment.module, job.cell.train)
    return treatment


def build_model(job: Job) -> Treatment:
    """The network with seeded weights, treated, in training mode."""
    return treated_model(job, initial_model(job))


def convert(model: nn.Module, dtype: torch.dtype) -> None:
    """Weights are drawn in float32 and rounded, so that equal seeds mean equal weights.

    `Module.to` would refuse fake tensors that an initialisation has touched.
    """
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)


def train_mode(model: nn.Module, train: Train) -> None:
    """Training mode; a batch-norm that is frozen, or lies in a frozen part, stays in evaluation."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            if train.freeze_bn:
                module.requires_grad_(False)
            if not any(parameter.requires_grad for parameter in module.parameters()):
                module.eval()


class Workload:
    """The step that every pass measures."""

    def __init__(self, job: Job, batch: tuple[Tensor, Tensor], treatment: Treatment) -> None:
        self.model = treatment.module
        self.treatment = treatment
        self.train = job.cell.train
        self.images, self.labels = batch
        self.parts = min(treatment.slices, len(self.labels))
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = treatment.optimizer(
            lr=self.train.lr,
            weight_decay=self.train.weight_decay,
            clip=self.train.clip,
            momentum=self.train.momentum,
        )

    def forward(self, part: int = 0) -> Tensor:
        """Compute the part's share of the batch's mean loss."""
        images, labels = self.images, self.labels
        if self.parts > 1:
            images, labels = (whole.tensor_split(self.parts)[part] for whole in (images, labels))
        with self.treatment.packing():
            loss = nn.functional.cross_entropy(self.model(images), labels)
            return loss if self.parts == 1 else loss * (len(labels) / len(self.labels))

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients."""
        torch.autograd.backward(loss)

    def update(self) -> None:
        """Clip, step, and clear the gradients as the suite says."""
        self.optimizer.step()
        self.clear_gradients()

    def clear_gradients(self) -> None:
        """Free the gradients, or fill them with zeros, as the suite says."""
        self.optimizer.zero_grad(set_to_none=self.train.zero_grad == "none")

    def step(self) -> float:
        """One whole step; returns its loss."""
        total = 0.0
        for part in range(self.parts):
            loss = self.forward(part)
            self.backward(loss)
            total += loss.item()
        self.update()
        return total

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode and no gradients, then training mode again."""
        self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            train_mode(self.model, self.train)

    def infer(self) -> None:
        """One forward pass; meant to be called within `evaluating`."""
        self.model(self.images)

    def resident(self) -> Iterator[Tensor]:
        """What is alive outside a step: parameters, buffers, optimizer state, batch."""
        yield from self.model.parameters()
        yield from self.model.buffers()
        yield from self.optimizer_state()
        yield self.images
        yield self.labels

    def optimizer_state(self) -> Iterator[Tensor]:
        """The tensors that the optimizer keeps between steps."""
        for state in self.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))

    def gradients(self) -> Iterator[Tensor]:
        """The gradients that are alive now."""
        yield from (p.grad for p in self.trained if p.grad is not None)
        yield from self.treatment.gradients()

    def held(self) -> Iterator[Tensor]:
        """Saved tensors that a method packs by hooks of its own."""
        yield from self.treatment.held()


def build(job: Job) -> Workload:
    """Batch, model and optimizer of a job."""
    return Workload(job, load_batch(job), build_model(job))


def _dtype(job: Job) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, job.cell.dtype)
    return dtype
