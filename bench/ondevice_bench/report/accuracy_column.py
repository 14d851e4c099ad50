"""The accuracy of each trained cell, as a column of the decision table."""

from collections.abc import Sequence
from dataclasses import replace

from ondevice_bench.analyse.kept_accuracy import FINAL, MethodAccuracy, points
from ondevice_bench.report.accuracy_sentences import percent, range_text
from ondevice_bench.report.quantities import Quantity, quantity_of


def accuracy_quantities(found: Sequence[MethodAccuracy]) -> dict[str, Quantity]:
    """The accuracy of each trained cell and its distance from the baseline, over all seeds."""
    return {cell.id: _quantity(one) for one in found for cell in one.line.cells}


def _quantity(one: MethodAccuracy) -> Quantity:
    final = one.line.estimates.get(FINAL)
    if final is None:
        return replace(quantity_of(one.line, FINAL), interval=one.divergence)
    meaning = f"accuracy on the test examples after the last epoch; {final.basis}"
    if one.difference is None:
        return Quantity(percent(final.estimate), one.divergence, meaning, final.estimate)
    against = f"{points(one.difference.estimate)} points{range_text(one.difference, points)}"
    if len(one.line.cells) > 1:  # the median of differences is not the difference of the medians
        against = f"seed by seed: {against}"
    meaning += f"; points above the baseline with the same seed: {one.difference.basis}"
    words = "; ".join(filter(None, [against, one.divergence]))
    return Quantity(percent(final.estimate), words, meaning, final.estimate)
