"""The command `bench`: each verb parses, calls, prints."""

from bench.cli.entry import main

__all__ = ["main"]
