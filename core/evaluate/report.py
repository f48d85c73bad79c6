"""What an evaluation found, as a value and as reports/evaluation.json; nothing here needs torch."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from core.errors import RunError
from core.runs.store import Run

FILE = "evaluation.json"  # in the run's reports/
Verdict = Literal["better", "worse", "no clear change"]


@dataclass(frozen=True)
class Interval:
    """A score, and the bounds that hold it with the report's confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """One measure of both models on the same `n` rows or answers; `difference` is tuned minus base."""

    name: str
    label: str
    definition: str
    higher_is_better: bool
    n: int
    of: Literal["rows", "answers"]
    base: Interval
    tuned: Interval
    difference: Interval
    verdict: Verdict


@dataclass(frozen=True)
class Answer:
    """What a model said: `tokens` without the one that ended its turn; `length` means that it was cut off."""

    text: str
    tokens: int
    ended: Literal["turn", "length"]


@dataclass(frozen=True)
class Both:
    """A row's score for either model."""

    base: float
    tuned: float


@dataclass(frozen=True)
class Answered:
    """A held-out question with its reference, and what either model said."""

    source: str
    question: str
    reference: str
    base: Answer
    tuned: Answer
    exact_match: Both
    rouge_l: Both


@dataclass(frozen=True)
class Prompted:
    """A question of the user's own, which has no reference."""

    question: str
    base: Answer
    tuned: Answer


@dataclass(frozen=True)
class Settings:
    """How the scores were made: without these, they cannot be compared with others."""

    answers: int
    max_new_tokens: int
    decoding: Literal["greedy"]
    resamples: int
    confidence: float


@dataclass(frozen=True)
class Sourced:
    """A score on the rows of one of several data sets."""

    source: str
    score: Score


@dataclass(frozen=True)
class Report:
    held_out: int  # rows scored
    settings: Settings
    scores: tuple[Score, ...]
    answers: tuple[Answered, ...]
    prompts: tuple[Prompted, ...]
    by_source: tuple[Sourced, ...] = ()  # perplexity, where the rows are from several data sets


def write(run: Run, report: Report) -> None:
    """Written beside and renamed: a reader sees the earlier report or this one, never half of it."""
    run.reports.mkdir(exist_ok=True)
    path = run.reports / FILE
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(asdict(report), indent=1, ensure_ascii=False, allow_nan=False), "utf-8")
    beside.replace(path)


def read(run: Run) -> Report | None:
    """The run's report; None if it was not evaluated. RunError if the file is not one of ours."""
    path = run.reports / FILE
    try:
        return TypeAdapter(Report).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise RunError(
            f"{path} is not a report of an evaluation: delete it and evaluate the run again."
        ) from None


def as_markdown(report: Report, answers: int = 0) -> str:
    """The scores as a table with their definitions, and the first `answers` held-out answers side by side.

    No answers unless asked for: they quote the held-out data, and a model card is public.
    """
    parts = [_scores(report)] if report.scores else ["No held-out rows were scored."]
    if report.by_source:
        parts.append(_by_source(report.by_source))
    shown = report.answers[:answers]
    for each in shown:
        said = [("Reference", each.reference), ("Base", _said(each.base)), ("Tuned", _said(each.tuned))]
        parts.append(
            "\n".join(
                [f"**{_one_line(each.question)}**\n"] + [f"- {who}: {_one_line(what)}" for who, what in said]
            )
        )
    return "\n\n".join(parts) + "\n"


def _scores(report: Report) -> str:
    table = [
        "| | Base | Tuned | Tuned − base | Verdict |",
        "|---|---|---|---|---|",
        *(
            f"| {s.label} {'↑' if s.higher_is_better else '↓'} | {_cell(s.base)} | {_cell(s.tuned)} "
            f"| {_cell(s.difference, sign='+')} | {s.verdict} (n = {s.n} {s.of}) |"
            for s in report.scores
        ),
    ]
    how = report.settings
    notes = [
        f"In brackets: {how.confidence:.0%} intervals, percentile bootstrap over rows with {how.resamples} resamples, paired "
        f"for the difference. Answers: {how.decoding} decoding, {how.max_new_tokens} new tokens at most.",
        "",
        *(f"- {s.label}: {s.definition}." for s in report.scores),
    ]
    return "\n".join([*table, "", *notes])


def _by_source(found: tuple[Sourced, ...]) -> str:
    rows = (
        f"| {_one_line(each.source)} | {each.score.n} | {_cell(each.score.base)} | {_cell(each.score.tuned)} "
        f"| {each.score.verdict} |"
        for each in found
    )
    return "\n".join(["| Perplexity on | Rows | Base | Tuned | Verdict |", "|---|---|---|---|---|", *rows])


def _cell(score: Interval, sign: str = "") -> str:
    digits = 1 if max(abs(score.low), abs(score.high)) >= 10 else 3
    value, low, high = (f"{number:{sign}.{digits}f}" for number in (score.value, score.low, score.high))
    return f"{value} [{low}, {high}]"


def _said(answer: Answer) -> str:
    return answer.text + (" […]" if answer.ended == "length" else "")


def _one_line(text: str) -> str:
    return " ".join(text.split())
