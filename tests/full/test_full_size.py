"""Every network at its full size: two steps under every method that applies, below 8 GB."""

import pytest

from ondevice_bench.specs import registry

GIGABYTE = 10**9
SMALLER = {"tinyllama": "batch: 1, layers: 2"}  # 22 layers alone take 4.4 GB
BATCHES = {"vit_b_32": "batch: 8", "swin_t": "batch: 4"}

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(4 * 3600)]


@pytest.mark.parametrize("model", list(registry.models()))
def test_two_steps_under_every_method(model, bench, suite_file):
    options = SMALLER.get(model) or BATCHES.get(model, "batch: 2")
    # the memory pass trains twice: a step that warms up, and one that is measured
    suite_file(
        "schema: 1\n"
        "title: Full size\n"
        f"models: [{model}: {{{options}}}]\n"
        "methods: [vanilla, gradient_filter, checkpoint, saved_bf16, lora, microbatch,\n"
        "          bias_only, lora_fa,\n"
        "          svd: {fraction: 0.125}, hosvd: {fraction: 0.125}, asi: {fraction: 0.125},\n"
        "          wsi: {fraction: 0.125}, wasi: {fraction: 0.125},\n"
        "          lance: {fraction: 0.125}, wsi_svd: {fraction: 0.125}, lbp_wht]\n"
        "measure: memory\nrounds: 1\n"
        "timeout: 1h\n",
        "full",
    )
    ended = bench("run", "full", "--json", timeout=4 * 3600)
    assert ended.code == 0, ended.err
    cells = ended.json()["cells"]
    assert {cell["status"] for cell in cells} <= {"ok", "skipped"}
    assert {cell["status"] for cell in cells if "/vanilla/" in cell["cell"]} == {"ok"}
    for cell in cells:
        if cell["status"] == "ok":
            peak = cell["metrics"]["peak_rss_bytes"]["estimate"]
            assert peak < 8 * GIGABYTE, (cell["cell"], peak)
