"""A bundle from elsewhere may say anything its schema allows: a page of it is drawn all the same."""

import json
import random
from dataclasses import replace

from ondevice_bench.analyse.history import HistoryQuery
from ondevice_bench.errors import BadInput
from ondevice_bench.record import run_json
from ondevice_bench.report import page
from ondevice_bench.report.terminal.formats import formatted
from tests.report import synthetic
from tests.report.test_page import is_well_formed

MUTATIONS = 150
EXACT = ("activation_bytes", "step_flops", "forward_live_peak_bytes")
ODD = [
    None,
    [],
    {},
    "",
    "x",
    -1,
    0,
    0.0,
    -0.5,
    1e300,
    -1e300,
    2**62,
    True,
    "word",
    [1],
    [0.5, -1.0],
    [None],
    {"a": "b"},
    "</script>",
    "\x00\x1b[31m\r\x7f\x85",
]


def leaves(value, path=()):
    """The path of every value within."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))


def changed(values, path, dice):
    """Another value at that place, as often as not one of the same type."""
    *way, last = path
    for step in way:
        values = values[step]
    alike = [odd for odd in ODD if type(odd) is type(values[last])]
    values[last] = dice.choice(alike if alike and dice.random() < 0.7 else ODD)


def test_whatever_a_bundle_says_is_refused_or_drawn(summary_of):
    cells = synthetic.cells()[:3]
    run = synthetic.run_of(
        settings={**synthetic.SETTINGS, "goal": {"minimise": "step_flops", "min_cosine": 0.5}}
    )
    whole = run_json.RunContent(
        run, tuple(synthetic.planned(cells)), tuple(synthetic.records(cells))
    )
    good = json.dumps(whole.to_dict())
    spots = [path for path in leaves(json.loads(good)) if path]
    # what reports read first: figures, settings and details
    telling = [path for path in spots if {"details", "settings", "metrics", "samples"} & set(path)]
    dice, drawn = random.Random(0), 0
    for number in range(MUTATIONS):
        values = json.loads(good)
        for _ in range(dice.randint(1, 2)):
            try:
                changed(values, dice.choice(telling if number % 4 else spots), dice)
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change took it away
        try:
            found = run_json.read_run("x", json.dumps(values).encode())
        except BadInput:
            continue
        summary = summary_of(found.records, list(found.cells), found.run)
        text = page.render([summary, summary], "hardware")
        assert text.count("</script>") == 4
        assert is_well_formed(text)
        older = replace(summary, run=replace(summary.run, id="older"))
        text = page.render([summary, older], "regression", query=HistoryQuery(metrics=EXACT))
        assert is_well_formed(text)
        for form in ("md", "csv", "text", "json"):
            formatted([summary], form)
        drawn += 1
    assert drawn > MUTATIONS / 10  # most are refused by the schema
