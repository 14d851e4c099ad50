"""docs/findings.md: every figure in it is recomputed from the command or the run that it names.

Behind each figure stands `<!-- TERM [- TERM]… [/ TERM [- TERM]…] as FORMAT -->`, a term being
`NAME :: KEY :: KEY…`: of the answer of a command of that name (the list at the page's end), of a
baseline `docs/findings/NAME.json` (cell, metric), or of a published claim (`claims :: ID`). A key
with a `*` is the sum over all that match; entries of lists go by their name. Of a baseline that
trains, `NAME :: over seeds :: CELLS :: METRIC` is a metric over the seeds, and `NAME :: against
vanilla :: CELLS` the difference of the accuracies (`benchmarks/finetune_table.py` writes these).
"""

import re
import runpy
import shlex
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache

import pytest
import torch
from torch import nn

from ondevice_bench import units
from ondevice_bench.analyse.kept_accuracy import kept_accuracy, points
from ondevice_bench.analyse.ratios import ratio
from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.measure.activations import saved_bytes, saved_storages, total
from ondevice_bench.methods.treatment import treat
from ondevice_bench.models import vit
from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.record import baseline, bundle
from ondevice_bench.record.store import Store
from ondevice_bench.report.accuracy_sentences import percent
from ondevice_bench.specs import registry
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.cell import LearningPlan
from tests.conftest import ROOT
from tests.measure.test_activations import SumStep
from tests.record.conftest import CELL, make_record, make_run, planned

