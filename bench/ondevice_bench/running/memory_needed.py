"""How much memory a suite needs at least on this machine."""

from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.preview import plain_steps
from ondevice_bench.running.request import request
from ondevice_bench.suite.suite import Suite


def memory_needed(host: Host, suite: Suite) -> int | None:
    """The bytes of all tensors at the peak of the suite's largest step of plain training."""
    steps = plain_steps(host, suite, request(host, suite, "").planned)
    peaks = (step.peak_bytes for step in steps.values())
    return max((peak for peak in peaks if peak is not None), default=None)
