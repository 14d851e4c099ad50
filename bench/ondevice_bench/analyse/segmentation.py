"""Cuts a sequence into pieces of one level each, by least squares with a penalty for each piece."""

from collections.abc import Sequence


def best_cuts(values: Sequence[float], penalty: float) -> list[int]:
    """The first places of all pieces but the first.

    Of all ways to cut the sequence, this one has the smallest sum: the squares of the distances
    from the means of the pieces, and the penalty for each piece.

    `sums[end]` is the smallest sum for the values before `end`, and `last[end]` the place where its
    last piece begins. This place only moves on once no earlier one can be the best again.
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
