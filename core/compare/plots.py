"""Curves of several runs in one figure: SVG that is stretched to its frame, with words beside it that never shrink.

Colours are the variables --run-0 to --run-3 of the page that shows them; further runs are dashed, so that none is told
by its colour alone. `say` puts words and figures into the reader's language; without it they stay English.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path

from core.compare.retrieval import PAIRS, Comparison, difference
from core.compare.runs import Curve, Point
from core.evaluate.report import Interval
from core.evaluate.reports.plots import SIDE, Say, Scale, ticks
from core.evaluate.reports.words import figures
from core.show import duration

STYLE = Path(__file__).with_name("plots.css")
COLOURS = 4
DASHES = ("", "7 5", "2 5", "10 4 2 4")  # after each round of the colours
MOST_POINTS = 160  # of a curve; more, and neighbours are drawn as their mean
ACROSS: dict[str, tuple[str, Callable[[Point], float], Callable[[float], str]]] = {
    "step": ("Loss by step", lambda point: point.step, lambda value: f"{value:,.0f}"),
    "tokens": ("Loss by tokens trained on", lambda point: point.tokens, lambda value: short(value)),
    "time": ("Loss by time at work", lambda point: point.seconds, lambda value: duration(value)),
}

HOW = "In nats a token. Thin: training. With dots: held out, whose latest value stands beside the name."


def look(place: int) -> tuple[str, str]:
    """Colour and dashes of the run at this place."""
    return f"var(--run-{place % COLOURS})", DASHES[place // COLOURS % len(DASHES)]


def losses(curves: Mapping[str, Curve], across: str, say: Say = str) -> str:
    """Training loss, thin, and held-out loss, with a dot where it was measured; empty if no run has any."""
    title, where, show = ACROSS[across]
    title = say(title)
    drawn = {
        name: (thinned(_points(curve.training, where)), _points(curve.held_out, where))
        for name, curve in curves.items()
        if curve.training or curve.held_out
    }
    points = [point for pair in drawn.values() for of in pair for point in of]
    if not points:
        return ""
    end = max(x for x, _ in points) or 1.0
    scale = Scale.of(y for _, y in points)
    below = [
        tick for tick in ticks(0, end, 5) if tick <= end * 1.0001 and (tick == int(tick) or across == "time")
    ]
    lines = "".join(f'<path class="grid" d="M0 {SIDE - scale.at(tick):.1f}H{SIDE}"/>' for tick in scale.ticks)
    keys, said = "", []
    for place, name in enumerate(curves):
        training, held_out = drawn.get(name, ([], []))
        if not training and not held_out:
            continue
        colour, dashes = look(place)
        lines += _lines(training, held_out, end, scale, colour, dashes)
        last = (held_out or training)[-1][1]
        kind = "held out" if held_out else "training"
        keys += f"{key(place, name)} <b>{say(f'{last:.3f}')}</b></span>"
        said.append(f"{name} {say(f'{last:.3f} {kind} at the end')}")
    beside = "".join(
        f'<span style="top:{100 - scale.at(tick) / 10:.2f}%">{say(f"{tick:g}")}</span>'
        for tick in scale.ticks
    )
    axis = "".join(
        f'<span style="left:{tick / end * 100:.2f}%">{escape(say(show(tick)))}</span>' for tick in below
    )
    return (
        f'<figure class="overlaid"><figcaption><span>{escape(title)}</span><span class="keys">{keys}</span></figcaption>'
        f'<div class="plot"><div class="beside" aria-hidden="true">{beside}</div>'
        f"{_svg(lines, f'{title}: ' + '; '.join(said))}</div>"
        f'<div class="axis" aria-hidden="true">{axis}</div><small>{escape(say(HOW))}</small></figure>'
    )


def differences(found: Comparison, colours: tuple[str, str, str], say: Say = str) -> str:
    """What a decision turns on; the names of the style's colours above zero, below it, and for what holds it."""
    above, below, unclear = colours
    rows = []
    for better, than in PAIRS:
        name = difference(better, than)
        each = found.measures[0].differences[name]
        colour = above if each.low > 0 else below if each.high < 0 else unclear
        rows.append((escape(say(name.capitalize())), each, f"var(--{colour})"))
    return forest(rows, zero=True, say=say)


