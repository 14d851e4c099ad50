"""The answer to a shell that completes a line: one name on each line, and never an error.

The scripts of `bench completion` set these variables: `_BENCH_COMPLETE`, the name of the shell;
`_BENCH_LINE`, the line up to the cursor; and `_BENCH_WORD`, what bash replaces by a name.
"""

import contextlib
import io
import os
import re
import shlex
from typing import NoReturn

import typer

SHELL = "_BENCH_COMPLETE"
_TO_ESCAPE = re.compile(r"([^\w./:=@%+,\-])")  # characters with a meaning in a shell


def answer() -> NoReturn:
    """Print the names that may stand at the cursor, and exit. If anything goes wrong: none."""
    printed = ""
    with (
        contextlib.suppress(BaseException),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        line, word = os.environ.get("_BENCH_LINE", ""), os.environ.get("_BENCH_WORD")
        printed = "".join(f"{each}\n" for each in _names(os.environ[SHELL], line, word))
    with contextlib.suppress(OSError):
        os.write(1, printed.encode("utf-8", "replace"))
    os._exit(0)


def _names(shell: str, line: str, word: str | None) -> list[str]:
    *before, incomplete = _words(line)
    found = [name for name in _found(before[1:], incomplete) if name.isprintable()]
    option, equals, _ = incomplete.partition("=")
    of_option = f"{option}=" if equals and option.startswith("--") else ""
    match shell:
        case "bash":
            return [_for_bash(f"{of_option}{name}", line, word or "") for name in found]
        case "fish":
            return [f"{of_option}{name}" for name in found]
    return found


def _found(before: list[str], incomplete: str) -> list[str]:
    """The names that the commands offer at this place."""
    from typer._click.shell_completion import ShellComplete

    from ondevice_bench.cli.app import app

    tree = typer.main.get_command(app)
    # the base class has no instances, because it does not know how a shell reads the answer
    abstract = dict.fromkeys(ShellComplete.__abstractmethods__)
    completer = type("Tree", (ShellComplete,), abstract)(tree, {}, "bench", SHELL)
    items = completer.get_completions(before, incomplete)
    return [item.value for item in items if item.type == "plain"]


def _words(line: str) -> list[str]:
    """The words of the line, as the shell reads them. The last one may have an open quote."""
    for end in ("", "'", '"', "\\"):
        with contextlib.suppress(ValueError):
            words = shlex.split(f"{line}{end}")
            return words if _raw_word(line) else [*words, ""]
    return [""]


def _raw_word(line: str) -> str:
    """The last word as it was typed, with its quotes."""
    match = re.search(r"""(?:\\.|'[^']*(?:'|$)|"(?:\\.|[^"\\])*(?:"|$)|[^\s'"\\])*\\?$""", line)
    return match[0] if match else ""


def _for_bash(name: str, line: str, word: str) -> str:
    """The text that replaces `word` in bash: the part of the name after the last `:` or `=`."""
    raw = _raw_word(line)
    if raw[:1] in ("'", '"'):
        return name
    typed = _words(raw.removesuffix(word))[0] if raw.endswith(word) else ""
    return _TO_ESCAPE.sub(r"\\\1", name.removeprefix(typed))
