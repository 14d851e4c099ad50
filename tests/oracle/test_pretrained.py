"""Real weights from two packages; without them these tests are skipped, and nothing is fetched."""

from dataclasses import replace

import numpy
import pytest
import torch

from ondevice_bench.data.batch import make
from ondevice_bench.models import loading
from ondevice_bench.models.families import family
from ondevice_bench.specs import registry
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.inputs import IMAGENET
from ondevice_bench.suite.from_flags import Words


@pytest.fixture(params=["efficientnet_lite0", "minilm"])
def trained(request):
    """The name of a network, and the file of its weights."""
    pretrained = registry.model(request.param).pretrained
    path = pretrained.path()
    if path is None:
        pytest.skip(f"{pretrained.distribution} is not installed (tox -e oracle)")
    return request.param, path


def constructed(name, **options):
    spec = registry.model(name)
    module = family(spec.implementation)
    given = {option.name: option.default for option in spec.options}
    model = module.construct(**{**given, **options})
    module.initialise(model, 0)
    return model, spec


def test_all_tensors_find_their_place(trained):
    name, path = trained
    model, spec = constructed(name)
    loaded = loading.load(model, path, spec.layout.heads)
    if name == "efficientnet_lite0":
        assert (loaded.loaded, loaded.new, loaded.unused) == (296, (), ())
    else:
        assert loaded.new == ("classifier.weight", "classifier.bias")
        assert loaded.unused in {(), ("embeddings.position_ids",)}
        assert loaded.loaded == 104 - len(loaded.unused)


@pytest.fixture
def efficientnet():
    """The network with its trained weights, and the images that it takes."""
    pretrained = registry.model("efficientnet_lite0").pretrained
    if pretrained.path() is None:
        pytest.skip("its weights are not installed (tox -e oracle)")
    model, spec = constructed("efficientnet_lite0")
    loading.load(model, pretrained.path(), spec.layout.heads)
    return model, spec.inputs({option.name: option.default for option in spec.options})


def test_efficientnet_knows_a_flower_from_a_temple(efficientnet):
    from PIL import Image
    from sklearn.datasets import load_sample_images

    from ondevice_bench.data import images

    model, inputs = efficientnet
    pictures = [Image.fromarray(array) for array in load_sample_images().images]
    crops = [images.picture(p, 224, (106.0, 0.0, 106.0 + 427, 427.0)) for p in pictures]
    batch = torch.from_numpy(images.normalised(numpy.stack(crops), inputs))
    with torch.no_grad():
        scores = model.eval()(batch).softmax(-1)
    temples = {442, 663, 698}  # ImageNet's bell cote, monastery and palace
    daisy = 985
    assert set(scores[0].topk(2).indices.tolist()) <= temples
    assert scores[1].argmax() == daisy


def test_images_are_scaled_as_those_that_the_weights_were_trained_on(efficientnet):
    """The stem's outputs have the variances that its batch-norm has seen."""
    model, inputs = efficientnet

    def far(inputs):
        batch = make(DataSource("photos"), inputs, 16, "batch 0")
        seen = model._bn0.running_var
        with torch.no_grad():
            found = model._conv_stem(torch.from_numpy(batch["inputs"])).var((0, 2, 3))
        return (found / seen).log().abs().median().item()

    mean, deviation = IMAGENET
    assert far(inputs) < 0.5
    assert far(replace(inputs, mean=mean, deviation=deviation)) > 1


def test_trained_weights_have_the_spectrum_that_random_ones_lack(bench):
    pretrained = registry.model("efficientnet_lite0").pretrained
    if pretrained.path() is None:
        pytest.skip("its weights are not installed (tox -e oracle)")
    ended = bench(
        "show", "spectrum", "efficientnet_lite0", "--batch", "2", "--option", "image_size=64",
        "--weights", "pretrained", "--weights", "random", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    found = ended.json()
    at = [found["epsilons"].index(epsilon) for epsilon in (0.4, 0.6, 0.8, 0.9)]

    def ranks(kind):
        row = found["weights"][kind]["_blocks.10._project_conv"]["weight"]["ranks"]
        return [row[index] for index in at]

    assert ranks("pretrained") == [22, 40, 65, 83]
    assert all(r > t for r, t in zip(ranks("random"), ranks("pretrained"), strict=True))


def test_a_cell_trains_from_pretrained_weights(bench, trained):
    name, _ = trained
    size = "image_size=64" if name == "efficientnet_lite0" else "length=16"
    ended = bench(
        "run", "--model", name, "--weights", "pretrained", "--option", size, "--method", "asi",
        "--epsilon", "0.8", "--layers", "last: 4", "--batch", "2", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert [cell["status"] for cell in ended.json()["cells"]] == ["ok"]


CLAIMS = """\
schema: 1
title: Real weights
papers:
  mine: {title: Real weights and real pictures}
claims:
  - id: less
    paper: mine
    says: over 5 times less activation memory
    published: "5"
    reach: over
    computed: accounted
    quantity: activation
    ratio_of: vanilla
    scope: accounted, four layers
    measured: [activation_bytes]
    of:
      model: efficientnet_lite0
      model_options: {image_size: 64}
      method: asi
      layers: {last: 4}
      batch: 4
      weights: pretrained
      data: handwriting
      method_options: {epsilon: 0.8}
"""


def test_a_users_real_weights_and_pictures_decide_a_claim(bench, workplace):
    file = registry.model("efficientnet_lite0").pretrained.path()
    if file is None:
        pytest.skip("its weights are not installed (tox -e oracle)")
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number in range(20):
        folder = workplace / "pictures" / str(digits.target[number])
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((digits.images[number] * 15).astype("uint8"))
        picture.save(folder / f"{number}.png")
    (workplace / "own.yaml").write_text(CLAIMS)
    ended = bench(
        "claims", "--claims", "own.yaml", "--paper", "mine", "--weights",
        f"efficientnet_lite0={file}", "--data", "handwriting:pictures", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (claim,) = ended.json()["claims"]
    # the last four layers keep little, but normalisation and activation functions keep as much
    assert claim["verdict"] == "reproduced as accounted, not as measured"
    (measured,) = claim["measured"]
    assert measured["differs"] == []
    assert "of normalisation" in measured["anatomy"]


def test_suites_say_pretrained():
    assert Words(["minilm"], weights="pretrained").suite().weights.name == "pretrained"
