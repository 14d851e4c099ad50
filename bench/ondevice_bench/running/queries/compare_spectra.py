"""The spectra of one network with several kinds of weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.described_suite import described
from ondevice_bench.running.queries.inspect import SkippedCell, spectra
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.matrix import cells_of

WEIGHTS = ("random", "spectrum:0.75", "pretrained")


@dataclass(frozen=True)
class SpectraByWeights:
    """The ranks of each layer at each share of energy, by the name of the weights."""

    epsilons: Sequence[float]
    layers: Mapping[str, Mapping[str, Any]]
    unavailable: Mapping[str, str]  # weights that the network does not have, with the reason
    data: str
    batch: int

    def to_dict(self) -> dict[str, Any]:
        """The spectra as plain values."""
        return {
            "epsilons": list(self.epsilons),
            "weights": dict(self.layers),
            "unavailable": dict(self.unavailable),
        }


def compare_spectra(host: Host, words: Words, weights: Sequence[str]) -> SpectraByWeights:
    """The spectra with each of these weights, or with every usual kind that the network has.

    Weights that the user names must exist; BadInput if none are available at all.
    """
    answers: dict[str, Mapping[str, Any]] = {}
    reasons: dict[str, str] = {}
    for kind in weights or WEIGHTS:
        suite = described(host, replace(words, weights=kind).suite())
        try:
            answers[suite.weights.name] = spectra(host, suite)
        except SkippedCell as error:
            if weights:
                raise
            reasons[kind] = str(error)
    if not answers:
        raise BadInput(*dict.fromkeys(reasons.values()))
    return SpectraByWeights(
        epsilons=next(iter(answers.values()))["epsilons"],
        layers={kind: answer["layers"] for kind, answer in answers.items()},
        unavailable=reasons,
        data=cells_of(suite)[0].data,
        batch=suite.models[0].batches[0],
    )
