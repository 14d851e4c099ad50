"""Real weights in a file of the user's and a small real data set decide a claim that waits."""

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ondevice_bench.specs import registry

CLAIMS = """\
schema: 1
title: Mine
papers:
  mine: {title: A paper of mine}
claims:
  - id: mine-lite
    paper: mine
    says: a fifth of the activation memory, with trained weights on digits
    published: "5"
    reach: over
    computed: accounted
    quantity: activation
    ratio_of: vanilla
    scope: accounted, four layers
    measured: [activation_bytes]
    of:
      model: efficientnet_lite0
      method: hosvd
      layers: {last: 4}
      batch: 8
      weights: pretrained
      data: handwriting
      model_options: {image_size: 64, classes: 10}
      method_options: {epsilon: 0.8}
"""


def test_real_weights_and_real_pictures_decide_a_claim(bench, workplace):
    path = registry.model("efficientnet_lite0").pretrained.path()
    if path is None:
        pytest.skip("its weights are not installed (tox -e oracle)")
    (workplace / "lite0.pth").symlink_to(path)
    (workplace / "mine.yaml").write_text(CLAIMS)
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images[:60], digits.target, strict=False)):
        folder = workplace / "pictures" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype("uint8")).save(folder / f"{number}.png")
    said = ("claims", "--claims", "mine.yaml", "--paper", "mine")
    given = ("--weights", "efficientnet_lite0=lite0.pth", "--data", "handwriting:pictures")
    (before,) = bench(*said, "--json").json()["claims"]
    assert before["verdict"] == "not testable here"
    ended = bench(*said, *given, "--json")
    assert ended.code == 0, ended.err
    (after,) = ended.json()["claims"]
    (account,) = after["accounted"]
    (kept,) = after["measured"]
    assert account["differs"] == kept["differs"] == []
    assert account["published"] > 1
    assert kept["estimate"] > 1
    assert after["verdict"] != "not testable here"
