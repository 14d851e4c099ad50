"""Suites from texts."""

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.suite.load import load_suite


@pytest.fixture
def write(workplace):
    def to(name, text):
        path = workplace / "suites" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    return to


@pytest.fixture
def load(write):
    def read(text):
        write("x", text)
        return load_suite("x")

    return read


@pytest.fixture
def complaints(load):
    def of(text):
        with pytest.raises(BadInput) as caught:
            load(text)
        return [line.removeprefix("suites/x.yaml:") for line in caught.value.lines]

    return of
