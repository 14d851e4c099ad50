"""A cell as a training step: batch, model, optimizer, and the phases of a step."""

import contextlib
import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.data import tensorfile
from bench.run.job import Job
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


def build_model(job: Job) -> nn.Module:
    """The network with seeded weights, treated by the cell's method, in training mode."""
    family = importlib.import_module(job.model_module)
    model: nn.Module = family.construct(**job.model_options)
    family.initialise(model, job.cell.seed)
    convert(model, _dtype(job))
    importlib.import_module(job.method_module).treat(model, **job.method_options)
    train_mode(model, job.cell.train)
    return model


def convert(model: nn.Module, dtype: torch.dtype) -> None:
    """Weights are drawn in float32 and rounded, so that equal seeds mean equal weights.

    `Module.to` would refuse fake tensors that an initialisation has touched.
    """
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)


def train_mode(model: nn.Module, train: Train) -> None:
    """Training mode; batch-norm stays in evaluation mode, without gradients, where frozen."""
    model.train()
    if not train.freeze_bn:
        return
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
            module.requires_grad_(False)


class Workload:
    """The step that every pass measures."""

    def __init__(self, job: Job, batch: tuple[Tensor, Tensor], model: nn.Module) -> None:
        self.model = model
        self.train = job.cell.train
        self.images, self.labels = batch
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(
            self.trained,
            lr=self.train.lr,
            momentum=self.train.momentum,
            weight_decay=self.train.weight_decay,
        )
        self.last_loss = float("nan")

    def forward(self) -> Tensor:
        """Compute the loss of the batch."""
        return nn.functional.cross_entropy(self.model(self.images), self.labels)

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients."""
        torch.autograd.backward(loss)

    def update(self) -> None:
        """Clip, step, and clear the gradients as the suite says."""
        if self.train.clip is not None:
            nn.utils.clip_grad_norm_(self.trained, self.train.clip)
        self.optimizer.step()
        self.clear_gradients()

    def clear_gradients(self) -> None:
        """Free the gradients, or fill them with zeros, as the suite says."""
        self.optimizer.zero_grad(set_to_none=self.train.zero_grad == "none")

    def step(self) -> float:
        """One whole step; returns its loss."""
        loss = self.forward()
        self.backward(loss)
        self.update()
        return loss.item()

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


def build(job: Job) -> Workload:
    """Batch, model and optimizer of a job."""
    return Workload(job, load_batch(job), build_model(job))


def _dtype(job: Job) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, job.cell.dtype)
    return dtype
