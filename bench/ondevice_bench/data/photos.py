"""Random crops of the two photographs of scikit-learn, with the statistics of natural images."""

import numpy

from ondevice_bench.data import images
from ondevice_bench.data.split import Arrays, Draw
from ondevice_bench.data.synthetic import labels
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.inputs import Images, Inputs

LEAST_SIDE = 0.25  # of the photograph's shorter side


def photos(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Square crops of random size and place, half of them mirrored.

    Labels are uniform, because the photographs have no labels. A label for each pixel is its
    brightness, in as many levels as there are classes.
    """
    from PIL import Image
    from sklearn.datasets import load_sample_images

    assert isinstance(inputs, Images)
    originals = [Image.fromarray(array) for array in load_sample_images().images]
    crops, generator = [], draw.generator
    for _ in range(draw.size):
        original = originals[generator.integers(len(originals))]
        side = min(original.size) * generator.uniform(LEAST_SIDE, 1)
        left, top = (generator.uniform(0, length - side) for length in original.size)
        crop = images.picture(original, inputs.size, (left, top, left + side, top + side))
        crops.append(crop[:, ::-1] if generator.random() < 0.5 else crop)
    pictures = numpy.stack(crops)
    if inputs.dense:
        levels = (pictures.mean(-1) * inputs.classes).astype(numpy.int64)
        targets = levels.clip(0, inputs.classes - 1)
    else:
        targets = labels(inputs, draw)
    return {"inputs": images.normalised(pictures, inputs), "targets": targets}
