"""The entry point of the command: runs it and turns every ending into an exit code."""

import os
import shlex
import sys
import tempfile
import traceback
from typing import NoReturn

import typer

import ondevice_bench
from ondevice_bench.cli.app import app
from ondevice_bench.cli.stopping import stop_cleanly_on_signals
from ondevice_bench.errors import BenchError, ExitCode


def main() -> NoReturn:
    """Run the command and exit. Tracebacks are shown only with `--debug`."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    stop_cleanly_on_signals()
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # nobody reads our output any more: exit without Python's own complaint
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.OK
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        code = ExitCode.INTERRUPTED
    except BenchError as error:
        if debug:
            traceback.print_exc()
        for line in error.lines:
            print(f"bench: {line}", file=sys.stderr)
        code = error.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"bench: internal error: {_summary(error)}{_saved_details()}", file=sys.stderr)
        code = ExitCode.BUG
    sys.exit(int(code))


def _invoke(arguments: list[str]) -> int:
    try:
        return int(app(arguments, standalone_mode=False) or 0)
    except typer.TyperException as error:
        formatter = getattr(error, "format_message", None)
        message = " ".join((formatter() if formatter is not None else str(error)).split())
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "bench"
        print(f"bench: {message} (see `{command} --help`)", file=sys.stderr)
        return ExitCode.BAD_INPUT


def _summary(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}".rstrip(": ")


def _saved_details() -> str:
    """Save the traceback to a file; the end of the message that names it."""
    text = f"{shlex.join(sys.argv)}\nbench {ondevice_bench.__version__}, Python {sys.version}\n\n"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="bench-error-", suffix=".txt", delete=False
        ) as file:
            file.write(text + traceback.format_exc())
    except OSError:
        return "; run again with --debug for details"
    return f"; details are in {file.name}"
