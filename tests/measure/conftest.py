"""Fixtures of the tests of measurements."""

from tests.board import pi  # noqa: F401  # a fixture
