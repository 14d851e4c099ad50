"""Suites whose user models were described, and whose mixes were checked for their layers."""

from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.mixes import require_layers
from ondevice_bench.running.queries.user_models import describe
from ondevice_bench.suite.suite import Suite


def described(host: Host, suite: Suite) -> Suite:
    """The suite, after its models and mixes and those of its variants were looked at."""
    for each in (suite, *suite.variants.values()):
        describe(host, each)
        require_layers(host, each)
    return suite
