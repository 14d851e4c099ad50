"""The user's own method that applies to no layer: its cell is skipped, not failed."""

from dataclasses import replace

import pytest

from ondevice_bench.worker.worker import perform


@pytest.mark.parametrize(
    ("raised", "status", "reason"),
    [
        ("Refusal", "skipped", "this network has no wings"),
        ("ValueError", "failed", "ValueError: this network has no wings (line 5 of mine.py)"),
        (
            "SystemExit",
            "failed",
            "the code ends the process: sys.exit('this network has no wings') (line 5 of mine.py)",
        ),
    ],
)
def test_a_refusal_of_a_users_method_skips_the_cell(tmp_path, make_job, raised, status, reason):
    file = tmp_path / "mine.py"
    file.write_text(
        "from ondevice_bench.methods import Method, Refusal\n\n"
        "class Mine(Method):\n"
        "    def wrap(self, model, layout):\n"
        f"        raise {raised}('this network has no wings')\n"
    )
    job = replace(make_job("shapes"), methods=((f"{file}:Mine", {}),))
    reply = perform(job)
    assert (reply.status, reply.reason) == (status, reason)


def test_a_class_without_a_base_fails_its_cell_with_one_line(tmp_path, make_job):
    file = tmp_path / "old.py"
    file.write_text("class Old:\n    def applies(self, layer): ...\n")
    reply = perform(replace(make_job("shapes"), methods=((f"{file}:Old", {}),)))
    assert reply.status == "failed"
    assert reply.reason.startswith(
        "ValueError: Old is not a training method: derive it from Method"
    )
    assert "\n" not in reply.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "import no_such_package\n",
            "cannot be loaded: ModuleNotFoundError: No module named 'no_such",
        ),
        ("class Mine(Method:\n", "cannot be loaded: SyntaxError: invalid syntax (mine.py, line 2)"),
        (
            "class Mine(Method):\n    def __init__(self):\n        raise TypeError('no')\n",
            "TypeError: no (line 4 of mine.py)",
        ),
    ],
)
def test_a_file_that_gives_no_method_fails_its_cell_with_the_line(tmp_path, make_job, text, reason):
    file = tmp_path / "mine.py"
    file.write_text(f"from ondevice_bench.methods import Method\n{text}")
    reply = perform(replace(make_job("shapes"), methods=((f"{file}:Mine", {}),)))
    assert reply.status == "failed"
    assert reply.reason.startswith(f"mine.py:Mine: {reason}")