PLAN = LearningPlan()
PAGE = ROOT / "docs" / "findings.md"
STORED = ROOT / "docs" / "findings"
REFERENCE = re.compile(r"<!-- (.+?) as (\S+) -->")
COMMAND = re.compile(r"^(bench [^\n#]+?) +# ([\w-]+)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
# what has a unit or decimals is a figure; conditions (batch 32, rank 8) are none
FIGURE = re.compile(
    r"(?<![\w./-])\d[\d,]*(?:\.\d+)?\s?(?:×|%|[KMG]i?B\b|[kMGT]?FLOP|[kMGT]?MAC|[mµ]?s\b|times\b)"
)
FORMS = {
    "bytes": units.mib,
    "flops": units.flops,
    "seconds": units.seconds,
    "x": units.ratio,
    "%": lambda value: f"{value:.0%}",
    "cosine": lambda value: f"{value:.2f}",
    "share": percent,
    "points": points,
}


def exact(value):
    return Estimate(float(value), float(value), float(value), "exact")


class Sources:
    """What references may name; commands run once each, when they are first asked."""

    def __init__(self, page, tmp_path, answer, folder=STORED):
        self.commands = {name: command for command, name in COMMAND.findall(page)}
        self.claims = {claim.id: claim for claim in load_published().claims}
        self.folder = folder
        self.tmp_path = tmp_path
        self.answer = cache(answer)
        self.summary = cache(self._summary)
        self.trained = cache(self._trained)

    def text(self, reference, form):
        """The figure as the page must print it, with its interval where it is measured."""
        if form == "printed":
            return self.claims[reference.split(" :: ")[1]].published
        found, shown = self._quotient(reference), FORMS[form]
        if found is None:  # not of positive numbers
            return "no ratio"
        if found.basis == "exact":
            return shown(found.estimate)
        if found.lower is None and found.upper is None:
            return f"{shown(found.estimate)} (no interval)"
        lower, upper = ("?" if end is None else shown(end) for end in (found.lower, found.upper))
        return f"{shown(found.estimate)} ({lower} … {upper})"

    def _quotient(self, reference):
        over, *under = (self._difference(side) for side in reference.split(" / "))
        return ratio("", over, *under) if under else over  # no count that may be 0

    def _difference(self, reference):
        first, *others = (self._term(part) for part in reference.split(" - "))
        if not others:
            return first
        assert {each.basis for each in (first, *others)} == {"exact"}, "only exact ones subtract"
        return exact(first.estimate - sum(each.estimate for each in others))

    def _term(self, reference):
        name, *keys = (part.strip() for part in reference.split(" :: "))
        if name == "claims":
            claim = self.claims[keys[0]]
            return exact(claim.value * (units.MIB if claim.unit == "MiB" else 1))
        if name in self.commands:
            factor = units.MIB if keys[-1].endswith("_mib") else 1
            return exact(at(self.answer(self.commands[name]), keys) * factor)
        if keys[0] == "over seeds":
            return self.trained(name)[keys[1]].line.estimates[keys[2]]
        if keys[0] == "against vanilla":
            return self.trained(name)[keys[1]].difference
        cell, metric = keys
        return {each.id: each for each in self.summary(name).cells}[cell].estimates[metric]

    def _trained(self, name):
        """What the pass learning gave, by the id that the seeds share."""
        return {each.line.id: each for each in kept_accuracy(self.summary(name))}

    def _summary(self, name):
        """The run of a baseline."""
        content = baseline.read(self.folder / f"{name}.json")
        with Store.create(self.tmp_path / f"{name}.sqlite") as store:
            store.merge(content.run, content.cells, content.records)
            return summarise(store, store.run(content.run.id))


def at(value, keys):
    """What stands there in an answer."""
    if not keys:
        return value
    key, *rest = keys
    if isinstance(value, list):
        value = {entry.get("name") or entry["quantity"]: entry for entry in value}
    if "*" not in key:
        return at(value[key], rest)
    found = [at(each, rest) for name, each in value.items() if fnmatchcase(name, key)]
    assert found, f"nothing matches {key}"
    return sum(found)


def problems(page, sources):
    """Each figure that is not what its reference gives, and each that has none."""
    prose = CODE.sub("", page)
    covered, found = set(), []
    for match in REFERENCE.finditer(prose):
        text = sources.text(match[1], match[2])
        start = match.start() - len(text)
        if prose[start : match.start()] != text or prose[start - 1] in "0123456789.,":
            found.append(f"{match[1]}: is {text}, not {prose[start - 5 : match.start()]!r}")
        covered |= set(range(start, match.end()))
    return found + [
        f"{match[0]!r} has no reference"
        for match in FIGURE.finditer(prose)
        if covered.isdisjoint(range(*match.span()))
    ]


def test_every_figure_is_what_its_source_says(bench, tmp_path):
    page = PAGE.read_text(encoding="utf-8")

    def answer(line):
        return bench(*shlex.split(line)[1:], "--json").json()

    sources = Sources(page, tmp_path, answer)
    assert len(REFERENCE.findall(page)) > 20
    assert problems(page, sources) == []
    used = {part.split(" :: ")[0] for match in REFERENCE.finditer(page)
            for part in re.split(" [-/] ", match[1])}  # fmt: skip
    assert set(sources.commands) <= used
    assert {path.stem for path in STORED.glob("*.json")} <= used


@pytest.fixture
def stored(tmp_path):
    """A page's sources: one command, and one baseline with three rounds of one cell."""
    metrics = [{"step_seconds": seconds, "activation_bytes": 3.0 * 2**20} for seconds in (1, 2, 3)]
    records = [make_record(number=n, metrics=m) for n, m in enumerate(metrics, 1)]
    content = bundle.RunContent(make_run(finished="2026"), tuple(planned(CELL)), tuple(records))
    baseline.write(content, tmp_path / "mine.json")
    page = "```sh\nbench account --model x   # one\n```\n"

    def said(_):
        return {"kept_mib": 4, "lines": [{"name": "a.b", "n": 1}, {"name": "a.c", "n": 3}]}

    return Sources(page, tmp_path, said, tmp_path)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("kept 4.00 MiB<!-- one :: kept_mib as bytes -->.", ""),
        ("kept 4.01 MiB<!-- one :: kept_mib as bytes -->.", "is 4.00 MiB"),
        ("kept 14.00 MiB<!-- one :: kept_mib as bytes -->.", "is 4.00 MiB"),
        ("kept 4.00 MiB.", "'4.00 MiB' has no reference"),
        ("kept 4.00 MiB at batch 32, `5 MiB`", "'4.00 MiB' has no reference"),
        ("at batch 32 and epsilon 0.9", ""),
        ("2.00×<!-- one :: lines :: a.* :: n / one :: lines :: a.b :: n - one :: kept_mib as x -->", "is no ratio"),
        ("4.00×<!-- one :: lines :: a.* :: n / one :: lines :: a.b :: n as x -->", ""),
        ("25%<!-- one :: lines :: a.b :: n / one :: lines :: a.* :: n as % -->", ""),
        ("2349.00<!-- claims :: wasi-vit-vanilla-training as printed --> MB", ""),
        ("2349<!-- claims :: wasi-vit-vanilla-training as printed --> MB", "is 2349.00"),
        ("2.00 s (1.00 s … 3.00 s)<!-- mine :: {} :: step_seconds as seconds -->", ""),
        ("2.00 s<!-- mine :: {} :: step_seconds as seconds -->", "is 2.00 s (1.00 s … 3.00 s)"),
        ("62 times less", "'62 times' has no reference"),
    ],
)  # fmt: skip
def test_a_figure_that_is_wrong_or_bare_is_found(stored, text, wrong):
    found = problems(text.format(CELL.id), stored)
    assert [wrong in each for each in found] == [True] * bool(wrong), found


