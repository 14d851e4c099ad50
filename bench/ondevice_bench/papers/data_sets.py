"""The data sets of the papers: how many classes each has."""

from collections.abc import Mapping

CLASSES: Mapping[str, int] = {
    "boolq": 2,
    "cifar10": 10,
    "cifar100": 100,
    "cub": 200,
    "flowers": 102,
    "imagenet": 1000,
    "pets": 37,
}
