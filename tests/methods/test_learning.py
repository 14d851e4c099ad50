"""A compressed network still learns: scikit-learn's digits, real images of real handwriting."""

from functools import cache

import pytest
import torch
from torch import nn

from ondevice_bench.methods.treatment import treat

datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn has the digits")

EPOCHS, BATCH, SEEDS = 4, 60, 2


@cache
def digits():
    data = datasets.load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    images -= images.mean(0)
    labels = torch.tensor(data.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, test = order[:900], order[1500:]
    return images[train], labels[train], images[test], labels[test]


def network(seed):
    torch.manual_seed(seed)
    # normalised activations: a mean far from zero would hold most of the energy that epsilon counts
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.Tanh(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.BatchNorm2d(32),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def accuracy(method, seed, **options):
    images, labels, test_images, test_labels = digits()
    model = network(seed)
    treatment = treat(model, method, seed=seed, **options)
    if "epsilon" in options:
        treatment.calibrate((images[:BATCH], labels[:BATCH]))
    optimizer = treatment.optimizer(lr=0.1, weight_decay=1e-4, clip=2.0)
    order = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(labels), generator=order).split(BATCH):
            loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        hits = model(test_images).argmax(1) == test_labels
    return hits.double().mean().item() * 100


METHODS = ["svd", "hosvd", "asi", "wsi", "wasi"]


@pytest.fixture(scope="module")
def vanilla():
    return [accuracy("vanilla", seed) for seed in range(SEEDS)]


@pytest.mark.parametrize("method", METHODS)
def test_at_epsilon_09_accuracy_stays_within_two_points_of_vanillas(vanilla, method):
    found = [accuracy(method, seed, epsilon=0.9) for seed in range(SEEDS)]
    assert sum(found) / SEEDS >= sum(vanilla) / SEEDS - 2, (found, vanilla)


def test_at_low_ranks_it_is_worse_in_the_expected_order(vanilla):
    mean = {
        fraction: sum(accuracy("wasi", seed, fraction=fraction) for seed in range(SEEDS)) / SEEDS
        for fraction in (0.05, 0.3)
    }
    assert mean[0.05] < mean[0.3] < sum(vanilla) / SEEDS
