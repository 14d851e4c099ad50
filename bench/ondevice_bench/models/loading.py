"""Filling a network from a file of weights: by name, safely, with a report of the matches."""

import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ondevice_bench.data import tensorfile
from ondevice_bench.models.layers import is_in_one_of

_NESTED = ("state_dict", "model_state_dict", "model")
_WRAPPERS = ("module.", "bert.")
_BEGINNINGS = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # zip, pickle
_SHOWN = 3


class BadWeights(ValueError):
    """The file holds no weights, or those of another network."""


@dataclass(frozen=True)
class LoadReport:
    """Tensors loaded from the file, missing in the file, and unknown to the network."""

    loaded: int
    new: tuple[str, ...]  # tensors of the heads, which have their initial values
    unused: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether the file and the network have the same tensors."""
        return not self.new and not self.unused

    def __str__(self) -> str:
        text = f"{self.loaded} tensors loaded"
        if self.new:
            text += f", {_some(self.new)} new"
        return text + (f", {_some(self.unused)} of the file unused" if self.unused else "")


def load(model: nn.Module, path: Path, heads: Sequence[str]) -> LoadReport:
    """Fill `model` from a file; only its heads may be missing there or have another shape."""
    report, tensors = match(model, path, read(path), heads)
    model.load_state_dict(tensors, strict=False)
    return report


def match(
    model: nn.Module, path: Path, tensors: Mapping[str, Tensor], heads: Sequence[str]
) -> tuple[LoadReport, dict[str, Tensor]]:
    """The tensors of the file that fit the model; BadWeights if a part is missing.

    A file may have a tensor of several names, as a shared weight, under one of them alone.
    """
    state = model.state_dict(keep_vars=True)
    shapes = {name: tensor.shape for name, tensor in state.items()}
    tensors = _unwrapped(tensors, shapes)
    given = {id(state[name]) for name in tensors if name in state}
    missing = [n for n, each in state.items() if id(each) not in given and not _is_counter(n)]
    misfits = [
        name for name, tensor in tensors.items() if name in shapes and shapes[name] != tensor.shape
    ]
    new = [name for name in (*missing, *misfits) if is_in_one_of(name, heads)]
    for names, problem in ((missing, "has no"), (misfits, "has another shape of")):
        wrong = [name for name in names if name not in new]
        if wrong:
            lines = _some([_line(n, tensors, shapes) for n in wrong])
            raise BadWeights(f"{path}: {problem} {lines}")
    matches = {name: t for name, t in tensors.items() if name in shapes and name not in new}
    unused = tuple(name for name in tensors if name not in shapes)
    return LoadReport(len(matches), tuple(new), unused), matches


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pt file; no code in it runs."""
    try:
        if path.suffix == ".safetensors":
            return tensorfile.read(path)
        with path.open("rb") as file:
            beginning = file.read(2)
        _require_beginning(path, beginning)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the causes of these warnings become BadWeights below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except BadWeights:
        raise
    except tensorfile.NoTensorFile as error:
        raise BadWeights(str(error)) from None
    except pickle.UnpicklingError as error:
        first = str(error).partition("WeightsUnpickler error: ")[2].splitlines()
        why = f" ({first[0].rstrip('.')})" if first else ""
        raise BadWeights(
            f"{path}: holds more than tensors, so it is not loaded{why}: save only the state_dict"
        ) from None
    except OSError as error:
        raise BadWeights(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from None
    except Exception:  # torch raises any kind for a damaged file
        raise BadWeights(f"{path}: is not a file of weights, or is cut short") from None
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise BadWeights(f"{path}: holds no state_dict, but a {type(content).__name__}")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise BadWeights(f"{path}: holds no tensors by name")
    return tensors


def _require_beginning(path: Path, beginning: bytes) -> None:
    if beginning not in _BEGINNINGS:
        raise BadWeights(f"{path}: is not a file of weights")


def _unwrapped(tensors: Mapping[str, Tensor], names: Mapping[str, object]) -> Mapping[str, Tensor]:
    """The tensors without the name prefix of an enclosing module."""
    for prefix in _WRAPPERS:
        if not names.keys() & tensors.keys() and all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _is_counter(name: str) -> bool:
    """Batch-norm's count of batches. Older files do not have it, and nothing here uses it."""
    return name.endswith("num_batches_tracked")


def _line(name: str, tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> str:
    if name not in tensors:
        return name
    return f"{name}: {tuple(tensors[name].shape)}, the network's is {tuple(shapes[name])}"


def _some(names: Sequence[str]) -> str:
    shown = "; ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
