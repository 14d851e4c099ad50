import importlib
import inspect
from importlib.metadata import EntryPoint

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.methods.make_method import load_method_class
from ondevice_bench.methods.method import LayerMethod
from ondevice_bench.specs import builtin_methods, builtin_models, registry
from ondevice_bench.specs.method import MethodSpec
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.rank_rules import rank_groups, rank_options

EXTRA = MethodSpec("extra", "from another package", "extra.method", frozenset({"conv1d"}))


@pytest.fixture
def entry_points(monkeypatch):
    """Announce entry points as other packages would."""

    def announce(*points):
        monkeypatch.setattr(
            registry, "entry_points", lambda group: [p for p in points if p.group == group]
        )
        registry.methods.cache_clear()
        registry.models.cache_clear()

    yield announce
    registry.methods.cache_clear()
    registry.models.cache_clear()


def test_every_spec_names_an_implementation_that_takes_its_options():
    for spec in builtin_models.MODELS:
        module = importlib.import_module(spec.implementation)
        takes = set(inspect.signature(module.construct).parameters)
        assert takes == {option.name for option in spec.options} | set(spec.fixed or ())
        assert callable(module.initialise)
    for spec in builtin_methods.METHODS:
        kind = load_method_class(spec.implementation)
        takes = inspect.signature(kind).parameters
        replaces = issubclass(kind, LayerMethod)
        ranked = kind.ranked if replaces else frozenset()
        # a method with ranks leaves its rank rules to the engine
        rules = {option.name for option in rank_options(ranked)}
        assert set(takes) == {option.name for option in spec.options} - rules
        assert bool(ranked) == spec.calibrates
        assert spec.keeps_calibration == getattr(kind, "keeps_calibration", False)
        assert spec.one_of == rank_groups(ranked)
        assert bool(spec.treats) == replaces


def test_defaults_stand_in_the_specs_alone():
    for spec in builtin_methods.METHODS:
        parameters = inspect.signature(load_method_class(spec.implementation)).parameters
        assert all(parameter.default is parameter.empty for parameter in parameters.values())


def test_names_are_unique_and_fit_into_an_id():
    names = [spec.name for spec in (*builtin_methods.METHODS, *builtin_models.MODELS)]
    assert len(names) == len(set(names))
    assert all(name.replace("_", "").isalnum() for name in names)


def test_another_package_adds_a_method_by_an_entry_point(entry_points):
    entry_points(EntryPoint("extra", "tests.specs.test_registry:EXTRA", "ondevice_bench.methods"))
    assert registry.method("extra").title == "from another package"
    assert "extra" not in registry.models()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("tests.specs.test_registry:NOTHING", "cannot be loaded"),
        ("no_such_package:SPEC", "cannot be loaded"),
        ("tests.specs.test_registry:builtin_methods", "is not a MethodSpec"),
        ("ondevice_bench.specs.builtin_methods:METHODS", "is not a MethodSpec"),
    ],
)
def test_a_broken_entry_point_is_named(entry_points, value, says):
    entry_points(EntryPoint("mine", value, "ondevice_bench.methods"))
    with pytest.raises(BadInput, match=says) as caught:
        registry.methods()
    assert "entry point mine" in str(caught.value)


def test_a_taken_name_is_refused(entry_points, monkeypatch):
    monkeypatch.setattr(builtin_methods, "METHODS", (*builtin_methods.METHODS, EXTRA))
    entry_points(EntryPoint("extra", "tests.specs.test_registry:EXTRA", "ondevice_bench.methods"))
    with pytest.raises(BadInput, match="'extra' exists already"):
        registry.methods()


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(BadInput, match="unknown model 'mcunett'; did you mean 'mcunet'"):
        registry.model("mcunett")
    with pytest.raises(BadInput, match="unknown method 'vanila'; did you mean 'vanilla'"):
        registry.method("vanila")


def test_a_method_says_why_it_does_not_apply():
    model = registry.model("mcunet")
    assert registry.method("vanilla").refuses(model) is None
    assert EXTRA.refuses(model) == "extra treats conv1d; mcunet has conv2d, linear"
    assert isinstance(model, ModelSpec)


@pytest.mark.parametrize("text", ["./kit:Net", "kit/net:Net", ":Net", "kit..net:Net", "kit.net:"])
def test_a_module_of_a_model_has_a_dotted_name(tmp_path, text):
    with pytest.raises(ValueError, match="must be FILE"):
        registry.own_model(text, tmp_path)
