"""References from other libraries; where one is not installed its tests are skipped."""

import pytest

from ondevice_bench.errors import UserModelError
from ondevice_bench.models.user_models import torchvision_models, transformers_library


@pytest.fixture(scope="session")
def torchvision():
    """torchvision's networks."""
    try:
        return torchvision_models()
    except UserModelError as error:
        pytest.skip(f"{error} (tox -e oracle)")


@pytest.fixture(scope="session")
def transformers():
    """The library of that name."""
    try:
        return transformers_library()
    except UserModelError as error:
        pytest.skip(f"{error} (tox -e oracle)")
