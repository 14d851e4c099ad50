"""The command `bench`. Each verb parses its arguments, calls, and prints."""

from ondevice_bench.cli.entry import main

__all__ = ["main"]
