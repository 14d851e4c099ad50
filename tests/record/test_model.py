import pytest

from ondevice_bench.record.model import status_of
from tests.record.conftest import make_record


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"status": "fine"}, "no status: 'fine'"),
        ({"status": "failed"}, "needs a reason"),
        ({"status": "failed", "reason": "x", "metrics": {"a": 1.0}}, "has no metrics"),
        ({"number": 0}, "rounds count from 1"),
    ],
)
def test_a_record_that_contradicts_itself_cannot_be_made(what, says):
    with pytest.raises(ValueError, match=says):
        make_record(**what)


def test_statuses_are_a_closed_set():
    assert status_of("oom") == "oom"
    with pytest.raises(ValueError):
        status_of("OK")
