"""Plots as HTML with SVG inside. A drawing is stretched to its frame; the words and figures stand beside it and never shrink.

`say` puts words and figures into the reader's language; without it they stay English. Colours are the variables --base, --tuned, --good, --bad, --quiet and --rule of the page that shows them.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

from core.evaluate.report import Interval, Score, TaskReport
from core.evaluate.reports import words
from core.runs.events import Progress

Say = Callable[[str], str]
SIDE = 1000  # of the square that is stretched
BINS = 16
MOST_POINTS = 240  # more than this, and neighbours are drawn as their mean


def intervals(score: Score, tuned: str = "Tuned", say: Say = str) -> str:
    """Both models on one scale, and their difference on one of its own, where zero is drawn."""
    both = [(name, each, colour) for name, each, colour in (
        ("Base", score.base, "base"), (tuned, score.tuned, "tuned")) if each]  # fmt: skip
    scale = Scale.of(bound for _, each, _ in both for bound in (each.low, each.high))
    rows = "".join(_strip(name, each, scale, colour, say=say) for name, each, colour in both)
    rows += _axis(scale, say=say)
    if score.difference:
        colour = {"helped": "good", "hurt": "bad"}.get(score.verdict or "", "quiet")
        own = Scale.of((0.0, score.difference.low, score.difference.high))
        left, right = ("worse", "better") if score.higher_is_better else ("better", "worse")
        rows += _strip("Difference", score.difference, own, colour, "+", say) + _axis(own, "+", say)
        down, up = f"← {escape(say(left))}", f"{escape(say(right))} →"
        rows += f'<div class="sense" aria-hidden="true"><span>{_arrow(own.low < 0, down)}</span><span>{_arrow(own.high > 0, up)}</span></div>'
    return f'<div class="intervals">{rows}</div>'


def outcomes(task: TaskReport, say: Say = str) -> str:
    """Rows that the tuned model won, tied and lost, as one bar with its words; empty where there is nothing to say."""
    tally, said = words.tally(task), words.by_row(task)
    parts = [("win", "won", "good"), ("tie", "tied", "quiet"), ("loss", "lost", "bad")]
    total = sum(tally[name] for name, *_ in parts)
    if not said:
        return ""
    drawn, at = "", 0.0
    for name, _, colour in parts if total else ():
        wide = tally[name] / total * SIDE
        drawn += f'<rect x="{at:.1f}" y="0" width="{wide:.1f}" height="{SIDE}" fill="var(--{colour})"/>'
        at += wide
    keys = "".join(
        f'<span class="key {colour}">{escape(say(did))} <b>{say(f"{tally[name]:,}")}</b></span>'
        for name, did, colour in parts
    )
    bar = (
        _svg(drawn, ", ".join(f"{say(did)} {say(f'{tally[name]:,}')}" for name, did, _ in parts))
        if total
        else ""
    )
    return (
        f'<figure class="outcomes"><figcaption>{escape(say("Row by row"))} <span class="keys">{keys if total else ""}</span>'
        f"</figcaption>{bar}<p>{escape(say(said))}</p></figure>"
    )


def lengths(task: TaskReport, tuned: str = "Tuned", say: Say = str) -> str:
    """How long the answers are, with those that were cut off in their own colour; empty where nothing was written."""
    found = [(name, colour, said) for name, colour, side in (("Base", "base", "base"), (tuned, "tuned", "tuned"))
             if (said := words.said(task, side))]  # fmt: skip
    if not found:
        return ""
    longest = max(max(said.tokens) for _, _, said in found) or 1
    wide = max(1, math.ceil((longest + 1) / BINS))
    bins = math.ceil((longest + 1) / wide)
    rows = []
    for name, colour, said in found:
        side = "base" if colour == "base" else "tuned"
        cut, ended = [0] * bins, [0] * bins
        for row in task.rows:
            if answer := getattr(row, side):
                (cut if answer.ended == "length" else ended)[answer.tokens // wide] += 1
        highest = max(map(sum, zip(cut, ended, strict=True)))
        drawn = "".join(
            _bar(
                place,
                bins,
                below,
                some,
                highest,
                hue,
                say(f"{place * wide}–{(place + 1) * wide - 1} tokens: {words.count(some, 'answers')}"),
            )
            for place in range(bins)
            for below, some, hue in ((0, ended[place], colour), (ended[place], cut[place], "bad"))
        )
        share = said.cut_off / said.answers
        median = sorted(said.tokens)[said.answers // 2]
        label = say(
            f"lengths of {words.count(said.answers, 'answers')}, half of them up to {median} tokens, {share:.0%} cut off"
        )
        rows.append(
            f'<div class="lengths-row"><span>{escape(say(name))}</span>{_svg(drawn, f"{say(name)}: {label}")}'
            f"<span><span><b>{say(f'{median:,}')}</b> <small>{escape(say('tokens, the median'))}</small></span>"
            f"<span><b>{say(f'{share:.0%}')}</b> <small>{escape(say('cut off'))}</small></span></span></div>"
        )
    end = escape(say(words.count(bins * wide, "tokens")))
    ends = f'<div class="axis" aria-hidden="true"><span style="left:0">0</span><span style="left:100%">{end}</span></div>'
    return (
        f'<figure class="lengths"><figcaption>{escape(say("Length of the answers"))} <span class="keys"><span class="key bad">'
        f"{escape(say('cut off at the longest allowed'))}</span></span></figcaption>{''.join(rows)}{ends}</figure>"
    )


def losses(progress: Progress) -> str:
    """The run's training and held-out loss over its steps; empty if it has none."""
    steps = [(each.step, each.loss) for each in progress.steps if math.isfinite(each.loss)]
    held_out = [(each.step, each.loss) for each in progress.held_out if math.isfinite(each.loss)]
    if not steps:
        return ""
    group = math.ceil(len(steps) / MOST_POINTS)
    parts = [steps[at : at + group] for at in range(0, len(steps), group)]
    steps = [(part[-1][0], sum(loss for _, loss in part) / len(part)) for part in parts]
    end = max(x for x, _ in (*steps, *held_out))
    scale = Scale.of(loss for _, loss in (*steps, *held_out))
    across = Scale(
        tuple(tick for tick in ticks(0, end, 5) if tick <= end) if end > 1 else (0, 1), 0, max(end, 1)
    )

    def points(of: Sequence[tuple[int, float]]) -> list[str]:
        return [f"{across.at(x):.1f} {SIDE - scale.at(y):.1f}" for x, y in of]

    drawn = "".join(f'<path class="grid" d="M0 {SIDE - scale.at(tick):.1f}H{SIDE}"/>' for tick in scale.ticks)
    drawn += f'<path class="line" stroke="var(--tuned)" d="M{"L".join(points(steps))}"/>'
    if held_out:
        drawn += f'<path class="line" stroke="var(--held-out)" d="M{"L".join(points(held_out))}"/>'
        # A line of no length with round ends is a dot that stretching leaves round.
        drawn += f'<path class="dot" stroke="var(--held-out)" d="{"".join(f"M{point}h0" for point in points(held_out))}"/>'
    said = [("training", "tuned", steps)] + ([("held out", "held-out", held_out)] if held_out else [])
    keys = "".join(f'<span class="key {hue}">{name} <b>{of[-1][1]:.3f}</b></span>' for name, hue, of in said)
    label = "Loss over the steps; " + ", ".join(f"{name} {of[-1][1]:.3f} at the end" for name, _, of in said)
    beside = "".join(
        f'<span style="top:{100 - scale.at(tick) / 10:.2f}%">{tick:g}</span>' for tick in scale.ticks
    )
    below = "".join(
        f'<span style="left:{across.at(tick) / 10:.2f}%">{tick:,.0f}</span>' for tick in across.ticks
    )
    return (
        f'<figure class="losses"><figcaption>Loss, nats per token <span class="keys">{keys}</span></figcaption>'
        f'<div class="plot"><div class="beside" aria-hidden="true">{beside}</div>{_svg(drawn, label)}</div>'
        f'<div class="axis" aria-hidden="true">{below}</div></figure>'
    )


