"""What a treatment says of the layers that it leaves alone."""

import torch
from torch import Tensor, nn

from ondevice_bench import treat


class Conv1D(nn.Module):
    """As GPT-2 of transformers writes a linear layer: its weight is transposed."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


def test_a_layer_with_a_matrix_that_no_method_knows_is_named_with_the_reason():
    treatment = treat(nn.Sequential(Conv1D(4, 4), nn.Linear(4, 2)), "asi", rank=1)
    assert list(treatment.refusals) == ["0"]


def test_the_report_names_the_layers_that_stored_nothing():
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.called, self.read = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(self.called(x), self.read.weight)

    treatment = treat(Reads(), "asi", rank=1)
    treatment.module(torch.randn(3, 4)).sum().backward()
    assert [each.name for each in treatment.report() if each.shape is None] == ["read"]
