"""Fixtures of the tests of workers."""

from tests.board import pi  # noqa: F401  # a fixture
from tests.workers import (  # noqa: F401  # fixtures
    environment,
    make_job,
    odd_folder,
    odd_job,
    spawner,
    zygote,
)
