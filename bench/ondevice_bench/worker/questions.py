"""A process that answers requests which need the user's code: `questions NAME`.

The process reads a list of requests as JSON and prints a list of answers as JSON.
"""

import contextlib
import importlib
import json
import os
import sys
from typing import Any

from ondevice_bench.worker import runtime

# by name: the module and the function that answer
ANSWERS = {
    "describe": ("ondevice_bench.worker.describe", "describe"),
    "mixes": ("ondevice_bench.worker.mixes", "unmatched"),
    "batch": ("ondevice_bench.worker.describe", "batch"),
    "account": ("ondevice_bench.papers.counting.account_pass", "answer"),
    "conformance": ("ondevice_bench.methods.conformance", "check_request"),
}


def main() -> None:
    """Answer the requests, and exit without exit handlers: the user's code may print in them.

    Output of the user's code goes to standard error, whatever prints it.
    """
    runtime.die_with_parent(os.getppid())
    runtime.adopt_orphans()
    module, function = ANSWERS[sys.argv[1]]
    answers: list[dict[str, Any]] = []
    with open(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            answer = getattr(importlib.import_module(module), function)
            for request in json.load(sys.stdin):
                try:
                    answers.append(answer(request))
                except (ValueError, OSError) as error:
                    answers.append({"error": str(error)})
        output.write(json.dumps(answers) + "\n")
    with contextlib.suppress(Exception):  # the user's code may have closed or replaced it
        sys.stderr.flush()
    runtime.end_children()
    os._exit(0)


if __name__ == "__main__":
    main()
