"""The command `bench`: each verb parses, calls, prints."""

from ondevice_bench.cli.entry import main

__all__ = ["main"]
