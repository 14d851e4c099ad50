"""What a treated layer costs, against the plain layer and against the naive form of its method.

    python benchmarks/methods.py [--layers PATTERN] [--methods PATTERN] [--rounds N] [--threads N]

One layer, one training step: forward, backward and update. All variants of a shape are timed in
turn, round by round, so that a machine that slows down slows all of them; the figures are
medians over rounds of the ratio to the plain layer in the same round: CPU seconds on one thread,
then wall seconds on all cores. Activations have mode spectra that decay like k^-0.5. Each step has
the same input. A method that does some work only every m steps is timed over m steps.

The last column is the cosine of the change of the weight in these steps and the change by the exact
gradient. A fast step is worth little if its direction is another one.
"""

import argparse
import copy
import fnmatch
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ondevice_bench.methods import treat
from ondevice_bench.methods.ranks import by_epsilon
from ondevice_bench.methods.tensors import compose, largest_rank, unfold

LINEAR = {
    "fc1": ((128, 50, 768), 3072),
    "fc2": ((128, 50, 3072), 768),
    "tinyllama-b8": ((8, 512, 2048), 5632),
    "tinyllama-b1": ((1, 512, 2048), 5632),
}
CONV = {
    "1x1-576-96": ((128, 576, 14, 14), (96, 1, 1, 1)),
    "1x1-96-576": ((128, 96, 14, 14), (576, 1, 1, 1)),
    "3x3-64-128-s2": ((128, 64, 28, 28), (128, 3, 2, 1)),
    "3x3-128-128": ((128, 128, 8, 8), (128, 3, 1, 1)),
    "depthwise-192": ((128, 192, 14, 14), (192, 3, 1, 192)),
}
ACTIVATION_EPSILONS = (0.4, 0.8, 0.9)
WEIGHT_FRACTIONS = (0.1, 0.3, 0.6)
RATE = 1e-3


def decaying(shape: tuple[int, ...]) -> Tensor:
    """Gaussian data whose singular values decay like k^-0.5 along every mode."""
    x = torch.randn(shape)
    for mode, size in enumerate(shape):
        basis = torch.linalg.qr(torch.randn(size, size))[0]
        scaled = basis * torch.arange(1, size + 1) ** -0.5
        x = torch.tensordot(scaled, x, ([1], [mode])).movedim(0, mode)
    return (x / x.std()).contiguous()


@dataclass
class Variant:
    """One way to train the layer, ready to be timed."""

    name: str
    layer: nn.Module
    update: Callable[[], None]
    x: Tensor
    dy: Tensor
    period: int = 1  # steps after which the work repeats

    def steps(self) -> None:
        """The training steps of one period."""
        for _ in range(self.period):
            self.layer(self.x).backward(self.dy)
            self.update()
            self.x.grad = None

    def weight(self) -> Tensor:
        """The weight as the plain layer would have it."""
        layer = self.layer[0] if isinstance(self.layer, nn.Sequential) else self.layer
        return layer.weight.detach().clone()

    def infer(self) -> None:
        """One forward pass in evaluation."""
        with torch.no_grad():
            self.layer(self.x)


class NaiveHosvd(torch.autograd.Function):
    """Full SVD of each unfolding, the input restored, the plain formula."""

    # torch's stub says nothing of the types of both methods, and torch documents them

    @staticmethod
    def forward(ctx, x, weight, layer):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205, D102
        y = layer.plain(x, weight)
        factors = []
        core = x
        for mode in range(x.ndim):
            u, _, _ = torch.linalg.svd(unfold(x, mode), full_matrices=False)
            factors.append(u[:, : layer.ranks[mode]])
            core = torch.tensordot(factors[-1].T, core, ([1], [mode])).movedim(0, mode)
        ctx.save_for_backward(core, weight, *factors)
        ctx.layer = layer
        return y

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205, D102
        core, weight, *factors = ctx.saved_tensors
        restored = compose(core, tuple(factors)).detach().requires_grad_()
        seen = weight.detach().requires_grad_()
        with torch.enable_grad():
            y = ctx.layer.plain(restored, seen)
        dx, dw = torch.autograd.grad(y, (restored, seen), dy)
        return dx, dw, None


class Naive(nn.Module):
    """A layer that trains through `NaiveHosvd`."""

    def __init__(self, layer: nn.Module, ranks: tuple[int, ...]) -> None:
        super().__init__()
        self.layer, self.ranks = layer, ranks
        self.weight = layer.weight

    def plain(self, x: Tensor, weight: Tensor) -> Tensor:
        """The plain layer's own formula."""
        if isinstance(self.layer, nn.Linear):
            return torch.einsum("bni,oi->bno", x, weight)
        return self.layer._conv_forward(x, weight, None)

    def forward(self, x: Tensor) -> Tensor:
        """One naive step's forward."""
        return NaiveHosvd.apply(x, self.weight, self)


def ranks_at(x: Tensor, epsilon: float) -> tuple[int, ...]:
    """The HOSVD rank of each mode at that energy."""
    ranks = []
    for mode in range(x.ndim):
        flat = unfold(x, mode).double()
        energy = torch.linalg.eigvalsh(flat @ flat.T).flip(0).clamp_min(0)
        ranks.append(by_epsilon(epsilon, energy, largest_rank(tuple(x.shape), mode)))
    return tuple(ranks)


