"""Declarations (suites, profiles, report layouts): their folders and their reader."""
