"""A run's curves as the numbers that webui/charts.js draws: as many as a screen can show, and only those that are new."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.runs.events import Stepped

MOST = 800  # points of a curve; a wide screen has not many more in its chart
COLUMNS = ("loss", "learning_rate", "gradient_norm", "tokens_per_second", "memory_bytes")
DIGITS = 6


class Curves:
    """The steps of one run, for all who look at it; follows them as they come."""

    def __init__(self) -> None:
        self._steps: Sequence[Stepped] = ()
        self._columns = np.empty((1 + len(COLUMNS), 0))
        self.version = ""  # another one whenever steps are gone that were there, as after a resume

    def follow(self, steps: Sequence[Stepped]) -> None:
        known = len(self._steps)
        if not self.version or known > len(steps) or (known and steps[known - 1] is not self._steps[-1]):
            known, self._columns, self.version = 0, self._columns[:, :0], f"{time.time_ns():x}"
        if len(steps) > known:
            fresh = [
                np.fromiter((getattr(each, name) for each in steps[known:]), float, len(steps) - known)
                for name in ("step", *COLUMNS)
            ]
            self._columns = np.concatenate((self._columns, fresh), axis=1)
        self._steps = steps

    def news(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """What whoever `asked` has not got yet, for webui/charts.js; None if that is nothing.

        `window` is the span of steps that is looked at, all if None; `version`, `size` and `begin` say what is there, and
        `next` which of its points to send first: the last one may have grown.

        A point stands for `size` steps: their mean, and their least and greatest value in the order in which they
        came, so that a step that leaps out stays to be seen however many there are.
        """
        begin, end, size = self._span(asked.get("window"))
        has = (asked.get("version"), asked.get("size"), asked.get("begin"))
        came = asked.get("next")
        same = has == (self.version, size, begin) and isinstance(came, int)
        start = min(max(came, begin), end) if same else begin
        part = self._columns[:, start * size : end * size]
        if same and not part.shape[1]:
            return None
        steps, *columns = points(part, size)
        return {
            "version": self.version,
            "size": size,
            "begin": begin,
            "from": start,
            "step": [int(step) for step in steps["mean"]],
            **dict(zip(COLUMNS, columns, strict=True)),
        }

    def _span(self, window: Sequence[float] | None) -> tuple[int, int, int]:
        """The points to be drawn, first and behind the last, and how many steps each stands for. Their borders are multiples
        of it, so that a point is the same whatever else is looked at."""
        first, behind = 0, self._columns.shape[1]
        if window:
            low, high = sorted(float(each) for each in window[:2])
            first = max(int(np.searchsorted(self._columns[0], low)) - 1, 0)
            behind = min(int(np.searchsorted(self._columns[0], high, side="right")) + 1, behind)
        size = 1
        while behind // size - first // size >= MOST:
            size *= 2
        return first // size, math.ceil(behind / size), size


def points(columns: np.ndarray, size: int) -> list[dict[str, list[float | None]]]:
    """`columns` (columns, steps) as points of `size` steps each: of every column its means and, where a point is more than
    one step, the extremes `a` and `b`, the one that came first as `a`. The first column counts: its last value is its mean.
    What is not a number is None."""
    missing = -columns.shape[1] % size
    padded = np.pad(columns, ((0, 0), (0, missing)), constant_values=np.nan)
    parts = padded.reshape(len(columns), -1, size)
    there = np.isfinite(parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(there, parts, 0).sum(2) / there.sum(2)
    means[0] = np.where(there[0], parts[0], -1).max(1, initial=-1)
    made = [{"mean": means[0].tolist()}, *({"mean": written(each)} for each in means[1:])]
    if size == 1:
        return made
    least = np.where(there, parts, np.inf).argmin(2)
    most = np.where(there, parts, -np.inf).argmax(2)
    for name, place in (("a", np.minimum(least, most)), ("b", np.maximum(least, most))):
        found = np.take_along_axis(parts, place[:, :, None], 2)[:, :, 0]
        for each, values in zip(made[1:], found[1:], strict=True):
            each[name] = written(values)
    return made


def written(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values.tolist()]


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers that enclose low..high, `most` intervals or a few less: [2.0, 2.5, 3.0]."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]
