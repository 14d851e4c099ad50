"""A process that answers requests which need the user's code: `questions NAME`.

The process reads a list of requests as JSON and prints a list of answers as JSON.
"""

import contextlib
import importlib
import json
import sys
from typing import Any

# by name: the module and the function that answer
ANSWERS = {
    "describe": ("ondevice_bench.worker.describe", "describe"),
    "batch": ("ondevice_bench.worker.describe", "batch"),
    "conformance": ("ondevice_bench.methods.conformance", "check_request"),
}


def main() -> None:
    """Answer the requests. Output of the user's code goes to standard error."""
    module, function = ANSWERS[sys.argv[1]]
    answers: list[dict[str, Any]] = []
    with contextlib.redirect_stdout(sys.stderr):
        answer = getattr(importlib.import_module(module), function)
        for request in json.load(sys.stdin):
            try:
                answers.append(answer(request))
            except (ValueError, OSError) as error:
                answers.append({"error": str(error)})
    print(json.dumps(answers))  # noqa: T201  # to the parent


if __name__ == "__main__":
    main()
