"""Suites in which the user's own models have told what they take."""

from ondevice_bench.run.hosts.host import Host
from ondevice_bench.run.queries.user_models import describe
from ondevice_bench.suite.suite import Suite


def described(host: Host, suite: Suite) -> Suite:
    """The suite, after its models and those of its variants were described."""
    for each in (suite, *suite.variants.values()):
        describe(host, each)
    return suite
