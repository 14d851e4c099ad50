"""How close a method's weight gradients are to those of plain training."""

from collections.abc import Mapping
from dataclasses import dataclass

from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.metrics.learning import NOT_FINITE
from ondevice_bench.specs import composition, registry
from ondevice_bench.suite.cell import Cell

FIRST, ORIGINAL = "gradient_cosine_first", "gradient_cosine_original"
# the moment of each comparison, by the metric that holds its cosine
MOMENTS: Mapping[str, str] = {
    FIRST: "at step 1",
    "gradient_cosine": "at step 10",
    ORIGINAL: "at step 1, against the uncompressed network",
}
# the same moments in a table
SHORT: Mapping[str, str] = {
    FIRST: "step 1",
    "gradient_cosine": "step 10",
    ORIGINAL: "uncompressed",
}

ROUNDING = 0.99  # rounding alone never brings a cosine below this, in any type of number

# the same moments in the details of a record, which has a cosine for each layer
_OF_LAYERS: Mapping[str, str] = {
    "_first": FIRST,
    "_after": "gradient_cosine",
    "_original": ORIGINAL,
}


@dataclass(frozen=True)
class GradientQuality:
    """The cosines of one cell. A method with an exact gradient needs none."""

    is_exact: bool  # by design, and no measured cosine says otherwise
    cosines: Mapping[str, float]  # by metric, in the order of `MOMENTS`
    why_unknown: str  # the reason if nothing was measured
    diverges: bool  # the loss was not finite after the steps between the moments
    rests_on: str = ""  # what an exact gradient rests on

    @property
    def lowest(self) -> float | None:
        """The lowest cosine of all moments. It decides about a method."""
        return min(self.cosines.values(), default=None)

    @property
    def is_known(self) -> bool:
        """Whether the gradient is exact, or was compared."""
        return self.is_exact or bool(self.cosines)

    @property
    def text(self) -> str:
        """The lowest cosine, in words."""
        return self.text_below(None)

    def text_below(self, limit: float | None) -> str:
        """The same, with enough decimals to show that it is below the limit, if it is."""
        if self.is_exact:
            return f"the exact gradient{f' ({self.rests_on})' if self.rests_on else ''}"
        if self.lowest is None:
            return "an unknown effect on the gradient"
        moment = min(self.cosines, key=self.cosines.__getitem__)
        return f"a gradient cosine of {cosine_text(self.lowest, limit)} {MOMENTS[moment]}"


def gradient_quality(member: CellWithBaseline) -> GradientQuality:
    """How good the gradient of a cell is."""
    estimates = member.cell.estimates
    cosines = {name: estimates[name].estimate for name in MOMENTS if name in estimates}
    reasons = (member.cell.unavailable.get(name, "") for name in MOMENTS)
    cell = member.cell.planned.cell
    is_sliced = cell.train.freeze_bn and "microbatch" in composition.names(cell.method)
    is_alike = min(cosines.values(), default=1.0) >= ROUNDING
    return GradientQuality(
        is_exact=has_exact_updates(cell) and is_alike,
        cosines=cosines,
        why_unknown="" if cosines else next(filter(None, reasons), ""),
        diverges=diverges(member.cell),
        rests_on="if batch-norm stays frozen" if is_sliced else "",
    )


def diverges(cell: CellSummary) -> bool:
    """Whether the loss of a cell was not finite after the steps between the moments."""
    return NOT_FINITE in cell.unavailable.get("loss_after_steps", "")


def lowest_cosine(member: CellWithBaseline) -> float | None:
    """The lowest measured cosine. An exact gradient counts as 1.

    None if nothing was measured.
    """
    quality = gradient_quality(member)
    return 1.0 if quality.is_exact and quality.cosines else quality.lowest


def lowest_cosine_of_layers(member: CellWithBaseline) -> dict[str, tuple[float, str]]:
    """The lowest cosine of each layer over all moments, with the metric of its first moment."""
    lowest: dict[str, tuple[float, str]] = {}
    layers = member.cell.details_of("fidelity").layers
    for moment, metric in _OF_LAYERS.items():
        for name, gradient in layers.get(moment, {}).items():
            if gradient.cosine is not None:
                found = (gradient.cosine, metric)
                lowest[name] = min(lowest.get(name, found), found, key=lambda each: each[0])
    return lowest


def has_exact_gradient(method: str) -> bool:
    """Whether the method computes the gradient of plain training, except for rounding.

    A method that this version does not know, from a newer run, counts as inexact.
    """
    known = registry.methods()
    return all(part in known and known[part].exact for part in composition.names(method))


def has_exact_updates(cell: Cell) -> bool:
    """Whether a cell updates the weights as plain training does, except for rounding.

    With slices of a batch, batch-norm must be frozen: each slice has its own statistics.
    """
    sliced = "microbatch" in composition.names(cell.method)
    return has_exact_gradient(cell.method) and (cell.train.freeze_bn or not sliced)


def cosine_text(value: float, limit: float | None = None) -> str:
    """A cosine with two decimals. It is never rounded up to 1, nor from below a limit to it.

    Just below 1 it is `>0.99`. Near the limit it has more decimals.
    """
    if limit is None or value >= limit:
        return ">0.99" if 0.995 <= value < 1 else f"{value:.2f}"
    text = f"{min(value, 0.99):.2f}" if 0.99 < value < 1 else f"{value:.2f}"
    if float(text) < limit:
        return text
    longer = (f"{value:.{places}f}" for places in range(3, 17))
    return next((each for each in longer if float(each) < limit), repr(value))
