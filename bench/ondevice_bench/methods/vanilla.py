"""Ordinary training: nothing is replaced."""


class Vanilla:
    """Leaves every layer as it is."""
