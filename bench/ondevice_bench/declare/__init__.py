"""Declarations (suites, profiles, report layouts): where they lie and how they are read."""
