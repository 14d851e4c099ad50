"""Fixtures of the tests of sensors."""

from tests.board import pi  # noqa: F401  # a fixture
