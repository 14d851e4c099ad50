"""The ranks of inputs, where the network calls a layer more than once."""

from dataclasses import replace

from ondevice_bench.report.terminal.layers import spectrum_table
from ondevice_bench.worker.passes import spectrum

# the first input has orthogonal rows, the second has equal rows
NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.twice = nn.Linear(4, 5)
        self.never = nn.Linear(4, 5)

    def forward(self, x):
        rows = torch.eye(2, 4)
        return self.twice(rows) + self.twice(torch.ones_like(rows))
"""


def test_each_call_of_a_layer_has_the_ranks_of_its_input(odd_job, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    job = replace(odd_job("", "spectrum"), model=f"{tmp_path}/net.py:Net", model_options={})
    found = spectrum.measure(job).details
    layers = found["layers"]
    twice, never = layers["twice"], layers["never"]
    assert never["activation"] is None
    ranks = [each["ranks"][-1] for each in (twice["activation"], *twice["other_activations"])]
    assert ranks == [[2, 2], [1, 1]]
    # HOSVD stores a core and two bases, of each input
    stored = [rank**2 + rank * (2 + 4) for rank in (2, 1)]
    *_, shown = spectrum_table(found["epsilons"], {"random": layers}).rows[-1]
    assert shown == f"{100 * sum(stored) / (2 * 2 * 4):.0f} %"
