"""Ordinary training: nothing is replaced."""

from ondevice_bench.methods.method import Method


class Vanilla(Method):
    """Leaves every layer as it is."""
