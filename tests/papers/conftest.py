"""What tests of claims share."""

from tests.analyse.conftest import summary_of  # noqa: F401  # a fixture
