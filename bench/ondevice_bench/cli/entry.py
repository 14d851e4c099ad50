"""The entry point of the command: runs it and turns every ending into an exit code."""

import gc
import shlex
import sys
import tempfile
import traceback
from typing import NoReturn

import typer

import ondevice_bench
from ondevice_bench import terminal
from ondevice_bench.cli.app import app
from ondevice_bench.cli.stopping import stopped_by_signals
from ondevice_bench.errors import BenchError, ExitCode, of_the_system

NO_MEMORY = "memory ran out: close other programs, or raise the limit (`ulimit -v`)"
# results are millions of values without cycles: by default a fifth of a page's time goes to garbage
COLLECT = (100_000, 50, 100)


def run_and_exit() -> NoReturn:
    """Run the command and exit. Tracebacks are shown only with `--debug`."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    terminal.open_streams()
    gc.set_threshold(*COLLECT)
    signals: list[int] = []
    try:
        with stopped_by_signals() as signals:
            code = _invoke(arguments)
        terminal.flush()
    except (KeyboardInterrupt, Exception) as error:
        lines, code = _ending(error, is_stopped=bool(signals))
        terminal.print_errors(*_traceback(debug=debug), *lines)
    else:
        if signals:  # the verb has ended with the code of a failure
            terminal.print_errors("interrupted")
            code = ExitCode.INTERRUPTED
    sys.exit(int(code))


def _ending(error: BaseException, *, is_stopped: bool) -> tuple[tuple[str, ...], ExitCode]:
    """What an error says, and its exit code.

    Where a signal stopped the command, some code takes the interrupt for a failure of its own.
    """
    if isinstance(error, BenchError) and (
        not is_stopped or error.exit_code is ExitCode.INTERRUPTED
    ):
        return error.lines, error.exit_code
    if is_stopped or isinstance(error, KeyboardInterrupt):
        return ("interrupted",), ExitCode.INTERRUPTED
    if isinstance(error, MemoryError):
        return (NO_MEMORY,), ExitCode.BAD_INPUT
    if outside := of_the_system(error):
        return outside.lines, outside.exit_code
    return (f"internal error: {_summary(error)}{_saved_details()}",), ExitCode.BUG


def _invoke(arguments: list[str]) -> int:
    try:
        return int(app(arguments, standalone_mode=False) or 0)
    except typer.TyperException as error:
        formatter = getattr(error, "format_message", None)
        message = " ".join((formatter() if formatter is not None else str(error)).split())
        message = message.replace("Value error, ", "")  # pydantic's words before those of typer
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "bench"
        terminal.print_errors(f"{message} (see `{command} --help`)")
        return ExitCode.BAD_INPUT
    except OSError:
        terminal.flush()  # says so if it was the help that could not be written
        raise


def _traceback(*, debug: bool) -> list[str]:
    return traceback.format_exc().splitlines() if debug else []


def _summary(error: BaseException) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}".rstrip(": ")


def _saved_details() -> str:
    """Save the traceback to a file; the end of the message that names it."""
    text = f"{shlex.join(sys.argv)}\nbench {ondevice_bench.__version__}, Python {sys.version}\n\n"
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="bench-error-",
            suffix=".txt",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as file:
            file.write(text + traceback.format_exc())
    except OSError:
        return "; run again with --debug for details"
    return f"; details are in {file.name}"
