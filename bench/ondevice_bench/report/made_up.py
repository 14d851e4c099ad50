"""What the weights and the data of a run mean for its cosines."""

from collections.abc import Iterable

from ondevice_bench.suite.cell import Cell


def about_cosines(cells: Iterable[Cell]) -> str:
    """A sentence if the weights or the data are made up; empty if neither is."""
    chosen = list(cells)
    made_up = [
        *(["the weights are random"] if any(cell.weights == "random" for cell in chosen) else []),
        *(["the data are synthetic"] if any(map(_is_synthetic, chosen)) else []),
    ]
    if not made_up:
        return ""
    here = (
        f"{' and '.join(made_up)} here: the cosines of a trained network on real data may differ."
    )
    return here[0].upper() + here[1:]


def _is_synthetic(cell: Cell) -> bool:
    return cell.data.partition("(")[0] == "synthetic"
