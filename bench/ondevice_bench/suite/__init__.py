"""Suites: the declarations of the user, and the cells that they expand to."""
