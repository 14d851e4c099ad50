"""Cuts a sequence into pieces, each with one level: least squares, and a penalty for each piece."""

from collections.abc import Sequence


def best_cuts(values: Sequence[float], penalty: float) -> list[int]:
    """The place where each piece after the first begins.

    The cuts give the smallest sum of two parts: the squared distances of the values from the mean
    of their piece, and the penalty for each piece.

    `sums[end]` is the smallest sum for the values before `end`. `last[end]` is the place where the
    last piece of that sum begins. A place is given up once it can never be the best again.
    """
    if min(values) == max(values):
        return []
    import numpy

    signal = numpy.array(values)
    count = len(signal)
    squares = numpy.concatenate(([0.0], numpy.cumsum(signal * signal)))
    products = numpy.zeros(count)  # by place: all products of two values from there to the end
    places = numpy.arange(count)
    sums, last = numpy.zeros(count + 1), [0] * (count + 1)
    first = 0
    for end in range(1, count + 1):
        latest = signal[end - 1]
        with_latest = numpy.cumsum((signal[first:end] * latest)[::-1])[::-1]
        products[first:end] += 2 * with_latest - latest * latest
        distances = squares[end] - squares[first:end]
        distances -= products[first:end] / (end - places[first:end])
        distances += sums[first:end]
        best = int(distances.argmin())
        sums[end] = distances[best] + penalty
        last[end] = first + best
        while first < end and distances[first - end] >= sums[end]:
            first += 1
    cuts, end = [], count
    while end := last[end]:
        cuts.append(end)
    return cuts[::-1]
