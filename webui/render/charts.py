"""A run's curves as SVG that is stretched to its frame, with words and numbers beside it as HTML, so they never shrink."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.runs.events import Progress
from webui.render.parts import size, text

Point = tuple[float, float]
MOST_POINTS = 240  # more than this, and neighbours are drawn as their mean
MOST_HINTS = 60  # places along the curve that answer to the pointer


@dataclass(frozen=True)
class Series:
    name: str
    points: Sequence[Point]
    pigment: str
    dots: bool = False  # measured here and there, so each measurement is a dot


def curves(progress: Progress) -> str:
    """Loss large, the rest small; what to expect where there is nothing yet."""
    steps = progress.steps
    end = max(progress.total_steps, progress.step, 1)
    per_point = math.ceil(len(steps) / MOST_POINTS) or 1

    def series(value: Callable, name: str, pigment: str) -> Series:
        return Series(
            name, mean_of_neighbours([(each.step, value(each)) for each in steps], per_point), pigment
        )

    held_out = Series("held out", [(each.step, each.loss) for each in progress.held_out], "ochre", dots=True)
    note = f"each point is the mean of {per_point} steps" if per_point > 1 else ""
    large = chart(
        "Loss",
        [series(lambda s: s.loss, "training", "prussian"), held_out],
        end,
        "{:.3g}",
        note=note,
        warnings=[(each.step, each.text) for each in progress.warnings],
    )
    small = "".join(
        chart(title, [series(value, title.lower(), "prussian")], end, show, from_zero=True, small=True)
        for title, value, show in (
            ("Learning rate", lambda s: s.learning_rate, "{:.3g}"),
            ("Gradient norm", lambda s: s.gradient_norm, "{:.3g}"),
            ("Tokens per second", lambda s: s.tokens_per_second, "{:,.0f}"),
            ("Memory", lambda s: s.memory_bytes, size),
        )
    )
    return f'<div class="curves">{large}<div class="small">{small}</div></div>'


def chart(
    title: str,
    series: Sequence[Series],
    end: float,
    show: str | Callable[[float], str],
    *,
    from_zero: bool = False,
    small: bool = False,
    note: str = "",
    warnings: Sequence[tuple[int, str]] = (),
) -> str:
    """One figure. The x axis reaches from 0 to `end` from the start, so a growing curve moves nothing."""
    say = show.format if isinstance(show, str) else show
    drawn = [each for each in series if each.points]
    latest = " ".join(
        f'<span class="key {each.pigment}">{text(each.name)} <b>{text(say(each.points[-1][1]))}</b></span>'
        if not small
        else f"<b>{text(say(each.points[-1][1]))}</b>"
        for each in drawn
    )
    values = [y for each in drawn for _, y in each.points if math.isfinite(y)]
    marks = ticks(0 if from_zero else min(values), max(values), 2 if small else 5) if values else [0.0, 1.0]
    low, high = marks[0], marks[-1]
    place = _Frame(end, low, high)
    lines = "".join(f'<path class="grid" d="M0 {place.y(mark):.1f}H1000"/>' for mark in marks)
    lines += "".join(_path(each, place) for each in drawn)
    labels = "".join(
        f'<span style="top:{place.y(mark) / 10:.2f}%">{text(words)}</span>'
        for mark, words in zip(marks, written(marks, say), strict=True)
        if values
    )
    empty = "" if values or small else "<p>The first step is not done yet.</p>"
    steps = (0, end) if small else [step for step in ticks(0, end, 5) if step <= end and step == round(step)]
    across = "".join(f'<span style="left:{x / end * 100:.2f}%">{x:,.0f}</span>' for x in steps if values)
    words = ", ".join(
        f"{each.name} {say(each.points[-1][1])} at step {each.points[-1][0]:.0f}" for each in drawn
    )
    return (
        f'<figure class="chart{" little" if small else ""}">'
        f"<figcaption><span>{text(title)}</span><span class=keys>{latest}</span></figcaption>"
        f'<div class="plot"><div class="y" aria-hidden="true">{labels}</div>'
        f'<div class="area"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(title)}: {text(words or "nothing measured yet")}">{lines}</svg>{empty}'
        f"{'' if small else _hints(drawn, end, say)}{_marks(warnings, end)}</div></div>"
        f'<div class="x" aria-hidden="true">{across}</div>'
        + (f"<small>{text(note)}</small>" if note else "")
        + "</figure>"
    )


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers that enclose low..high, `most` intervals or a few less: [2.0, 2.5, 3.0]."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def written(marks: Sequence[float], say: Callable[[float], str]) -> list[str]:
    """Marks as they are said, or with as many decimals as tell their steps apart: 5.8, 5.825 is not 5.8, 5.83."""
    step = marks[1] - marks[0]
    decimals = next((n for n in range(6) if abs(step * 10**n - round(step * 10**n)) < 1e-6), None)
    if decimals is None or not all(_is_plain(say(mark)) for mark in marks):
        return [say(mark) for mark in marks]
    return [f"{mark:,.{decimals}f}" for mark in marks]


def _is_plain(words: str) -> bool:
    """Whether they are digits alone, without a unit or a power of ten."""
    return re.fullmatch(r"[\d,.]+", words) is not None


def mean_of_neighbours(points: Sequence[Point], group: int) -> list[Point]:
    """Every `group` points as one, at the last one's place; what is not a number is left out."""
    points = [point for point in points if math.isfinite(point[1])]
    if group <= 1:
        return points
    parts = [points[at : at + group] for at in range(0, len(points), group)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]


