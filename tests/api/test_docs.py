"""The examples of docs/api.md that measure: they run as they stand, one after the other."""

import re

from ondevice_bench.protocol.job import PassResult, Reply
from tests.api.conftest import well
from tests.conftest import ROOT

SECTION = "\n## Run and compare\n"


def test_the_examples_of_the_page_run_as_they_stand(answered, workplace, capsys):
    found = {"activation_bytes": 100.0, "step_seconds": 1.0}
    reply = Reply("ok", result=PassResult(metrics=found))
    answered(lambda job: well(job) if job.pass_name == "shapes" else reply)
    text = (ROOT / "docs/api.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["steps"].tolist() == [1.0] * 3
    out = capsys.readouterr().out
    assert "report: bench-out/mine/report.html" in out
    assert "Not worse" in out
