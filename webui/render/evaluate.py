"""An evaluation's report: whether training helped first, then every score, then what both models said, row by row."""

from collections.abc import Sequence

from core.evaluate.report import Answer, Report, Row, Score, Sourced, TaskReport, main, outcome
from core.evaluate.reports import plots, words
from webui.render.data import file_name, source_words
from webui.render.parts import INTERVALS, count, hint, section, table, text

ENDED = {
    "turn": "ended its turn",
    "length": "cut off at the longest allowed",
    "stopped": "stopped by you",
}
# What rows can be looked for by: as it is said, and as `core.evaluate.reports.words.kinds` calls it.
KINDS = (("All", ""), ("Wins", "win"), ("Losses", "loss"), ("Ties", "tie"), ("Not parsed", "unread"))
OUTCOME = {"win": ("helped", "won"), "loss": ("hurt", "lost"), "tie": ("tie", "tied")}


def nothing() -> str:
    return hint("No run has been trained to its end yet. Start one on the Train page.")


def report(found: Report | None) -> str:
    """Verdict, forgetting, and a card for each task."""
    if found is None:
        return hint("This run has not been scored yet.")
    read = section("Scores") + hint(INTERVALS) if found.tasks else ""
    return verdict(found) + read + "".join(card(found, task) for task in found.tasks) + prompts(found)


def verdict(found: Report) -> str:
    """In plain words, before any figure."""
    summary = words.summary(found)
    sentences = "".join(f"<p>{text(each)}</p>" for each in summary.sentences)
    forgotten = words.forgetting(found)
    beside = f"<p class=beside>{text(forgotten.beside)}</p>" if forgotten.beside else ""
    return (
        f'<div class="verdict {_class(summary.verdict)}"><h2>{text(summary.headline)}</h2>{sentences}'
        f'<p class="forgetting {_class(forgotten.verdict)}"><b>{text(forgotten.headline)}</b> {text(forgotten.sentence)}</p>{beside}</div>'
    )


def card(found: Report, task: TaskReport) -> str:
    """One task: its scores with their intervals, how many rows were won, how long the answers are, and how it was done."""
    score = main(task)
    badge = _badge(score) if score and score.verdict else ""
    tuned = words.name_of(found, "tuned")
    scores = "".join(one_score(each, tuned) for each in task.scores[: words.DRAWN])
    notes = "".join(f'<p class="caution">{text(note)}</p>' for note in task.notes)
    how = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in words.how(task))
    defined = "".join(
        f"<dt>{text(each.label)}</dt><dd>{text(each.definition)}</dd>" for each in task.scores[words.DRAWN :]
    )
    return (
        f'<article class="task" data-task="{text(task.name)}"><header><h2>{text(task.label)}</h2>{badge}</header>'
        f'<p class="about">{text(task.about)}</p>{notes}'
        f'<div class="drawn">{scores}{plots.outcomes(task)}{plots.lengths(task, tuned)}</div>{others(task, tuned)}{by_source(score, task.by_source)}'
        f"<details><summary>How it was scored</summary><dl class=how>{defined}{how}</dl></details></article>"
    )


def one_score(each: Score, tuned: str) -> str:
    better = "higher is better" if each.higher_is_better else "lower is better"
    badge = _badge(each) if each.verdict else ""
    return (
        f'<section class="score"><header><h3>{text(each.label)}</h3>{badge}</header>{plots.intervals(each, tuned)}'
        f"<p class=definition>{text(each.definition)}; {better}; measured on {count(each.n, each.of[:-1])}.</p></section>"
    )


def others(task: TaskReport, tuned: str) -> str:
    """The scores that are not drawn."""
    rows = [
        (
            f"{text(each.label)} {'↑' if each.higher_is_better else '↓'}",
            words.in_brackets(each.base),
            words.in_brackets(each.tuned),
            words.in_brackets(each.difference, "+"),
            _badge(each) if each.verdict else "",
        )
        for each in task.scores[words.DRAWN :]
    ]
    heads = ("Score", "#Base", f"#{tuned}", "#Difference", "Verdict")
    return table(heads, rows, "scored") if rows else ""


def by_source(score: Score | None, found: Sequence[Sourced]) -> str:
    """The main score on each data set, where there are several."""
    if not found or score is None:
        return ""
    rows = (
        (
            text(file_name(each.source)),
            f"{each.score.n:,}",
            words.in_brackets(each.score.base),
            words.in_brackets(each.score.tuned),
            _badge(each.score) if each.score.verdict else "",
        )
        for each in found
    )
    return table((f"{score.label} on", "#n", "#Base", "#Tuned", "Verdict"), rows, "scored")


def rows(found: Report, task: TaskReport, kind: str, most: int) -> str:
    """Up to `most` rows of a kind, with what both models said, and how many there are in all."""
    chosen = matching(task, kind)
    if not chosen:
        return hint("There is no such row.")
    lines = (
        (
            f'<p dir="auto">{text(row.question)}</p><small>{_won(row, task)}{source_words(row.source)}</small>',
            f'<p dir="auto">{text(row.reference)}</p>',
            *(_said(row, task, side) for side in words.sides(found)),
        )
        for row in chosen[:most]
    )
    names = [words.name_of(found, side) for side in words.sides(found)]
    shown = f"{min(most, len(chosen)):,} of {count(len(chosen), 'row')}"
    return f'<p class="hint">{shown}</p>' + table(("Question", "Reference", *names), lines, "answers")


def matching(task: TaskReport, kind: str) -> list[Row]:
    return [row for row in task.rows if not kind or kind in words.kinds(row, task)]


def prompts(found: Report) -> str:
    if not found.prompts:
        return ""
    sides = words.sides(found)
    lines = (
        (f'<p dir="auto">{text(row.question)}</p>', *(_answer(getattr(row, side)) for side in sides))
        for row in found.prompts
    )
    names = [words.name_of(found, side) for side in sides]
    return section("Your own questions") + table(("Question", *names), lines, "answers")


def _said(row: Row, task: TaskReport, side: str) -> str:
    """An answer, what was read out of it, and what that was worth; of rows that are only read, the mark alone."""
    answer, notes = getattr(row, side), words.notes(row, task, side, text)
    if answer is None:
        return f"<small>{'; '.join(notes)}</small>"
    if task.kind == "choice":  # nothing was written, so nothing ended
        return f'<p dir="auto">{text(answer.text)}</p><small>{"; ".join(notes)}</small>'
    return _answer(answer, notes)


def _won(row: Row, task: TaskReport) -> str:
    name = outcome(row, task)
    return f'<span class="badge {OUTCOME[name][0]}">{OUTCOME[name][1]}</span> ' if name else ""


def _answer(answer: Answer | None, notes: Sequence[str] = ()) -> str:
    if answer is None:
        return "<small>not asked</small>"
    given = text(answer.text) or "<i>(nothing)</i>"
    how = f"{count(answer.tokens, 'token')}, {ENDED[answer.ended]}"
    return f'<p dir="auto">{given}</p><small>{"; ".join([how, *notes])}</small>'


def _badge(score: Score) -> str:
    return f'<span class="badge {_class(score.verdict)}">{text(score.verdict)}</span>'


def _class(verdict: str | None) -> str:
    return {"helped": "helped", "hurt": "hurt", "mixed": "mixed"}.get(verdict or "", "unclear")
