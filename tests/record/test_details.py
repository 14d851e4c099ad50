from dataclasses import replace

import pytest

from ondevice_bench.record.details import (
    DeclaredSize,
    Details,
    LayerGradient,
    MemoryCurve,
    Precision,
    TreatedLayer,
)


def test_what_an_earlier_version_did_not_write_has_its_default():
    assert Details.from_dict({}) == Details()
    layer = Details.from_dict({"treated": {"a": {"shape": [8, 4]}}}).treated["a"]
    assert layer == TreatedLayer(shape=(8, 4))
    assert Details.from_dict({"left_alone": {"b": "why"}}).left_alone == {"b": "why"}


def test_what_only_a_later_version_writes_is_ignored():
    values = {"notes": ["x"], "curve": {"unavailable": "no sampler"}, "colour": {"red": 1}}
    assert Details.from_dict(values) == Details(notes=("x",))


def test_a_declared_size_is_in_bytes_or_in_the_elements_of_an_early_record():
    early = TreatedLayer(shape=(8, 4), stored_elements=16)
    assert early.declared == DeclaredSize(16, 32, "elements")
    assert replace(early, stored_bytes=192, input_bytes=128).declared == DeclaredSize(
        192, 128, "bytes"
    )
    assert TreatedLayer(shape=(8, 4)).declared is None
    assert TreatedLayer(stored_elements=16).declared is None


def test_every_pass_is_read_into_types():
    values = {
        "curve": {"seconds": [0, 0.5], "rss_bytes": [1, 2], "marks": [["runtime", 0.0]]},
        "disturbed": {"step_seconds": [0.25]},
        "precision": {"asked": 0.02, "reached": None, "ended_by": "max_seconds"},
        "layers": {"_first": {"fc": {"cosine": 0.5, "error": 1.0}}},
        "ranks": {"fc": {"activation": [8], "weight": None}},
    }
    assert Details.from_dict(values) == Details(
        curve=MemoryCurve((0.0, 0.5), (1.0, 2.0), (("runtime", 0.0),)),
        disturbed={"step_seconds": (0.25,)},
        precision=Precision(0.02, None, "max_seconds"),
        layers={"_first": {"fc": LayerGradient(0.5)}},
        ranks={"fc": {"activation": [8], "weight": None}},
    )


@pytest.mark.parametrize("fine", ["", ", a reading every 0.1 s", ", in steps of 0.5 W"])
def test_the_meter_is_in_a_note_beside_how_finely_it_was_read(fine):
    notes = ("another", f"the energy is that of rails A, B (hwmon){fine}")
    assert Details(notes=notes).meter == "rails A, B (hwmon)"
    assert Details(notes=notes[:1]).meter == ""
