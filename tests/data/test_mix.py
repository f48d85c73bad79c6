"""How much of each data set is trained on, and in which order."""

import numpy as np
import pytest

from core.data.mix import amounts, drawn, recommended, staged
from core.errors import DataError

HASHES = np.random.Generator(np.random.PCG64(1)).integers(0, 2**63, 1000).astype(np.uint64)


def test_amounts_follow_the_weights_and_add_up_exactly():
    assert amounts([900, 50, 50], (0.4, 0.4, 0.2), 1000) == [400, 400, 200]
    assert amounts([10, 10, 10], (1, 1, 1), 100) == [34, 33, 33]
    for total in range(1, 60):
        assert sum(amounts([7, 7, 7], (0.3, 0.5, 0.2), total)) == total


def test_a_data_set_with_nothing_to_train_on_cannot_be_weighed():
    with pytest.raises(DataError, match="Data set 2 of the mix has no example"):
        amounts([5, 0], (0.5, 0.5), 10)


def test_fewer_are_drawn_without_repeating_any_and_the_same_every_time():
    places = np.arange(100, 200, dtype=np.uint32)
    few = drawn(places, HASHES[:100], 30, seed=42)
    assert len(set(few.tolist())) == 30 and set(few.tolist()) <= set(places.tolist())
    assert few.tolist() == sorted(few.tolist()) == drawn(places, HASHES[:100], 30, seed=42).tolist()
    assert few.tolist() != drawn(places, HASHES[:100], 30, seed=43).tolist()


def test_more_are_drawn_by_taking_all_as_often_as_the_others():
    times = np.bincount(drawn(np.arange(10), HASHES[:10], 34, seed=42))
    assert sorted(times.tolist()) == [3] * 6 + [4] * 4


def test_a_curriculum_goes_from_low_to_high_in_shuffled_stages():
    keys = np.arange(100.0)[::-1]
    order = staged(keys, 4, seed=42)
    stages = np.array_split(keys[order], 4)
    assert [sorted(stage) for stage in stages] == [list(range(at, at + 25)) for at in (0, 25, 50, 75)]
    assert any(stage.tolist() != sorted(stage) for stage in stages)
    assert (order == staged(keys, 4, seed=42)).all()


def test_examples_without_a_key_come_last():
    assert staged(np.array([np.nan, 2.0, np.nan, 1.0]), 4, 42)[:2].tolist() == [3, 1]


def test_a_recommended_mix_knows_its_data_sets_by_name():
    names = ("data/sft/oasst1.jsonl", "sft/dolly15k.jsonl", "tatsu-lab/alpaca")
    assert recommended("small", names) == (0.4, 0.4, 0.2)
    assert recommended("tiny", names) == (0.3, 0.5, 0.2)
    with pytest.raises(DataError, match="poems.jsonl is none of them"):
        recommended("tiny", ("poems.jsonl",))
