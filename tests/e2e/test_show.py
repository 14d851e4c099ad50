"""`bench show`: what a network consists of, and the ranks of its weights and inputs."""

import pytest


def test_layers_add_up_to_the_network(bench):
    ended = bench("show", "model", "mcunet", "--batch", "4", "--json")
    assert ended.code == 0, ended.err
    found = ended.json()
    layers = {row["name"]: row for row in found["layers"]}
    assert found["parameters"] == 636_232
    assert found["batch"] == 4
    # stem: 16 maps of 48x48 from 3x3x3 places, two operations each
    assert layers["first_conv.conv"]["forward_flops"] == 4 * 16 * 48 * 48 * 27 * 2
    assert sum(row["forward_flops"] for row in layers.values()) == pytest.approx(
        4 * 2 * 12.79e6, rel=1e-3
    )
    total = sum(row["activation_bytes"] for row in layers.values()) + sum(found["others"].values())
    assert total == found["activation_bytes"]
    last = layers["blocks.13.mobile_inverted_conv.point_linear.conv"]
    assert last["chosen_by"] == ["all", "conv", "last:1", "last_blocks:1"]
    assert layers["classifier.linear"]["chosen_by"] == ["all"]
    shown = bench("show", "model", "mcunet")
    assert "chosen by: last: 3+ means last: 3, last: 4 and so on" in shown.out


def test_spectra_of_random_and_decaying_weights(bench):
    ended = bench(
        "show", "spectrum", "mcunet", "--option", "image_size=32", "--batch", "2",
        "--layer", "classifier*", "--weights", "random", "--weights", "spectrum:1",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "random: weights" in ended.out
    assert "spectrum(1): weights" in ended.out
    assert "weight 1000×160" in ended.out
    assert "on data synthetic, batch 2" in ended.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "model", "resnet81"), "unknown model 'resnet81'; did you mean 'resnet18'?"),
        (
            ("show", "model", "vit_b_32", "--option", "image_size=100"),
            "--model vit_b_32.image_size[0]: must be a multiple of 32 in [32, 2048], got 100",
        ),
        (
            ("show", "spectrum", "mcunet", "--weights", "pretrained"),
            "there are no pretrained ones for mcunet",
        ),
        (
            ("show", "spectrum", "minilm", "--data", "photos"),
            "photos gives images; the model takes",
        ),
        (
            ("run", "--model", "mcunet", "--option", "rdius=2"),
            "--option rdius: none of vanilla, mcu",
        ),
        (("run", "quick", "--model", "mcunet"), "name a suite, or describe one with --model"),
        (
            ("run", "quick", "--rank", "8"),
            "--rank: only with --model; a suite has this in its file",
        ),
        (("run", "--model", "mcunet", "--option", "x"), "--option x: must be NAME=VALUE"),
        (
            ("run", "--model", "./none.py:net"),
            "--model ./none.py:net: ./none.py: cannot be read: No such file",
        ),
        (
            ("run", "--model", "mcunet", "--weights", "x.pt"),
            "weights: x.pt: cannot be read: No such",
        ),
        (("run", "--model", "mcunet", "--data", "fotos"), "data: must be synthetic, {synthetic:"),
    ],
)
def test_bad_words_are_one_line(bench, arguments, says):
    ended = bench(*arguments)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("bench: ")
    assert says in line


def test_a_network_that_pools_to_one_place_needs_two_images(bench, suite_file):
    suite_file(
        "schema: 1\ntitle: t\nmodels: [deeplabv3: {batch: 1}]\nmethods: [vanilla]\n"
        "train: {freeze_bn: false}\n"
    )
    ended = bench("run", "tiny")
    assert ended.code == 6
    assert (
        "deeplabv3 pools an image to one place. If batch-norm trains (freeze_bn: false), "
        "a batch needs at least 2 images, got 1"
    ) in ended.err


def test_a_suite_of_words_is_kept_as_a_file_would_say_it(bench, workplace):
    ended = bench(
        "run", "--model", "mcunet", "--option", "image_size=32", "--method", "svd", "--rank", "2",
        "--batch", "2", "--data", "photos", "--weights", "spectrum: 0.5", "--layers", "last: 2",
        "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (cell,) = ended.json()["cells"]
    assert cell["cell"] == "mcunet(image_size=32)/svd(rank=2)/last:2/b2/s0"
    page = (workplace / "bench-out/mcunet/report.html").read_text()
    assert "photos" in page
    assert "spectrum(0.5)" in page