def variants(layer: nn.Module, x: Tensor, wanted: str) -> list[Variant]:
    """The plain layer first, then every method that fits and is wanted."""
    with torch.no_grad():
        dy = torch.randn_like(layer(x)) / 1000
    made = [plain(layer, x, dy)]

    def add(name: str, method: str, **options: object) -> None:
        if not fnmatch.fnmatch(name, wanted):
            return
        treatment = treat(nn.Sequential(copy.deepcopy(layer)), method, **options)
        optimizer = treatment.optimizer(lr=RATE)

        def update() -> None:
            optimizer.step()
            optimizer.zero_grad()

        inputs = x.clone().requires_grad_()
        period = options.get("every", 1)
        assert isinstance(period, int)
        made.append(Variant(name, treatment.module, update, inputs, dy, period))

    conv = isinstance(layer, nn.Conv2d)
    for epsilon in (0.8,) if conv else ACTIVATION_EPSILONS:
        ranks = ranks_at(x, epsilon)
        each = "x".join(map(str, ranks))
        add(f"asi e={epsilon}", "asi", rank=each)
        add(f"asi sequential e={epsilon}", "asi", rank=each, sequential=True)
        if epsilon <= 0.8:
            add(f"hosvd e={epsilon}", "hosvd", rank=each)
        if epsilon == 0.8:
            add(f"svd e={epsilon}", "svd", rank=ranks[0])
        if epsilon == 0.8 and fnmatch.fnmatch("naive hosvd", wanted):
            naive = Naive(copy.deepcopy(layer), ranks)
            made.append(trained("naive hosvd e=0.8", naive, x, dy))
    if conv:
        add("gradient_filter r=2", "gradient_filter", radius=2)
    if not conv or layer.groups == 1:
        each = "x".join(map(str, ranks_at(x, 0.8)))
        for fraction in WEIGHT_FRACTIONS:
            smallest = min(layer.weight.flatten(1).shape)
            rank = max(1, round(fraction * smallest))
            wasi = {"rank": each, "weight_rank": rank, "sequential": not conv}
            add(f"wasi K={fraction}", "wasi", **wasi)
            add(f"wasi every=5 K={fraction}", "wasi", **wasi, every=5)
            add(f"wsi K={fraction}", "wsi", rank=rank)
            if not conv:
                # the rank of the weight in sixteens, and those of the input with it
                add(f"wasi of 16 K={fraction}", "wasi", **wasi, multiple=16)
    return made


def plain(layer: nn.Module, x: Tensor, dy: Tensor) -> Variant:
    """Vanilla training of the layer."""
    return trained("vanilla", copy.deepcopy(layer), x, dy)


def trained(name: str, layer: nn.Module, x: Tensor, dy: Tensor) -> Variant:
    """A layer under stock SGD."""
    optimizer = torch.optim.SGD(layer.parameters(), lr=RATE)

    def update() -> None:
        optimizer.step()
        optimizer.zero_grad()

    return Variant(name, layer, update, x.clone().requires_grad_(), dy)


def ratios(
    made: list[Variant], rounds: int, clock: Callable[[], float], act: Callable[[Variant], None]
) -> Mapping[str, float]:
    """Each variant's median ratio to the first, over interleaved rounds after one warm-up."""
    taken: dict[str, list[float]] = {variant.name: [] for variant in made}
    for number in range(rounds + 1):
        base = 0.0
        for variant in made:
            start = clock()
            act(variant)
            seconds = (clock() - start) / (variant.period if act is Variant.steps else 1)
            base = seconds if variant is made[0] else base
            if number:
                taken[variant.name].append(seconds / base)
    return {name: statistics.median(values) for name, values in taken.items()}


def cosine(variant: Variant, gradient: Tensor) -> float:
    """Of the change of the weight in one period, and a step along the exact gradient."""
    before = variant.weight()
    variant.steps()
    change = (before - variant.weight()).double().flatten()
    return torch.nn.functional.cosine_similarity(change, gradient.double().flatten(), 0).item()


def exact_gradient(variant: Variant) -> Tensor:
    """The gradient of the plain layer. It does not depend on the weight, because dY does not."""
    output = variant.layer(variant.x)
    (gradient,) = torch.autograd.grad(output, variant.layer.weight, variant.dy)
    return gradient


def main() -> None:
    """Print one table a shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", default="*")
    parser.add_argument("--methods", default="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    torch.manual_seed(0)
    for name, (shape, what) in {**LINEAR, **CONV}.items():
        if not fnmatch.fnmatch(name, chosen.layers):
            continue
        if isinstance(what, int):
            layer: nn.Module = nn.Linear(shape[-1], what, bias=False)
        else:
            outputs, kernel, stride, groups = what
            pad = kernel // 2
            layer = nn.Conv2d(shape[1], outputs, kernel, stride, pad, groups=groups, bias=False)
        made = variants(layer, decaying(shape), chosen.methods)
        torch.set_num_threads(1)
        cpu = ratios(made, chosen.rounds, time.process_time, Variant.steps)
        inference = ratios(made, chosen.rounds, time.process_time, Variant.infer)
        torch.set_num_threads(chosen.threads)
        wall = ratios(made, chosen.rounds, time.perf_counter, Variant.steps)
        gradient = exact_gradient(made[0])
        columns = f"one thread CPU, {chosen.threads} threads wall, inference CPU, cosine"
        print(f"\n{name} {shape}: {columns}")
        for variant in made:
            key = variant.name
            times = f"{cpu[key]:6.2f} {wall[key]:6.2f} {inference[key]:6.2f}"
            print(f"  {key:28} {times} {cosine(variant, gradient):8.4f}", flush=True)


if __name__ == "__main__":
    main()
