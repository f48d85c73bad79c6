"""An evaluation's report: whether training helped first, then every score, then what both models said, row by row."""

import re
from collections.abc import Sequence

from core.evaluate.report import Answer, Interval, Report, Row, Score, Sourced, TaskReport, main, outcome
from core.evaluate.reports import plots, words
from webui import language
from webui.language import number, t
from webui.render.data import file_name, source_words
from webui.render.parts import INTERVALS, as_written, count, hint, said, section, table, text

ENDED = {
    "turn": "ended its turn",
    "length": "cut off at the longest allowed",
    "stopped": "stopped by you",
}
# What rows can be looked for by: as it is said, and as `core.evaluate.reports.words.kinds` calls it.
KINDS = (("All", ""), ("Wins", "win"), ("Losses", "loss"), ("Ties", "tie"), ("Not parsed", "unread"))
OUTCOME = {"win": ("helped", "won"), "loss": ("hurt", "lost"), "tie": ("tie", "tied")}
_SHORT = re.compile(r"(?<![\w.,])(\d+)(?:\.(\d+))?([kMB])\b")  # 3.3k, as tokens are counted
_FRENCH_UNITS = {"k": "k", "M": "M", "B": "Md"}


def nothing() -> str:
    return hint(t("No run has been trained to its end yet. Start one on the Train page."))


def say(words: str) -> str:
    """Words and figures of core's in the reader's language: `3.3k` is `3,3 k` in French."""
    found = language.said(words)
    if language.language() != language.FRENCH:
        return found
    return _SHORT.sub(
        lambda n: f"{n[1]}{f',{n[2]}' if n[2] else ''}{language.NO_BREAK}{_FRENCH_UNITS[n[3]]}", found
    )


def in_brackets(interval: Interval | None, sign: str = "") -> str:
    return say(words.in_brackets(interval, sign))


def report(found: Report | None) -> str:
    """Verdict, forgetting, and a card for each task."""
    if found is None:
        return hint(t("This run has not been scored yet. Press the button above to score both models."))
    read = section(t("Scores")) + hint(t(INTERVALS)) if found.tasks else ""
    return verdict(found) + read + "".join(card(found, task) for task in found.tasks) + prompts(found)


def verdict(found: Report) -> str:
    """In plain words, before any figure."""
    summary = words.summary(found)
    sentences = "".join(f"<p>{text(say(each))}</p>" for each in summary.sentences)
    forgotten = words.forgetting(found)
    also = (_all(forgotten.others), say(forgotten.advice))
    beside = "".join(f"<p class=beside>{text(each)}</p>" for each in also if each)
    return (
        f'<div class="verdict {_class(summary.verdict)}"><h2>{text(say(summary.headline))}</h2>{sentences}'
        f'<p class="forgetting {_class(forgotten.verdict)}"><b>{text(say(forgotten.headline))}</b> '
        f"{text(_all(forgotten.sentences))}</p>{beside}</div>"
    )


def _all(sentences: Sequence[str]) -> str:
    return " ".join(map(say, sentences))


def card(found: Report, task: TaskReport) -> str:
    """One task: its scores with their intervals, how many rows were won, how long the answers are, and how it was done."""
    score = main(task)
    badge = _badge(score) if score and score.verdict else ""
    tuned = words.name_of(found, "tuned")
    scores = "".join(one_score(each, tuned) for each in task.scores[: words.DRAWN])
    notes = "".join(f'<p class="caution">{text(say(note))}</p>' for note in task.notes)
    how = "".join(f"<dt>{said(name)}</dt>{_how(task, name, value)}" for name, value in words.how(task))
    defined = "".join(
        f"<dt>{said(each.label)}</dt><dd>{text(say(each.definition))}</dd>"
        for each in task.scores[words.DRAWN :]
    )
    drawn = f"{scores}{plots.outcomes(task, say)}{plots.lengths(task, tuned, say)}"
    return (
        f'<article class="task" data-task="{text(task.name)}"><header><h2>{said(task.label)}</h2>{badge}</header>'
        f'<p class="about">{said(task.about)}</p>{notes}'
        f'<div class="drawn">{drawn}</div>{others(task, tuned)}{by_source(score, task.by_source)}'
        f"<details><summary>{t('How it was scored')}</summary><dl class=how>{defined}{how}</dl></details></article>"
    )


def _how(task: TaskReport, name: str, value: str) -> str:
    """A prompt stays as the models got it."""
    if value == task.settings.prompt:
        return f'<dd translate="no">{text(value)}</dd>'
    return f"<dd>{text(say(value))}</dd>"


