"""Whether mixes find their layers: asked before anything runs."""

import json

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.queries.mixes import require_layers
from ondevice_bench.suite.load import load_suite
from ondevice_bench.worker.mixes import unmatched

NETS = """\
from torch import nn

def convs(width=2):
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.Conv2d(width, width, 1))

def linears(width=2):
    return nn.Sequential(nn.Linear(3, width), nn.Linear(width, width))
"""


def answer(question, request):
    """As a process of its own would."""
    assert question == "mixes"
    return json.loads(json.dumps(unmatched(request)))


@pytest.fixture
def required(workplace):
    def of(models, *mixes, host=None):
        (workplace / "nets.py").write_text(NETS)
        lines = "".join(f"  - mix: {mix}\n" for mix in mixes)
        (workplace / "x.yaml").write_text(
            f"schema: 1\ntitle: t\nmodels: [{models}]\nmethods:\n  - vanilla\n{lines}"
        )
        host = host or FakeHost(reply_to=answer)
        require_layers(host, load_suite("./x.yaml"))
        return host

    return of


def test_a_suite_without_a_mix_asks_nothing(required):
    assert required("./nets.py:convs").questions == []


def test_a_mix_that_one_model_has_layers_for_is_no_mistake(required):
    host = required("./nets.py:convs, ./nets.py:linears", "{conv: lora, all: lean}")
    assert host.questions == ["mixes"]  # both lie in one folder
    required("./nets.py:convs", "{last:1: lora, all: lora_fa}")


@pytest.mark.parametrize(
    ("mix", "says"),
    [
        ("{pattern:head: lora}", "methods[1].pattern:head: 'pattern:head' matches no layer; near"),
        (
            "{conv: lora, all: lora_fa}",
            "methods[1].all: 'all' matches no layer that is left for it",
        ),
        ("{mlp: lora}", "methods[1].mlp: 'mlp': this network declares no such part"),
        (
            "{last:3: lora}",
            "methods[1].last:3: 'last:3', but this network has only 2 of these layers",
        ),
    ],
)
def test_an_entry_without_layers_in_any_model_is_one_line(required, mix, says):
    with pytest.raises(BadInput) as caught:
        required("./nets.py:convs: {width: [2, 3]}", mix)
    (line,) = caught.value.lines
    assert line.startswith(f"x.yaml:6: {says}")


def test_where_nobody_answers_the_worker_will_tell(required):
    required("mcunet", "{pattern:none: lora}", host=FakeHost())
