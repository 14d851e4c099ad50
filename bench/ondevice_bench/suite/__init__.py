"""Suites: what the user declares, and the cells that come of it."""
