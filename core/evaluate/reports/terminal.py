"""A report for a terminal: the verdict and the scores, on one screen. All that stands behind them is in the files."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.data.remarks import visible
from core.evaluate.report import Interval, Report, Score, TaskReport, main
from core.evaluate.reports import words
from core.show import console_of

PIPED = 200  # columns of what is no terminal: a table that is folded cannot be read by a program
WIDEST = 10_000  # columns, to measure what a table would take
MOST_SCORES = 16  # of more, each task's main score alone is shown
MOST_NOTES = 6


def as_text(report: Report) -> str:
    """Verdict, what was forgotten, and each task's scores; at most 40 lines of up to 100 columns for what comes with
    Atelier."""
    console = console_of(PIPED)
    found, forgotten = words.summary(report), words.forgetting(report)
    with console.capture() as captured:
        console.print(Text(visible(found.headline), style="bold"))
        for line in filter(None, (forgotten.headline, forgotten.advice)):
            console.print(Text(visible(line)), soft_wrap=not console.is_terminal)
        console.print()
        console.print(scores(report, console))
        for line in _notes(report):
            console.print(Text(line, style="yellow"), soft_wrap=not console.is_terminal)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def scores(report: Report, console: Console) -> Table:
    """The scores of each task below its name, with intervals; where these do not fit, with those of differences alone."""
    shown = [(task, task.scores) for task in report.tasks]
    if sum(len(of) for _, of in shown) > MOST_SCORES:
        shown = [(task, task.scores[:1]) for task in report.tasks]
    for intervals, gap in ((True, 2), (False, 2), (False, 1)):
        table = _table(report, shown, intervals, gap)
        if console.measure(table, options=console.options.update(width=WIDEST)).maximum <= console.width:
            break
    return table


def _table(
    report: Report, shown: Sequence[tuple[TaskReport, Sequence[Score]]], intervals: bool, gap: int
) -> Table:
    sides = words.sides(report)
    both = len(sides) == 2
    names = [words.name_of(report, side) for side in sides]
    table = Table(
        "",
        *names,
        *(["difference", "verdict"] if both else []),
        box=None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
    )
    for task, of in shown:
        rows = ", ".join(dict.fromkeys(words.count(each.n, each.of) for each in of))
        table.add_row(Text(f"{visible(task.label)}, {rows or 'no row could be scored'}", style="bold"))
        for each in of:
            known = [getattr(each, side) for side in sides]
            written = words.in_brackets if intervals or not both else _value
            table.add_row(
                Text(f"  {visible(each.label)} {'↑' if each.higher_is_better else '↓'}"),
                *map(written, known),
                *([words.in_brackets(each.difference, "+"), each.verdict or "–"] if both else []),
            )
    return table


def _value(interval: Interval | None) -> str:
    return words.figures(interval)[0] if interval else "–"


def _notes(report: Report) -> Iterator[str]:
    every = sum(len(task.scores) for task in report.tasks)
    if every > MOST_SCORES:
        hidden = every - sum(1 for task in report.tasks if main(task))
        yield f"Each task's main score is shown; {hidden:,} others are in the report."
    notes = [f"! {visible(task.label)}: {visible(note)}" for task in report.tasks for note in task.notes]
    yield from notes[:MOST_NOTES]
    if len(notes) > MOST_NOTES:
        yield f"! {words.count(len(notes) - MOST_NOTES, 'notes')} more in the report."
