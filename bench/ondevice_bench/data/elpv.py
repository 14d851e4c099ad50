"""The 2,624 solar cells of the package elpv-dataset. Some of them have a defect.

The licence of these images, CC BY-NC-SA 4.0, forbids commercial use.
"""

from ondevice_bench.data.batch import NoBatch
from ondevice_bench.data.readers import batch_of_files
from ondevice_bench.data.split import Arrays, Draw
from ondevice_bench.specs.data import ELPV, DataSource
from ondevice_bench.specs.inputs import Inputs

DEFECT = 0.5  # the package gives a probability: from this value on, a cell counts as defect


def elpv(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Random cells. The label says whether a defect is more likely than not."""
    table = ELPV.path()
    assert table is not None  # the source has refused otherwise
    try:
        lines = [line.split() for line in table.read_text(encoding="utf-8").splitlines()]
        cells = [(table.parent / name, int(float(chance) > DEFECT)) for name, chance, _ in lines]
    except (OSError, ValueError) as error:
        raise NoBatch(f"{table}: is not a table of solar cells: {error}") from None
    return batch_of_files([cells[place] for place in draw.shuffled(len(cells))], inputs)
