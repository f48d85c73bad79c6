"""How sure a score is: percentile bootstrap over rows (Efron and Tibshirani 1993, chapter 13), paired for a difference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.evaluate.report import Interval, Verdict

RESAMPLES = 2000
CONFIDENCE = 0.95
ENOUGH_ROWS = 6  # fewer cannot reach 95 % even if all agree: a sign test gives 2 * 0.5**5 = 0.06
DRAWS_AT_ONCE = 2**22  # 32 MB of row numbers


@dataclass(frozen=True)
class Comparison:
    """A score of both models on the same rows, and tuned minus base."""

    n: int
    base: Interval
    tuned: Interval
    difference: Interval


def compare(
    base: ArrayLike,
    tuned: ArrayLike,
    weights: ArrayLike | None = None,
    value: Callable[[np.ndarray], np.ndarray] = lambda mean: mean,
    seed: int = 0,
) -> Comparison:
    """Compare value(sum of row sums / sum of row weights) of the two models; without weights, value(mean).

    Every resample draws rows, not tokens, since tokens of one row are not independent; both models get the same draw,
    so what is hard for both does not count as a difference. `base`, `tuned` and `weights` are of shape (rows,); rows
    of weight 0 are left out, and at least one must remain.
    """
    base, tuned = np.asarray(base, float), np.asarray(tuned, float)
    weights = np.ones(len(base)) if weights is None else np.asarray(weights, float)
    base, tuned, weights = (each[weights > 0] for each in (base, tuned, weights))

    def score(sums: np.ndarray, draws: np.ndarray) -> np.ndarray:
        return value(sums[draws].sum(-1) / weights[draws].sum(-1))

    drawn = [(score(base, draws), score(tuned, draws)) for draws in _draws(len(weights), seed)]
    bases, tuneds = (np.concatenate(side) for side in zip(*drawn, strict=True))
    every_row = np.arange(len(weights))
    of_base, of_tuned = float(score(base, every_row)), float(score(tuned, every_row))
    return Comparison(
        n=len(weights),
        base=_interval(of_base, bases),
        tuned=_interval(of_tuned, tuneds),
        difference=_interval(of_tuned - of_base, tuneds - bases),
    )


def verdict(compared: Comparison, higher_is_better: bool) -> Verdict:
    """Whether the interval of the difference leaves out zero, and on which side; never clear with very few rows."""
    low, high = compared.difference.low, compared.difference.high
    if compared.n < ENOUGH_ROWS or low <= 0 <= high:
        return "no clear change"
    return "better" if (low > 0) == higher_is_better else "worse"


def _draws(rows: int, seed: int) -> Iterator[np.ndarray]:
    """RESAMPLES draws of row numbers with replacement, a bounded number at once: (draws, rows)."""
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // rows)
    for begin in range(0, RESAMPLES, at_once):
        yield generator.integers(0, rows, (min(at_once, RESAMPLES - begin), rows))


def _interval(value: float, resampled: np.ndarray) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
