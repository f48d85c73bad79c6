"""A report as Markdown, for a terminal, a note or a page of a wiki. What a model said is quoted and never markup."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from core.evaluate.report import Answer, Kind, Prompted, Report, Row, Sourced, TaskReport, main
from core.evaluate.reports import words

SHOWN_FIRST = ("loss", "unread", "win", "tie")


def as_markdown(report: Report, answers: int = 0) -> str:
    """Verdict, scores and definitions; and of each task up to `answers` rows with what both models said, losses first.

    No answers unless asked for: they quote the examples, and Markdown is soon pasted where everyone can read it.
    """
    found, forgotten = words.summary(report), words.forgetting(report)
    parts = [
        f"# Evaluation of {_line(report.run)}",
        f"**{_line(found.headline)}** {_line(forgotten.headline)} {_line(forgotten.sentence)}",
        *filter(None, [_line(forgotten.beside), _line(forgotten.advice)]),
        f"{' and '.join(report.sides).capitalize()}, from {_line(report.base_model)}; {words.made(report)}.",
        *chain.from_iterable(_task(report, task, answers) for task in report.tasks),
    ]
    if answers and report.prompts:
        parts += ["## Your own questions", *(_prompted(report, each) for each in report.prompts[:answers])]
    parts += ["## How to repeat it", _fenced("\n".join(words.commands(report)), "sh")]
    return "\n\n".join(parts) + "\n"


def _task(report: Report, task: TaskReport, answers: int) -> Iterator[str]:
    yield f"## {_line(task.label)}"
    if task.about:
        yield _line(task.about)
    yield _line(words.sentence(task))
    if task.scores:
        yield _scores(report, task)
        yield "\n".join(f"- **{_line(score.label)}**: {_line(score.definition)}." for score in task.scores)
    if task.by_source:
        yield _by_source(report, main(task).label, task.by_source)
    if by_row := words.by_row(task):
        yield _line(by_row)
    yield "\n".join(f"- {name}: {_line(value)}" for name, value in words.how(task))
    if task.notes:
        yield "\n".join(f"- {_line(note)}" for note in task.notes)
    if answers:
        yield from (_row(report, task, row) for row in _first(task, answers))


def _scores(report: Report, task: TaskReport) -> str:
    sides = words.sides(report)
    names = [words.name_of(report, side) for side in sides]
    both = len(sides) == 2
    rows = (
        [
            f"{_line(s.label)} {'↑' if s.higher_is_better else '↓'}",
            *(words.in_brackets(getattr(s, side)) for side in sides),
            *([words.in_brackets(s.difference, "+"), s.verdict or "–"] if both else []),
            words.count(s.n, s.of),
        ]
        for s in task.scores
    )
    return _table(["", *names, *([f"{names[1]} − base", "Verdict"] if both else []), "n"], rows)


def _by_source(report: Report, label: str, found: Sequence[Sourced]) -> str:
    sides = words.sides(report)
    both = len(sides) == 2
    rows = (
        [
            _line(words.place(each.source)),
            words.count(each.score.n, each.score.of),
            *(words.in_brackets(getattr(each.score, side)) for side in sides),
            *([each.score.verdict or "–"] if both else []),
        ]
        for each in found
    )
    names = (words.name_of(report, side) for side in sides)
    return _table([f"{_line(label)} on", "n", *names, *(["Verdict"] if both else [])], rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are Markdown already."""
    lines = (f"| {' | '.join(cells)} |" for cells in rows)
    top = "|" + "|".join(f" {head} " if head else " " for head in heads) + "|"
    return "\n".join([top, "|" + "---|" * len(heads), *lines])


def _first(task: TaskReport, most: int) -> list[Row]:
    """What there is to learn from comes first."""

    def place(row: Row) -> int:
        return min((SHOWN_FIRST.index(kind) for kind in words.kinds(row, task)), default=len(SHOWN_FIRST))

    return sorted((row for row in task.rows if row.base or row.tuned), key=place)[:most]


def _row(report: Report, task: TaskReport, row: Row) -> str:
    kinds = ", ".join(words.kinds(row, task)).replace("unread", "could not be read")
    said = [("Question", row.question), ("Reference", row.reference), *_said(report, row, task.kind)]
    return "\n\n".join(
        [f"### {_line(words.place(row.source))}{f' ({kinds})' if kinds else ''}"]
        + [f"{who}:\n\n{_fenced(what)}" for who, what in said]
    )


def _prompted(report: Report, each: Prompted) -> str:
    said = [("Question", each.question), *_said(report, each)]
    return "\n\n".join(f"{who}:\n\n{_fenced(what)}" for who, what in said)


def _said(report: Report, row: Row | Prompted, kind: Kind = "generation") -> Iterator[tuple[str, str]]:
    for side in words.sides(report):
        answer = getattr(row, side)
        if answer is not None and kind == "choice":
            yield words.name_of(report, side), answer.text
        elif answer is not None:
            found = f", read as {_line(answer.found)}" if answer.found is not None else ""
            yield f"{words.name_of(report, side)} ({words.ended(answer)}{found})", _text(answer)


def _text(answer: Answer) -> str:
    return answer.text + (" […]" if answer.ended == "length" else "")


def _fenced(text: str, kind: str = "text") -> str:
    """A block that the text cannot end, whatever it holds."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def _line(text: str) -> str:
    """On one line, and without what would be a link, a picture, a cell or a tag."""
    return re.sub(r"([\\|<>\[\]])", r"\\\1", " ".join(text.split()))