class _Frame:
    """From data to the 1000 x 1000 square of the drawing."""

    def __init__(self, end: float, low: float, high: float) -> None:
        self.end, self.low, self.high = end, low, high

    def x(self, value: float) -> float:
        return value / self.end * 1000

    def y(self, value: float) -> float:
        return (self.high - value) / (self.high - self.low) * 1000


def _path(series: Series, place: _Frame) -> str:
    points = [(place.x(x), place.y(y)) for x, y in series.points if math.isfinite(y)]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    drawn = f'<path class="line {series.pigment}" d="{line}"/>' if len(points) > 1 else ""
    if series.dots or len(points) == 1:
        # A line of no length with round ends is a dot that stretching leaves round.
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
        drawn += f'<path class="dot {series.pigment}" d="{dots}"/>'
    return drawn


def _hints(drawn: Sequence[Series], end: float, say: Callable[[float], str]) -> str:
    """Strips that show the numbers of their place while the pointer is over them."""
    if not drawn:
        return ""
    places = sorted({x for each in drawn for x, _ in each.points})
    places = places[:: math.ceil(len(places) / MOST_HINTS)]
    strips = []
    for index, x in enumerate(places):
        begin = (places[index - 1] + x) / 2 if index else x
        finish = (places[index + 1] + x) / 2 if index + 1 < len(places) else x
        if finish <= begin:
            begin, finish = begin - end / 200, finish + end / 200
        said = "".join(
            f'<span class="key {each.pigment}">{text(each.name)} {text(say(near[1]))}</span>'
            for each in drawn
            if (near := min(each.points, key=lambda point: abs(point[0] - x)))
            and abs(near[0] - x) <= finish - begin
        )
        side = " right" if x > end / 2 else ""
        strips.append(
            f'<i style="left:{begin / end * 100:.2f}%;width:{(finish - begin) / end * 100:.2f}%">'
            f'<b class="tip{side}">step {x:,.0f}{said}</b></i>'
        )
    return f'<div class="hints" aria-hidden="true">{"".join(strips)}</div>'


def _marks(warnings: Sequence[tuple[int, str]], end: float) -> str:
    """A mark at each step that a warning is about, which says it to the pointer and to a reader of the page."""
    by_step: dict[int, list[str]] = {}
    for step, words in warnings:
        by_step.setdefault(step, []).append(words)
    return "".join(
        f'<i class="mark" style="left:{min(step / end, 1) * 100:.2f}%"><b tabindex="0" role="img" '
        f'title="{text(chr(10).join(words))}" aria-label="Warning at step {step:,}: {text(" ".join(words))}">!</b></i>'
        for step, words in sorted(by_step.items())
    )
