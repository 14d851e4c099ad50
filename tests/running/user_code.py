"""Files of users: networks, batches and losses, and a host that describes them in this process."""

import json

from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.worker import describe

NET = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=7, image_size=24):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.head = nn.Linear(4 * (image_size // 2) ** 2, classes)

    def forward(self, x):
        return self.head(self.stem(x).flatten(1))

def net(**options):
    return Net(**options)

def deep(depth):
    return nn.Sequential(nn.Flatten(), *(nn.Linear(3 * 224 * 224, 2) for _ in range(depth)))

broken = Net()

def raises():
    raise RuntimeError("no such thing\\nsecond line")

def nothing():
    return 3

def cube():
    return nn.Flatten(2)

def wide(image_size=(24, 32)):
    return nn.Conv2d(3, 2, 3)

def picky():
    class Picky(nn.Module):
        def forward(self, x):
            raise ValueError("wants 1 channel")
    return Picky()

def dropped(image_size=24):
    return nn.Sequential(Net(image_size=image_size), nn.Dropout())

class Attending(Net):
    def __init__(self, image_size, share=0.0, attention=0.0):
        super().__init__(image_size=image_size)
        self.share, self.attention = share, attention

    def forward(self, x):
        y = super().forward(x).view(1, len(x), 7)
        y = nn.functional.scaled_dot_product_attention(
            y, y, y, dropout_p=self.attention if self.training else 0.0)
        return nn.functional.dropout(y.view(len(x), 7), self.share, self.training)

def attends(image_size=24):
    return Attending(image_size)

def drops_by_function(image_size=24, share=0.5):
    return Attending(image_size, share)

def drops_in_attention(image_size=24):
    return Attending(image_size, attention=0.5)
"""
BATCHED = """\
import torch
from torch import nn

layout = {"blocks": "trunk.*", "head": "head"}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5)])
        self.head = nn.Linear(5, 1)

    def forward(self, x, more):
        for layer in self.trunk:
            x = layer(x)
        return self.head(x)

def model(width=8):
    return Net()

def batch(size, seed):
    stream = torch.Generator().manual_seed(seed)
    return {"x": torch.randn(size, 5, generator=stream), "more": (torch.zeros(size),)}

def loss(model, batch):
    return (model(**batch).squeeze(1) - batch["more"][0]).square().mean()
"""
PAIR = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        y = self.layer(x)
        return y, y.sum(1)

def net():
    return Net()

def batch(size, seed):
    return BATCH

def loss(model, batch):
    return LOSS
"""
PLAIN = "torch.zeros(size, 4), torch.zeros(size)"
MEAN = "model(batch[0])[0].mean()"


def answer_here(question, request):
    """As a process of its own would, without importing torch once more."""
    assert question == "describe"
    if request["weights"]:  # where the fake host says that the file of this folder lies
        request = {**request, "weights": request["weights"].removeprefix("/fake/")}
    try:
        return json.loads(json.dumps(describe.describe(request)))
    except (ValueError, OSError) as error:
        return {"error": str(error)}


HERE = FakeHost(reply_to=answer_here)
