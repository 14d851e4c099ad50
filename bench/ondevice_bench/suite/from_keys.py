"""A suite without a file: its keys come from the command line, or from a Python object."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ondevice_bench.declare.document import parse
from ondevice_bench.errors import BadInput
from ondevice_bench.suite.load import suite_of
from ondevice_bench.suite.suite import Suite

# what JSON may have in a text and YAML may not
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def text_of(keys: Mapping[str, Any]) -> str:
    """The keys as the text of a suite file, one key on each line. JSON is nearly valid YAML."""
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in keys.items())
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", "".join(lines))


def suite_of_keys(source: str, keys: Mapping[str, Any], name: str) -> Suite:
    """The suite of these keys, checked by the schema of files. Messages begin with `source`.

    Paths are relative to the working directory.
    """
    try:
        suite = suite_of(parse(Path(source), text_of(keys)), name)
    except BadInput as error:
        raise BadInput(*(_without_number(source, line) for line in error.lines)) from None
    placed = (
        replace(method, places=tuple(_without_number(source, place) for place in method.places))
        for method in suite.methods
    )
    return replace(suite, methods=tuple(placed), places={})


def name_of(models: Sequence[str]) -> str:
    """A folder's name: `./mynet.py:net` becomes `mynet-net`."""
    words = (re.sub(r"[^\w]+", "-", model.replace(".py", "")).strip("-") for model in models)
    return "+".join(words)[:80].replace("+", "-") or "suite"


def _without_number(source: str, line: str) -> str:
    """A message or a place without the line number: the user has written no lines."""
    return re.sub(rf"^{re.escape(source)}:\d+: ", f"{source}: ", line)
