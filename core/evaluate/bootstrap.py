"""How sure a score is: percentile bootstrap over rows (Efron and Tibshirani 1993, chapter 13), paired for a difference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from core.evaluate.report import Interval, Verdict

RESAMPLES = 2000
CONFIDENCE = 0.95
# Fewer that differ cannot reach 95 % even if all agree: a sign test gives 2 * 0.5**5 = 0.06. Rows alike say nothing.
ENOUGH_ROWS = 6
DRAWS_AT_ONCE = 2**22  # 32 MB of row numbers

# Of the sums over rows, (draws,) or (draws, counts), and of the rows' weights, (draws,), the scores: (draws,).
Value = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """A score of both models on the same rows, and tuned minus base; of one model alone, None for the rest."""

    n: int
    base: Interval | None
    tuned: Interval | None
    difference: Interval | None


def mean(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return sums / weights


def exp_of_mean(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.exp(sums / weights)


def compare(
    base: ArrayLike | None,
    tuned: ArrayLike | None,
    weights: ArrayLike | None = None,
    value: Value = mean,
    seed: int = 0,
) -> Comparison:
    """Compare value(sum of row sums, sum of row weights) of the two models, or of the one that is given.

    Every resample draws rows, not tokens, since tokens of one row are not independent; both models get the same draw,
    so what is hard for both does not count as a difference. `base` and `tuned` are of shape (rows,), or (rows, counts)
    for a score that is made of several; `weights` are of shape (rows,), 1 unless given. Rows of weight 0 are left out,
    and at least one must remain.
    """
    given = {
        name: np.asarray(side, float) for name, side in (("base", base), ("tuned", tuned)) if side is not None
    }
    rows = len(next(iter(given.values())))
    weights = np.ones(rows) if weights is None else np.asarray(weights, float)
    given = {name: side[weights > 0] for name, side in given.items()}
    weights = weights[weights > 0]
    drawn = {name: [] for name in given}
    for counts in _draws(len(weights), seed):
        for name, side in given.items():
            drawn[name].append(value(counts @ side, counts @ weights))
    once = np.ones((1, len(weights)))
    of = {name: float(value(once @ side, once @ weights)[0]) for name, side in given.items()}
    resampled = {name: np.concatenate(parts) for name, parts in drawn.items()}
    intervals = {name: _interval(of[name], resampled[name]) for name in given}
    difference = None
    if len(given) == 2:
        unlike = (given["tuned"] != given["base"]).reshape(len(weights), -1).any(axis=1)
        difference = replace(
            _interval(of["tuned"] - of["base"], resampled["tuned"] - resampled["base"]),
            differ=int(unlike.sum()),
        )
    return Comparison(len(weights), intervals.get("base"), intervals.get("tuned"), difference)


def verdict(compared: Comparison, higher_is_better: bool) -> Verdict | None:
    """Whether the difference is clear, and in which direction."""
    if compared.difference is None:
        return None
    if not clear(compared.difference):
        return "no clear change"
    return "helped" if (compared.difference.low > 0) == higher_is_better else "hurt"


def clear(difference: Interval) -> bool:
    """Whether the interval of a difference leaves out zero, and enough rows differ to say so, if they were counted."""
    enough = difference.differ is None or difference.differ >= ENOUGH_ROWS
    return enough and not difference.low <= 0 <= difference.high


def _draws(rows: int, seed: int) -> Iterator[np.ndarray]:
    """RESAMPLES draws of rows with replacement, a bounded number at once: how often each row was drawn, (draws, rows)."""
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // rows)
    for begin in range(0, RESAMPLES, at_once):
        draws = min(at_once, RESAMPLES - begin)
        places = generator.integers(0, rows, (draws, rows)) + rows * np.arange(draws)[:, None]
        yield np.bincount(places.ravel(), minlength=draws * rows).reshape(draws, rows).astype(float)


def _interval(value: float, resampled: np.ndarray) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