def test_figures_over_seeds_and_against_vanilla(stored, tmp_path):
    cells = [
        replace(CELL, id=f"net/{method}/all/b8/s{seed}", method=method, seed=seed, learning=PLAN)
        for method in ("vanilla", "asi")
        for seed in (0, 1)
    ]
    records = [
        make_record(
            cell=cell,
            pass_name="learning",
            metrics={"final_accuracy": accuracy, "training_seconds": 2.0},
        )
        for cell, accuracy in zip(cells, (0.9, 0.8, 0.85, 0.79), strict=True)
    ]
    settings = {**make_run().settings, "measure": ["learning"]}
    run = make_run(finished="2026", settings=settings)
    content = bundle.RunContent(run, tuple(planned(*cells)), tuple(records))
    baseline.write(content, tmp_path / "taught.json")
    page = runpy.run_path(str(ROOT / "benchmarks" / "finetune_table.py"))["page"](
        tmp_path / "taught.json"
    )
    assert "85.0 % (80.0 % … 90.0 %)<!-- taught :: over seeds :: net/vanilla/all/b8" in page
    assert (
        "−3.0 (−5.0 … −1.0)<!-- taught :: against vanilla :: net/asi/all/b8 as points -->" in page
    )
    assert problems(page, stored) == []
    assert len(problems(page.replace("−3.0 (", "−3.1 ("), stored)) == 1


@pytest.mark.parametrize(("layers", "names"), [("mlp", "*.mlp.*"), ("attention+mlp", "encoder.*")])
def test_what_layers_saved_first_is_what_compressing_their_inputs_frees(layers, names):
    """The bound of the page: the rest of a step stays, whatever method and rank."""
    spec = registry.model("vit_b_32")
    network = vit.construct(classes=10, depth=1, image_size=224)
    vit.initialise(network, 0)
    linears = {name for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    images = torch.randn(2, 3, 224, 224)
    saved = saved_storages(SumStep(network, images), network)
    first = [each for each in saved if each.site.module in linears]
    freed = sum(each.size for each in first if fnmatchcase(each.site.module, names))
    treatment = treat(network, "asi", layers, layout=spec.layout, rank=1)
    compressed = saved_bytes(SumStep(treatment.module, images))
    stored = 4 * sum(report.elements for report in treatment.report())
    assert freed > 0
    assert compressed - stored == total(saved) - freed