def ticks(low: float, high: float, most: int = 4) -> tuple[float, ...]:
    """Round numbers that enclose low..high, `most` intervals of them or one more: 2.0, 2.5, 3.0."""
    if not high > low:
        low, high = low - abs(low) / 10, low + (abs(low) / 10 or 1.0)
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(index * step, 12) for index in range(first, last + 1))


class Scale:
    """From values to the stretched square."""

    def __init__(self, ticks: Sequence[float], low: float, high: float) -> None:
        self.ticks, self.low, self.high = ticks, low, high

    @classmethod
    def of(cls, values: Iterable[float]) -> "Scale":
        values = list(values)
        marks = ticks(min(values), max(values))
        return cls(marks, marks[0], marks[-1])

    def at(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low) * SIDE


def _strip(name: str, interval: Interval, scale: Scale, colour: str, sign: str = "", say: Say = str) -> str:
    low, high, at = (scale.at(each) for each in (interval.low, interval.high, interval.value))
    grid = "".join(
        f'<path class="{"zero" if tick == 0 and sign else "grid"}" d="M{scale.at(tick):.1f} 0V{SIDE}"/>'
        for tick in scale.ticks
    )
    drawn = (
        f'{grid}<rect x="{low:.1f}" y="250" width="{max(high - low, 4):.1f}" height="500" fill="var(--{colour})" opacity=".4"/>'
        f'<path class="value" stroke="var(--{colour})" d="M{at:.1f} 90V910"/>'
    )
    value, below, above = words.figures(interval, sign)
    label = f"{say(name)} {say(f'{value}, between {below} and {above}')}"
    return (
        f'<div class="strip"><span>{escape(say(name))}</span>{_svg(drawn, label)}'
        f"<span><b>{say(value)}</b> <small>{say(f'[{below}, {above}]')}</small></span></div>"
    )


def _axis(scale: Scale, sign: str = "", say: Say = str) -> str:
    largest = max(abs(scale.low), abs(scale.high))
    marks = "".join(
        f'<span style="left:{scale.at(tick) / 10:.2f}%">{say(_tick(tick, sign, largest))}</span>'
        for tick in scale.ticks
    )
    return f'<div class="axis" aria-hidden="true">{marks}</div>'


def _tick(tick: float, sign: str, largest: float) -> str:
    """As short as it can be written."""
    if largest >= 1e7:
        return words.number(tick, sign, largest)
    text = f"{tick:{sign if tick else ''},.12f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def _arrow(there: bool, text: str) -> str:
    return text if there else ""


def _bar(place: int, bins: int, below: int, some: int, highest: int, colour: str, said: str) -> str:
    if not some:
        return ""
    wide, unit = SIDE / bins, SIDE / highest
    return (
        f'<rect x="{place * wide + wide * 0.06:.1f}" y="{SIDE - (below + some) * unit:.1f}" width="{wide * 0.88:.1f}" '
        f'height="{some * unit:.1f}" fill="var(--{colour})"><title>{escape(said)}</title></rect>'
    )


def _svg(drawn: str, label: str) -> str:
    return f'<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">{drawn}</svg>'
