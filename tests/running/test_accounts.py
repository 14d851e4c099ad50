"""Accounts of many cells: one question for all that need no code of the user."""

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.protocol.job import Job, PassResult, Reply
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.hosts.host import NoAnswer
from ondevice_bench.running.queries.accounts import accounts_of
from ondevice_bench.suite.from_flags import Words

METHOD = """\
from ondevice_bench.methods.method import Method

class Mine(Method):
    pass
"""


def made(job):
    """An account that tells its cell; LoRA fails."""
    if job.cell.method == "lora":
        return Reply("failed", reason="no such thing")
    return Reply(
        "ok", result=PassResult({"activation_bytes": 1.0}, details={"of": job.cell.method})
    )


def answered(_, request):
    return {"reply": made(Job.from_text(request["job"])).to_text()}


def words(model, method, *options, layers="all"):
    return Words([model], methods=[method], options=options, layers=[layers], batches=[1])


def test_one_process_makes_the_accounts_that_need_no_code_of_the_user(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    (workplace / "mine.py").write_text(METHOD)
    host = FakeHost(made, answered)
    ranks = {"blocks.0": {"activation": [1, 2], "weight": None}}
    found = accounts_of(
        host,
        [
            (words("resnet18", "vanilla"), None),
            (words("resnet18", "asi", "rank=2"), ranks),
            (words("resnet18", "./mine.py:Mine"), None),
            (words("resnet18", "lora"), None),
            (words("resnet18", "lora", layers="mlp"), None),
        ],
    )
    assert host.questions == ["account"]
    (own,) = host.jobs
    assert own.cell.method.startswith("mine.py:Mine@")
    assert [each["of"] for each in found[:2]] == ["vanilla", "asi"]
    assert found[2]["activation_bytes"] == 1.0
    assert [str(each) for each in found[3:]] == [
        "lora on resnet18: no such thing",
        "resnet18 declares no mlp",
    ]


def test_a_process_that_does_not_answer_is_one_line(workplace):
    def silent(question, request):
        raise NoAnswer("gave no answer: killed by SIGKILL")

    with pytest.raises(BadInput, match=r"^the code for accounts gave no answer: killed by SIGKILL"):
        accounts_of(FakeHost(made, silent), [(words("resnet18", "vanilla"), None)])
