"""The command `bench`. Each verb parses its arguments, calls, and prints."""

import os
import signal

TYPE_CHECKING = False  # `typing` takes longer to load than the rest of this file

if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Load the command and run it. Ctrl-C while it loads ends it at once: nothing has begun."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    if "_BENCH_COMPLETE" in os.environ:
        from ondevice_bench.cli import completing

        completing.answer()
    from ondevice_bench.cli import entry

    entry.run_and_exit()


def _end(*_: object) -> "NoReturn":
    # an exception would be lost in an import that takes any failure for a missing module
    os.write(2, b"bench: interrupted\n")
    os._exit(130)
