"""`bench export --format`: files for trackers."""

import json


def test_a_run_becomes_a_file_for_each_tracker(bench, tiny_run):
    for form in ("bmf", "github-action-benchmark"):
        ended = bench("export", "tiny", "--format", form, "-o", "out.json", cwd=tiny_run.folder)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines()[-1] == f"{form}: out.json"
        assert json.loads((tiny_run.folder / "out.json").read_text())
    row = bench(
        "export", "tiny", "--format", "bmf", "-o", "out.json", "--json", cwd=tiny_run.folder
    ).json()
    assert (row["format"], row["file"], row["left_out"]) == ("bmf", "out.json", [])


def test_bad_words_are_one_line_and_no_file(bench, tiny_run):
    wrong = bench("export", "tiny", "--format", "bfm", cwd=tiny_run.folder)
    known = "(known: bmf, bundle, github-action-benchmark)"
    assert wrong.code == 2
    assert wrong.err == f"bench: --format: unknown format 'bfm'; did you mean 'bmf'? {known}\n"
    two = bench("export", "tiny", "tiny", "--format", "bmf", "-o", "two.json", cwd=tiny_run.folder)
    assert (two.code, two.err) == (
        2,
        "bench: --format bmf: a tracker takes one run at a time, got 2\n",
    )
    assert not (tiny_run.folder / "two.json").exists()
