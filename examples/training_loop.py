"""A method in a training loop of your own: run `python examples/training_loop.py`."""

import torch
from torch import nn

from ondevice_bench import treat

STEPS = 20


def main() -> None:
    """Train a small classifier with WASI, and get a plain network back."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 4))
    inputs = torch.randn(32, 64)
    targets = inputs[:, :4].argmax(1)

    treatment = treat(model, "wasi", layers="all", epsilon=0.8)
    treatment.calibrate((inputs, targets))  # chooses the ranks that hold 80 % of the energy
    optimizer = treatment.optimizer(lr=0.2, clip=2.0)
    losses = []
    for _ in range(STEPS):
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())

    for layer in treatment.report():
        print(f"layer {layer.name}: {layer.ranks}, stores {layer.elements} elements")
    plain = treatment.merge()
    print(f"loss {losses[0]:.3f} → {losses[-1]:.3f}; {type(plain[0]).__name__} layers again")


if __name__ == "__main__":
    main()
