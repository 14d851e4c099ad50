"""Fixtures of the tests of workers."""

from tests.workers import (  # noqa: F401  # fixtures
    environment,
    make_job,
    odd_folder,
    odd_job,
    spawner,
    zygote,
)
