import numpy as np
import pytest

from core.evaluate import bootstrap
from core.evaluate.bootstrap import clear, compare, verdict
from core.evaluate.report import Interval


def test_a_ratio_is_weighted_by_tokens_and_a_mean_is_not():
    nll, tokens = [10.0, 1.0], [10, 1]
    assert compare(nll, nll, tokens).base.value == pytest.approx(1.0)
    assert compare(nll, nll).base.value == pytest.approx(5.5)
    assert compare(nll, nll, tokens, value=bootstrap.exp_of_mean).base.value == pytest.approx(np.e)


def test_the_interval_of_a_mean_is_the_textbook_one():
    rows = np.random.default_rng(1).normal(3.0, 2.0, 400)
    of = compare(rows, rows).base
    half = 1.96 * rows.std() / 20
    assert of.low == pytest.approx(rows.mean() - half, abs=0.03)
    assert of.high == pytest.approx(rows.mean() + half, abs=0.03)


def test_the_intervals_hold_the_truth_about_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 400)
    generator = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        tokens = generator.integers(5, 50, 40)
        nll = tokens * generator.normal(2.0, 0.5, 40)
        of = compare(nll, nll, tokens).base
        held += of.low <= 2.0 <= of.high
    assert 0.90 <= held / 300 <= 0.98


def test_pairing_finds_a_small_gain_on_rows_of_very_different_difficulty():
    difficulty = np.random.default_rng(3).normal(50, 20, 60)
    gained = compare(difficulty, difficulty - 1 + np.random.default_rng(4).normal(0, 0.5, 60))
    assert gained.base.low < gained.tuned.value  # seen one by one, the two intervals overlap
    assert verdict(gained, higher_is_better=False) == "helped"
    assert verdict(gained, higher_is_better=True) == "hurt"
    assert gained.difference.value == pytest.approx(gained.tuned.value - gained.base.value)


def test_noise_is_no_clear_change():
    generator = np.random.default_rng(5)
    assert verdict(compare(generator.normal(size=50), generator.normal(size=50)), True) == "no clear change"


def test_equal_models_are_no_clear_change():
    assert verdict(compare([1.0] * 9, [1.0] * 9), True) == "no clear change"


def test_five_rows_prove_nothing_however_unanimous():
    assert verdict(compare([0.0] * 5, [1.0] * 5), True) == "no clear change"
    assert verdict(compare([0.0] * 6, [1.0] * 6), True) == "helped"


def test_rows_alike_do_not_make_three_wins_enough():
    three = compare([0.0] * 6, [1.0] * 3 + [0.0] * 3)
    assert three.difference.low > 0 and three.difference.differ == 3
    assert verdict(three, True) == "no clear change"
    assert verdict(compare([0.0] * 50, [1.0] * 5 + [0.0] * 45), True) == "no clear change"
    assert verdict(compare([0.0] * 12, [1.0] * 6 + [0.0] * 6), True) == "helped"


def test_a_row_of_several_counts_differs_in_any_and_one_of_weight_zero_does_not_count():
    counts = compare(
        [[1, 4], [3, 4], [2, 2]], [[1, 5], [3, 4], [1, 3]], value=lambda sums, _: sums[:, 0] / sums[:, 1]
    )
    assert counts.difference.differ == 2
    assert compare([2.0, 0.0, 2.0], [1.0, 9.0, 2.0], [2, 0, 2]).difference.differ == 1


def test_a_difference_is_clear_on_either_side_of_zero_and_by_its_interval_alone_where_rows_were_not_counted():
    assert clear(Interval(-0.5, -0.6, -0.4, differ=6)) and clear(Interval(0.5, 0.4, 0.6, differ=6))
    assert not clear(Interval(-0.5, -0.6, -0.4, differ=5)) and not clear(Interval(0.5, 0.4, 0.6, differ=0))
    assert clear(Interval(0.5, 0.4, 0.6)) and not clear(Interval(0.5, 0.0, 0.6))


def test_the_same_seed_gives_the_same_interval_and_chunks_do_not_matter(monkeypatch):
    rows = np.random.default_rng(6).normal(size=30)
    once = compare(rows, rows + 1, seed=7)
    assert compare(rows, rows + 1, seed=7) == once
    assert compare(rows, rows + 1, seed=8) != once
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 1000)
    assert compare(rows, rows + 1, seed=7) == once


def test_rows_without_a_trained_token_do_not_count():
    compared = compare([2.0, 0.0, 2.0], [1.0, 0.0, 1.0], [2, 0, 2])
    assert compared.n == 2
    assert compared.base.value == 1.0


def test_one_model_alone_has_an_interval_and_no_verdict():
    alone = compare(None, [1.0, 2.0, 3.0] * 5)
    assert alone.tuned.low < alone.tuned.value < alone.tuned.high
    assert alone.base is None and alone.difference is None and verdict(alone, True) is None
    assert alone.tuned == compare([0.0] * 15, [1.0, 2.0, 3.0] * 5).tuned


def test_a_score_of_several_counts_is_made_of_their_sums():
    right_and_said = np.array([[1, 4], [3, 4], [2, 2]])

    def precision(sums, _):
        return sums[:, 0] / sums[:, 1]

    assert compare(right_and_said, None, value=precision).base.value == 6 / 10
