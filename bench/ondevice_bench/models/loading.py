"""Filling a network from a file of weights: by name, safely, with an account of what matched."""

import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ondevice_bench.data import tensorfile

_NESTED = ("state_dict", "model_state_dict", "model")
_WRAPPERS = ("module.", "bert.")
_BEGINNINGS = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # zip, pickle
_SHOWN = 3


class BadWeights(ValueError):
    """The file is not one of weights, or not of this network's."""


@dataclass(frozen=True)
class LoadReport:
    """What was taken from the file, what the head keeps as it was made, what was left over."""

    taken: int
    new: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether the file and the network have the same tensors."""
        return not self.new and not self.unused

    def __str__(self) -> str:
        text = f"{self.taken} tensors taken"
        if self.new:
            text += f", {_some(self.new)} new"
        return text + (f", {_some(self.unused)} of the file unused" if self.unused else "")


def load(model: nn.Module, path: Path, head: str) -> LoadReport:
    """Fill `model` from a file; only its head may be missing there or have another shape."""
    found = read(path)
    loaded, taken = match(model, path, found, head)
    model.load_state_dict(taken, strict=False)
    return loaded


def match(
    model: nn.Module, path: Path, found: Mapping[str, Tensor], head: str
) -> tuple[LoadReport, dict[str, Tensor]]:
    """What of the file's tensors the model would take; BadWeights where a part is missing."""
    known = {name: tensor.shape for name, tensor in model.state_dict().items()}
    found = _unwrapped(found, known)
    missing = [name for name in known if name not in found and not _is_counter(name)]
    misfits = [
        name for name, tensor in found.items() if name in known and known[name] != tensor.shape
    ]
    new = [name for name in (*missing, *misfits) if _is_in(name, head)]
    for names, what in ((missing, "has no"), (misfits, "has another shape of")):
        wrong = [name for name in names if name not in new]
        if wrong:
            raise BadWeights(f"{path}: {what} {_some([_said(n, found, known) for n in wrong])}")
    taken = {name: t for name, t in found.items() if name in known and name not in new}
    unused = tuple(name for name in found if name not in known)
    return LoadReport(len(taken), tuple(new), unused), taken


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pt file; nothing in it is run."""
    try:
        if path.suffix == ".safetensors":
            return tensorfile.read(path)
        with path.open("rb") as file:
            if file.read(2)[:2] not in _BEGINNINGS:
                raise BadWeights(f"{path}: is no file of weights")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of ends in one of our errors
            content = torch.load(path, map_location="cpu", weights_only=True)
    except tensorfile.NoTensorFile as error:
        raise BadWeights(str(error)) from None
    except pickle.UnpicklingError as error:
        first = str(error).partition("WeightsUnpickler error: ")[2].splitlines()
        why = f" ({first[0].rstrip('.')})" if first else ""
        raise BadWeights(
            f"{path}: holds more than tensors, which is not loaded{why}: save its state_dict"
        ) from None
    except OSError as error:
        raise BadWeights(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from None
    except (RuntimeError, EOFError, KeyError, AssertionError):
        raise BadWeights(f"{path}: is no file of weights, or is cut short") from None
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise BadWeights(f"{path}: holds no state_dict, but a {type(content).__name__}")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise BadWeights(f"{path}: holds no tensors by name")
    return tensors


def _unwrapped(found: Mapping[str, Tensor], known: Mapping[str, object]) -> Mapping[str, Tensor]:
    """The names without the prefix of what the network was wrapped in when it was saved."""
    for prefix in _WRAPPERS:
        if not known.keys() & found.keys() and all(name.startswith(prefix) for name in found):
            return {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def _is_counter(name: str) -> bool:
    """Batch-norm's count of batches, which older files lack and nothing here uses."""
    return name.endswith("num_batches_tracked")


def _is_in(name: str, head: str) -> bool:
    return bool(head) and name.startswith(f"{head}.")


def _said(name: str, found: Mapping[str, Tensor], known: Mapping[str, torch.Size]) -> str:
    if name not in found:
        return name
    return f"{name}: {tuple(found[name].shape)}, the network's is {tuple(known[name])}"


def _some(names: Sequence[str]) -> str:
    shown = "; ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
