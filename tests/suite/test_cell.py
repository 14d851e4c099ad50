import dataclasses

import pytest

from ondevice_bench.suite.cell import Cell, LearningPlan, Train, without_hash

BASE = Cell(id="a", model="mcunet", method="vanilla", batch=8)


def changed(**what):
    return dataclasses.replace(BASE, **what)


@pytest.mark.parametrize(
    "other",
    [
        changed(model="vit_b_32"),
        changed(method="asi"),
        changed(batch=9),
        changed(seed=1),
        changed(model_options=(("depth", 2),)),
        changed(method_options=(("epsilon", 0.8),)),
        changed(layers="mlp"),
        changed(dtype="float64"),
        changed(data="photos"),
        changed(weights="pretrained"),
        changed(train=Train(lr=0.1)),
        changed(train=Train(clip=None)),
        changed(learning=LearningPlan()),
        changed(calibrated_on="train"),
        changed(revision=1),
        changed(learning=LearningPlan(epochs=4)),
    ],
    ids=lambda cell: str(cell.fingerprint),
)
def test_every_part_of_the_workload_is_in_the_fingerprint(other):
    assert other.fingerprint != BASE.fingerprint


def test_the_id_is_not():
    assert changed(id="b").fingerprint == BASE.fingerprint


def test_equal_values_have_equal_fingerprints_in_any_process():
    # a stored value: it changes only if WORKLOAD_VERSION does, because histories hang on it
    assert BASE.fingerprint == "418daabab0c73c48"
    assert changed(train=Train(lr=0.05)).fingerprint == BASE.fingerprint


def test_a_cell_survives_json():
    cell = changed(
        model_options=(("depth", 2), ("flag", True)),
        method_options=(("epsilon", 0.1), ("rank", "8x16")),
        train=Train(clip=None, momentum=0.9),
        learning=LearningPlan(target=0.9, learning_rates=(0.1, 0.2)),
    )
    assert not {"learning", "calibrated_on"} & set(BASE.to_dict())  # earlier versions read these
    assert Cell.from_dict(cell.to_dict()) == cell
    assert Cell.from_dict(cell.to_dict()).fingerprint == cell.fingerprint
    assert Cell.from_dict(cell.to_dict()).id == cell.id


def test_a_new_option_at_its_default_would_keep_every_history():
    @dataclasses.dataclass(frozen=True)
    class Later(Cell):
        novelty: str = "off"

    values = {f.name: getattr(BASE, f.name) for f in dataclasses.fields(BASE)}
    assert Later(**values).fingerprint == BASE.fingerprint
    assert Later(**values, novelty="on").fingerprint != BASE.fingerprint


def test_an_allocator_is_a_condition_and_no_part_of_the_workload():
    other = changed(allocator="tcmalloc")
    assert other != BASE
    assert other.fingerprint == BASE.fingerprint == BASE.key
    assert other.key == f"{BASE.key}+tcmalloc"
    assert other.of_any_method == BASE.of_any_method
    assert other.of_any_seed != BASE.of_any_seed
    assert other.of_any_size != BASE.of_any_size
    assert Cell.from_dict(other.to_dict()) == other
    assert "allocator" not in BASE.to_dict()  # as workers and stores of earlier commits have it


def test_a_method_with_a_label_has_the_workload_of_the_others():
    other = changed(method="asi", label="tail")
    assert other.of_any_method == BASE.of_any_method


def test_a_plan_for_learning_of_another_version_may_lack_keys():
    values = {**changed(learning=LearningPlan()).to_dict(), "learning": {"epochs": 4}}
    assert Cell.from_dict(values).learning == LearningPlan(epochs=4)


@pytest.mark.parametrize(
    ("name", "without"),
    [("net.py:net@a1", "net.py:net"), ("n@et.py:net@a1", "n@et.py:net"), ("mcunet", "mcunet")],
)
def test_a_name_without_its_hash(name, without):
    assert without_hash(name) == without
