"""The names of the kinds of modules that store something for backward."""

from collections.abc import Mapping

from ondevice_bench import metrics

CHANGED = "activation_treated_layers_bytes"


def kind_names(*, beside_changed: bool) -> Mapping[str, str]:
    """The kinds by their metrics. Layers are the other layers only beside changed ones."""
    names = {
        name: metrics.BY_NAME[name].label.removeprefix("of ")
        for name in metrics.parts_of("activations")
    }
    if beside_changed:
        return names
    return {name: words.removeprefix("other ") for name, words in names.items()}
