"""Answers to questions that need the user's code, or torch."""

import importlib
from typing import Any

from ondevice_bench.protocol.questions import Questions

# by kind: the module and the function that answer
ANSWERS = {
    "describe": ("ondevice_bench.worker.describe", "describe"),
    "mixes": ("ondevice_bench.worker.mixes", "unmatched"),
    "batch": ("ondevice_bench.worker.describe", "batch"),
    "account": ("ondevice_bench.papers.counting.account_pass", "answer"),
    "conformance": ("ondevice_bench.methods.conformance", "check_request"),
}


def answers(questions: Questions) -> list[dict[str, Any]]:
    """An answer to each request, or the reason why there is none as `error`."""
    module, function = ANSWERS[questions.kind]
    answer = getattr(importlib.import_module(module), function)
    found: list[dict[str, Any]] = []
    for request in questions.requests:
        try:
            found.append(answer(request))
        except (ValueError, OSError) as error:
            found.append({"error": str(error)})
    return found
