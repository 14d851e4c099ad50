"""Which rivals are shown, and what each would buy."""

from dataclasses import replace

import pytest

from ondevice_bench.recommend.rivals import runners_up
from ondevice_bench.units import MIB


def test_the_json_has_the_runners_up_with_what_each_would_buy(world):
    found = world.search(minimise="peak_rss")
    shown = {each["label"]: each for each in found.to_dict()["runners_up"]}
    assert list(shown) == [each.way.label for each in found.runners_up]
    assert shown["lean"]["times_the_winners"]["estimate"] == pytest.approx(60 / 40)
    exact, step = shown["lean"]["buys"]
    assert (exact["what"], exact["rival"]) == ("exact_gradient", None)
    assert step["what"] == "step_seconds"
    assert step["rival"] / step["winner"] == pytest.approx(0.8 / 1.3, rel=0.1)
    assert step["of_one_process"]


def test_the_least_memory_and_the_first_exact_one_are_shown_once(world):
    way = world.search().winner
    winner = replace(way, is_exact=False, cosine=0.95)
    near = [replace(winner, label=str(n), tensor_bytes=100 * MIB) for n in range(3)]
    slow = replace(way, label="slow", tensor_bytes=90 * MIB)
    both = replace(way, label="both", tensor_bytes=MIB)
    assert [each.way.label for each in runners_up([*near, both], winner)] == ["0", "1", "2", "both"]
    found = [each.way.label for each in runners_up([*near, slow, both], winner)]
    assert found == ["0", "1", "2", "both", "slow"]
    assert runners_up([], winner) == ()


def test_less_memory_by_shapes_is_named_if_it_is_worth_a_word(world):
    winner = replace(world.search().winner, estimates={}, tensor_bytes=100 * MIB)
    little, much = (replace(winner, tensor_bytes=size * MIB) for size in (96, 90))
    first, second = runners_up([little, much], winner)
    assert first.gains == ()
    (gain,) = second.gains
    assert (gain.name, gain.rivals, gain.winners) == ("tensors", 90 * MIB, 100 * MIB)
