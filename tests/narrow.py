"""Narrow networks, for tests of what does not depend on the width."""

import pytest

# widths are no options: a narrow network has the same structure, and a tenth of the weights
NARROW = {
    "bert": {"WIDTH": 48, "MLP": 96, "HEADS": 4},
    "llama": {"WIDTH": 64, "MLP": 96, "HEADS": 8, "KEY_VALUE_HEADS": 2, "HEAD_WIDTH": 8},
    "resnet": {"WIDTHS": (16, 32, 64, 128)},
    "vit": {"WIDTH": 96, "MLP": 192, "HEADS": 4},
    "swin": {"WIDTHS": (24, 48, 96, 192), "HEADS": (2, 4, 8, 16), "DEPTHS": (2, 2, 2, 2)},
    "segmentation": {
        "WIDTHS": {"resnet18": 16, "mobilenet_v2": 16},
        "UPERNET_WIDTH": 16,
        "AUXILIARY_WIDTHS": {"resnet18": 16, "mobilenet_v2": 16},
    },
}


@pytest.fixture
def narrow_networks(monkeypatch):
    """Networks of this process that a test can train in a moment."""
    for module, values in NARROW.items():
        for name, value in values.items():
            monkeypatch.setattr(f"ondevice_bench.models.{module}.{name}", value)
