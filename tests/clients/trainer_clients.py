"""Loops that other libraries run: transformers' Trainer, Lightning, accelerate."""

import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ondevice_bench.models.user_models import torchvision_models, transformers_library
from tests.clients.batches import BATCH, STEPS, scores, single_inputs, small
from tests.clients.networks import Small
from tests.clients.oracle import Client, Loss
from tests.clients.torch_clients import double, single
from tests.clients.training import RATE, Training

_SCALE = 50.0  # so that the norm of the gradient is above 1, at which Trainer clips


class _Examples(Dataset):
    """The batches as single examples, named as Trainer wants them."""

    def __init__(self, batches: Sequence[tuple[Tensor, Tensor]]) -> None:
        images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
        self._examples = list(zip(images, labels, strict=True))

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        image, label = self._examples[number]
        return {"images": image, "labels": label}


class _WithLoss(nn.Module):
    """A network that returns its loss, as those of transformers do."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": _SCALE * self.loss(self.network, (images, labels))}


def _forget_precision() -> None:
    """accelerate keeps the precision of the first Trainer of a process for all others."""
    import_module("accelerate.state").AcceleratorState._reset_state(reset_partial_state=True)


def _trainer(*, own_optimizer: bool = False, resumes: bool = False, **options: Any) -> Any:
    def loop(training: Training, batches: Sequence[Any], loss: Loss) -> None:
        _forget_precision()
        with tempfile.TemporaryDirectory() as folder:
            if resumes:
                saving = {"save_strategy": "steps", "save_steps": 1}
                train(training, batches, loss, folder, **saving).train()
                training.restart()
                train(training, batches, loss, folder).train(f"{folder}/checkpoint-{STEPS - 1}")
            else:
                train(training, batches, loss, folder).train()

    def train(
        training: Training, batches: Sequence[Any], loss: Loss, folder: str, **saving: Any
    ) -> Any:
        transformers = transformers_library()
        network = _WithLoss(training.prepare(), loss)
        optimizer = None if own_optimizer else training.optimizer(RATE / _SCALE)
        arguments = transformers.TrainingArguments(
            folder, max_steps=STEPS, per_device_train_batch_size=BATCH, use_cpu=True,
            report_to=[], disable_tqdm=True, learning_rate=RATE / _SCALE,
            lr_scheduler_type="constant",
            **{"save_strategy": "no", "max_grad_norm": 0.0, **saving, **options},
        )  # fmt: skip
        return transformers.Trainer(
            network, arguments, train_dataset=_Examples(batches), optimizers=(optimizer, None)
        )

    return loop


def _lightning(**options: Any) -> Any:
    def loop(training: Training, batches: Sequence[Any], loss: Loss) -> None:
        torchvision_models()  # a metric library imports torchvision
        lightning = import_module("lightning.pytorch")
        network = training.prepare()

        class Module(lightning.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.network = network

            def training_step(self, batch: Any, _: int) -> Tensor:
                return loss(self.network, batch)

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return training.optimizer()

        trainer = lightning.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, **options,
        )  # fmt: skip
        trainer.fit(Module(), DataLoader(batches, batch_size=None))

    return loop


def _accelerate(training: Training, batches: Sequence[Any], loss: Loss) -> None:
    torchvision_models()
    _forget_precision()
    accelerator = import_module("accelerate").Accelerator(cpu=True)
    network, optimizer, loader = accelerator.prepare(
        training.prepare(), training.optimizer(), DataLoader(batches, batch_size=None)
    )
    for batch in loader:
        accelerator.backward(loss(network, batch))
        accelerator.clip_grad_norm_(network.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()


def _client(name: str, loop: Callable[..., None]) -> Client:
    return Client(name, double(Small), small, scores, loop, blocks="blocks.*")


TRAINER = (
    _client("Trainer without clipping", _trainer()),
    _client("Trainer, which clips", _trainer(max_grad_norm=1.0)),
    _client("Trainer with accumulation", _trainer(gradient_accumulation_steps=3)),
    _client("Trainer, resumed", _trainer(resumes=True)),
    _client("Trainer with an AdamW of its own", _trainer(own_optimizer=True)),
    Client("Trainer in bf16", single(Small), single_inputs, scores, _trainer(bf16=True),
           blocks="blocks.*", precise=_client("float64", _trainer())),
)  # fmt: skip
LIGHTNING = (
    _client("Lightning", _lightning()),
    _client("Lightning with clipping", _lightning(gradient_clip_val=0.1)),
    _client("Lightning with accumulation", _lightning(accumulate_grad_batches=3)),
)
ACCELERATE = (_client("accelerate with clipping", _accelerate),)
