"""`bench completion`: what a shell needs to complete names."""

from typing import Annotated

import typer

from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.terminal import print_lines

# if the variable is set, the command prints names and does nothing else: see `cli/completing.py`.
# No shell evaluates these names, so names from foreign files are harmless
_BASH = """\
_bench_completion() {
    mapfile -t COMPREPLY < <(
        _BENCH_COMPLETE=bash _BENCH_LINE="${COMP_LINE:0:COMP_POINT}" _BENCH_WORD="$2" \\
            "$1" 2>/dev/null </dev/null
    )
}
complete -o default -F _bench_completion bench
"""
_ZSH = """\
#compdef bench
_bench() {
    local -a found
    found=("${(@f)$(_BENCH_COMPLETE=zsh _BENCH_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" \\
        "${words[1]}" 2>/dev/null </dev/null)}")
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    if [[ -n ${found[1]} ]]; then compadd -- "${found[@]}"; else _files; fi
}
# zsh loads a file of its fpath as the body of the function
if [[ ${funcstack[1]} == _bench ]]; then _bench; else compdef _bench bench; fi
"""
_FISH = """\
function __bench_completion
    set -l found (_BENCH_COMPLETE=fish _BENCH_LINE=(commandline -cp | string collect) \\
        bench 2>/dev/null </dev/null)
    if test -n "$found"
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c bench -f -a '(__bench_completion)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="SHELL", help="bash, zsh or fish.", autocompletion=lambda: list(SCRIPTS)
        ),
    ],
) -> None:
    """Print the script that lets a shell complete commands, suites, models, methods and cells."""
    if shell not in SCRIPTS:
        raise BadInput(unknown("shell", shell, SCRIPTS))
    print_lines(SCRIPTS[shell].rstrip("\n"))