def one_score(each: Score, tuned: str) -> str:
    better = t("higher is better") if each.higher_is_better else t("lower is better")
    badge = _badge(each) if each.verdict else ""
    measured = t("measured on {rows}", rows=count(each.n, each.of[:-1]))
    return (
        f'<section class="score"><header><h3>{said(each.label)}</h3>{badge}</header>{plots.intervals(each, tuned, say)}'
        f"<p class=definition>{text(say(each.definition))}{t('; ')}{better}{t('; ')}{measured}.</p></section>"
    )


def others(task: TaskReport, tuned: str) -> str:
    """The scores that are not drawn."""
    rows = [
        (
            f"{said(each.label)} {'↑' if each.higher_is_better else '↓'}",
            in_brackets(each.base),
            in_brackets(each.tuned),
            in_brackets(each.difference, "+"),
            _badge(each) if each.verdict else "",
        )
        for each in task.scores[words.DRAWN :]
    ]
    heads = (t("Score"), "#" + t("Base"), "#" + t(tuned), "#" + t("Difference"), t("Verdict"))
    return table(heads, rows, "scored") if rows else ""


def by_source(score: Score | None, found: Sequence[Sourced]) -> str:
    """The main score on each data set, where there are several."""
    if not found or score is None:
        return ""
    rows = (
        (
            as_written(file_name(each.source)),
            number(each.score.n),
            in_brackets(each.score.base),
            in_brackets(each.score.tuned),
            _badge(each.score) if each.score.verdict else "",
        )
        for each in found
    )
    on = t("{measure} on", measure=language.said(score.label))
    return table((on, "#n", "#" + t("Base"), "#" + t("Tuned"), t("Verdict")), rows, "scored")


def rows(found: Report, task: TaskReport, kind: str, most: int) -> str:
    """Up to `most` rows of a kind, with what both models said, and how many there are in all."""
    chosen = matching(task, kind)
    if not chosen:
        return hint(t("There is no such row; choose another kind, or All."))
    lines = (
        (
            f"{_theirs(row.question)}<small>{_won(row, task)}{source_words(row.source)}</small>",
            _theirs(row.reference),
            *(_said(row, task, side) for side in words.sides(found)),
        )
        for row in chosen[:most]
    )
    names = [t(words.name_of(found, side)) for side in words.sides(found)]
    shown = t("{n} of {rows}", n=number(min(most, len(chosen))), rows=count(len(chosen), "row"))
    heads = (t("Question"), t("Reference"), *names)
    return f'<p class="hint">{shown}</p>' + table(heads, lines, "answers")


def matching(task: TaskReport, kind: str) -> list[Row]:
    return [row for row in task.rows if not kind or kind in words.kinds(row, task)]


def prompts(found: Report) -> str:
    if not found.prompts:
        return ""
    sides = words.sides(found)
    lines = (
        (_theirs(row.question), *(_answer(getattr(row, side)) for side in sides)) for row in found.prompts
    )
    names = [t(words.name_of(found, side)) for side in sides]
    return section(t("Your own questions")) + table((t("Question"), *names), lines, "answers")


def _theirs(words: str) -> str:
    """What a person or a model wrote."""
    return f'<p dir="auto" translate="no">{text(words)}</p>'


def _said(row: Row, task: TaskReport, side: str) -> str:
    """An answer, what was read out of it, and what that was worth; of rows that are only read, the mark alone."""
    answer, notes = getattr(row, side), words.notes(row, task, side, text, say)
    if answer is None:
        return f"<small>{t('; ').join(notes)}</small>"
    if task.kind == "choice":  # nothing was written, so nothing ended
        return f"{_theirs(answer.text)}<small>{t('; ').join(notes)}</small>"
    return _answer(answer, notes)


def _won(row: Row, task: TaskReport) -> str:
    name = outcome(row, task)
    return f'<span class="badge {OUTCOME[name][0]}">{t(OUTCOME[name][1])}</span> ' if name else ""


def _answer(answer: Answer | None, notes: Sequence[str] = ()) -> str:
    if answer is None:
        return f"<small>{t('not asked')}</small>"
    given = _theirs(answer.text) if answer.text else f"<p><i>{t('(nothing)')}</i></p>"
    how = f"{count(answer.tokens, 'token')}, {t(ENDED[answer.ended])}"
    return f"{given}<small>{t('; ').join([how, *notes])}</small>"


def _badge(score: Score) -> str:
    return f'<span class="badge {_class(score.verdict)}">{said(score.verdict)}</span>'


def _class(verdict: str | None) -> str:
    return {"helped": "helped", "hurt": "hurt", "mixed": "mixed"}.get(verdict or "", "unclear")
