"""`compare` from Python: the same decision as the command."""

import json

import pytest

from ondevice_bench import Suite, compare, run
from ondevice_bench.errors import BadInput, ExitCode
from ondevice_bench.protocol.job import PassResult, Reply
from tests.api.conftest import KEYS, well


@pytest.fixture
def two(answered):
    """Two runs of one suite; the second one keeps 10 % more bytes."""
    runs = []
    for kept in (100.0, 110.0):
        reply = Reply("ok", result=PassResult(metrics={"activation_bytes": kept}))
        answered(lambda job, reply=reply: well(job) if job.pass_name == "shapes" else reply)
        runs.append(run(Suite(name="mine", **KEYS | {"measure": ["trace"]}), fresh=True))
    return runs


def test_a_comparison_has_its_verdict_first_in_every_form(two):
    found = compare(*two)
    assert found.verdict == "Worse: 2 metrics of 2 cells regressed"
    assert found.exit_code == ExitCode.REGRESSION
    assert str(found).startswith(found.verdict)
    html = found._repr_html_()
    assert html.index(found.verdict) < html.index("<table>")
    frame = found.frame
    assert frame[["metric", "base", "new", "verdict"]].drop_duplicates().values.tolist() == [
        ["activation_bytes", 100.0, 110.0, "regressed"]
    ]
    assert compare(two[1], two[0]).verdict == "Not worse: 2 improved"
    assert compare(*two, fail_on=()).exit_code == ExitCode.OK


def test_names_ids_and_baselines_are_runs_too(two, bench):
    assert bench("baseline", "save", "main", two[0].id).code == 0
    by_name = compare("baselines/main.json", "mine")
    assert by_name.frame.equals(compare(*two).frame)
    ended = bench("compare", two[0].id, "mine", "--json")
    assert ended.code == by_name.exit_code == 4
    told = json.loads(ended.out)["differences"]
    assert [each["verdict"] for each in told] == by_name.frame["verdict"].tolist()


def test_bad_input_is_one_exception(two):
    with pytest.raises(BadInput, match="no run, suite or store 'nobody'"):
        compare("nobody", two[0])
    with pytest.raises(BadInput, match="fail_on: unknown verdict 'slow'"):
        compare(*two, fail_on={"slow"})
    with pytest.raises(BadInput, match="no run, suite or store 'xxx"):
        compare("x" * 300, two[0])
    with pytest.raises(BadInput, match="fail_on: unknown verdict 'slow'"):
        compare(*two, fail_on="slow")
    with pytest.raises(BadInput, match=r"must be what `run` gave, or a name .*, got a RunSummary"):
        compare(two[0].summary, two[1])


def test_one_verdict_is_a_text(two):
    assert compare(*two, fail_on="regressed").exit_code == ExitCode.REGRESSION
    assert compare(*two, fail_on="inconclusive").exit_code == ExitCode.OK