def forest(rows: Sequence[tuple[str, Interval, str]], zero: bool = False, say: Say = str) -> str:
    """Intervals under each other on one scale: (what it is, as HTML; the interval; its colour). With `zero`, they are
    differences, and zero is drawn."""
    bounds = [bound for _, each, _ in rows for bound in (each.low, each.high)]
    scale = Scale.of([*bounds, 0.0] if zero else bounds)
    grid = "".join(
        f'<path class="{"zero" if zero and tick == 0 else "grid"}" d="M{scale.at(tick):.1f} 0V{SIDE}"/>'
        for tick in scale.ticks
    )
    drawn = ""
    for name, each, colour in rows:
        low, high, at = (scale.at(value) for value in (each.low, each.high, each.value))
        value, below, above = figures(each, "+" if zero else "")
        strip = (
            f'{grid}<rect x="{low:.1f}" y="300" width="{max(high - low, 4):.1f}" height="400" fill="{colour}" opacity=".4"/>'
            f'<path class="value" stroke="{colour}" d="M{at:.1f} 120V880"/>'
        )
        drawn += (
            f'<div class="of"><span>{name}</span>{_svg(strip, say(f"{value}, between {below} and {above}"))}'
            f"<span><b>{say(value)}</b> <small>{say(f'[{below}, {above}]')}</small></span></div>"
        )
    marks = "".join(
        f'<span style="left:{scale.at(tick) / 10:.2f}%">{say(f"{tick:g}".replace("-", "−"))}</span>'
        for tick in scale.ticks
    )
    return f'<div class="forest">{drawn}<div class="axis" aria-hidden="true">{marks}</div></div>'


def key(place: int, name: str) -> str:
    """The sign of a run and its name; the caller closes the span."""
    colour, dashes = look(place)
    return (
        f'<span class="run-key"><svg viewBox="0 0 22 8" aria-hidden="true"><path d="M1 4H21" stroke="{colour}" '
        f'stroke-dasharray="{dashes}"/></svg>{escape(name)}'
    )


@cache
def css() -> str:
    """How the figures look on any page that has the variables named above, --ink, --pale, --rule and --sheet."""
    return STYLE.read_text("utf-8")


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    group = math.ceil(len(points) / MOST_POINTS) or 1
    parts = [points[at : at + group] for at in range(0, len(points), group)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]


def short(value: float) -> str:
    """`812`, `12.5k`, `1.2M`, `3B`."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def _points(curve: Sequence[Point], where: Callable[[Point], float]) -> list[tuple[float, float]]:
    return [(float(where(point)), point.loss) for point in curve]


def _lines(
    training: Sequence[tuple[float, float]],
    held_out: Sequence[tuple[float, float]],
    end: float,
    scale: Scale,
    colour: str,
    dashes: str,
) -> str:
    def path(points: Sequence[tuple[float, float]]) -> list[str]:
        return [f"{x / end * SIDE:.1f} {SIDE - scale.at(y):.1f}" for x, y in points]

    style = f'stroke="{colour}" stroke-dasharray="{dashes}"'
    drawn = f'<path class="thin" {style} d="M{"L".join(path(training))}"/>' if training else ""
    if held_out:
        drawn += f'<path class="line" {style} d="M{"L".join(path(held_out))}"/>'
        # A line of no length with round ends is a dot that stretching leaves round.
        drawn += f'<path class="dot" stroke="{colour}" d="{"".join(f"M{at}h0" for at in path(held_out))}"/>'
    return drawn


def _svg(drawn: str, label: str) -> str:
    return f'<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">{drawn}</svg>'
