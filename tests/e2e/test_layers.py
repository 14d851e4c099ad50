"""A single layer through the real command: measured, accounted for, fitted and shown."""

import pytest

LAYER = "conv2d(4, 4, 3, padding=1) at 8x8"
ELEMENTS = 2 * 4 * 8 * 8  # of the input, and of the output
SUITE = f"""\
schema: 1
title: One layer
models: ["{LAYER}": {{batch: 2}}]
methods: [vanilla, gradient_filter]
measure: [trace, treated_layers]
time: {{min_samples: 2, max_samples: 2, warmup: 1, max_seconds: 1}}
"""


@pytest.fixture(scope="module")
def measured(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    (folder / "kernels.yaml").write_text(SUITE)
    ended = command.run(("run", "kernels.yaml"), folder)
    assert ended.code == 0, ended.err
    return folder, ended


def test_a_run_times_the_layer_with_and_without_the_method(measured, bench):
    folder, ended = measured
    assert ended.out.splitlines()[0] == f"{LAYER}, batch 2, seed 0"
    cells = bench("report", "kernels", "--json", cwd=folder).json()["cells"]
    assert [cell["cell"] for cell in cells] == [
        f"{LAYER}/vanilla/all/b2/s0",
        f"{LAYER}/gradient_filter/all/b2/s0",
    ]
    for cell in cells:
        parts = [f"treated_layers_{part}seconds" for part in ("", "forward_", "backward_")]
        whole, forward, backward = (cell["metrics"][name]["estimate"] for name in parts)
        assert whole > max(forward, backward) > 0
    assert "chosen layers, backward" in (folder / "bench-out/kernels/report.html").read_text()


def test_the_other_commands_take_it_as_a_model(bench):
    account = bench("account", "--model", LAYER, "--batch", "2", "--method", "vanilla", "--json")
    assert account.code == 0, account.err
    assert account.json()["activation_mib"] == ELEMENTS * 4 / 2**20
    shown = bench("show", "model", LAYER, "--json")
    assert shown.json()["model"] == LAYER
    planned = bench("plan", "--model", LAYER, "--batch", "2", "--json").json()
    assert planned["cells"][0]["vanilla_activation_bytes"] == ELEMENTS * 4
    fits = bench(
        "fit",
        "--model",
        f"{LAYER},linear(4, 4) at 3",
        "--board",
        "pi5-2gb",
        "--method",
        "vanilla",
        "--json",
    )
    assert fits.code == 0, fits.err


def test_a_typo_is_one_line(bench):
    ended = bench("run", "--model", "conv2d(4, 4) at 8x8")
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert line.endswith("for example `conv2d(128, 128, 3, padding=1) at 120x160`")
