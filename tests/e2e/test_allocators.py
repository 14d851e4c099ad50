"""What a user sees of allocators before anything is measured."""

SUITE = """\
schema: 1
title: Allocators
models: [mcunet]
methods: [vanilla]
allocator: [glibc, jemalloc]
"""


def test_an_allocator_that_cannot_be_had_is_skipped_in_the_plan_with_the_cure(
    bench, workplace, monkeypatch
):
    (workplace / "mine.yaml").write_text(SUITE)
    monkeypatch.setenv("LD_PRELOAD", "/none/libtcmalloc.so.4")
    ended = bench("plan", "./mine.yaml", "--json")
    assert [each["cell"] for each in ended.json()["cells"]] == [
        "mcunet/vanilla/all/b8/glibc/s0",
        "mcunet/vanilla/all/b8/jemalloc/s0",
    ]
    assert {each["state"] for each in ended.json()["cells"]} == {"skipped"}
    another = (
        "LD_PRELOAD of your environment has an allocator already (/none/libtcmalloc.so.4), so a "
        "process cannot have jemalloc: unset LD_PRELOAD, or name no allocator"
    )
    missing = "jemalloc is not installed here: sudo apt-get install libjemalloc2"
    assert ended.json()["cells"][1]["reason"] in {another, missing}
    ended = bench("run", "./mine.yaml")
    assert ended.code == 6
    assert "nothing to measure" in ended.err
