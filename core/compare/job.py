"""The act `compare`: the same questions to base and tuned model, each with and without passages of documents."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from core.compare.asking import HANDED_OVER, Prompt, Work, questions_of
from core.compare.decision import decide
from core.compare.page import FILE as PAGE
from core.compare.page import retrieval_page
from core.compare.passages import POLICY, Index, Passage, passages
from core.compare.retrieval import (
    FILE,
    PAIRS,
    PLAIN,
    WAYS,
    WITH,
    Comparison,
    Measured,
    Price,
    Request,
    Row,
    Said,
    Settings,
    Shown,
    Way,
    difference,
    write,
)
from core.compare.runs import worked
from core.data.examples import Example
from core.data.generate.documents import Document
from core.data.generate.reading import documents
from core.data.remarks import visible
from core.errors import DataError
from core.evaluate.bootstrap import CONFIDENCE, RESAMPLES
from core.evaluate.bootstrap import compare as paired
from core.evaluate.graders import GRADERS
from core.evaluate.metrics import Measure, words
from core.evaluate.report import Answer, whole
from core.runs.events import Noted, Staged
from core.runs.store import Run
from core.train.model import open_pair, set_threads

MARKED_BY = ("f1", "rouge_l", "exact_match")  # graders; the first one decides


def compare_with_retrieval(run: Run, **options: Any) -> str | None:
    """Answer, measure, decide, and write the report; its place in the run's folder, or None if it was stopped.

    Options are those of `Request`.
    """
    began = time.monotonic()
    request = Request(**options | {"documents": tuple(options.get("documents", ()))})
    set_threads(run.spec)
    run.events.append(Staged(stage="Reading documents"))
    read = documents(list(request.documents))
    found = passages(read)
    if not found:
        raise DataError(_nothing(read))
    questions = questions_of(run, run.spec, request)
    run.events.append(Staged(stage="Opening base and tuned model"))
    work = Work(run, open_pair(run), Index(found), request, run.spec.evaluate.max_new_tokens)
    asked, unasked = work.answerable(questions.examples)
    if not asked:
        raise DataError(
            "No question leaves room for an answer in the model's context: lower evaluate.max_new_tokens in a new run, or "
            "give shorter ones with --questions."
        )
    plain = [work.prompt("base", example) for example in asked]
    fed = [work.prompt(WITH["base"], example) for example in asked]
    if not any(prompt.passages for prompt in fed):
        raise DataError(
            f"No question could be handed a passage. {work.notes(fed, unasked)[0]} Give other documents, or raise "
            "--passage-tokens."
        )
    prompts = {way: plain if way in PLAIN else fed for way in WAYS}
    answers = work.answers(prompts)
    seconds = answers and work.seconds(asked)
    if not answers or not seconds:
        return None
    rows = tuple(_rows(asked, prompts, answers, found))
    prices = _prices(rows, seconds)
    measures = tuple(_measured(GRADERS[name].measure, rows) for name in MARKED_BY)
    notes = (*questions.notes, *work.notes(fed, unasked), *_left_out(read))
    comparison = Comparison(
        run=run.name,
        base_model=run.spec.model.base,
        made_at=time.time(),
        settings=_settings(work, len(seconds["base"])),
        documents={each.file: each.sha256 for each in read},
        indexed=len(found),
        n=len(rows),
        available=questions.available,
        findable=sum(row.holds is not None for row in rows),
        hits=sum(bool(row.holds) for row in rows),
        measures=measures,
        prices=prices,
        training_seconds=worked(run.events.read()[0]).seconds,
        decision=decide(measures[0], len(rows), prices, len(seconds["base"])),
        rows=rows,
        shown=_shown(rows, found),
        notes=notes,
        seconds=time.monotonic() - began,
    )
    for note in notes:
        run.events.append(Noted(text=note, warning=True))
    write(run, comparison)
    whole(run.reports / PAGE, retrieval_page(comparison))
    return f"{run.reports.name}/{FILE}"


def _rows(
    asked: Sequence[Example],
    prompts: dict[Way, list[Prompt]],
    answers: dict[Way, list[Answer]],
    found: Sequence[Passage],
) -> list[Row]:
    texts = [_said(passage.shown) for passage in found]
    rows = []
    for at, example in enumerate(asked):
        reference = example.messages[-1].content
        shown = prompts[WITH["tuned"]][at].passages
        wanted = _said(reference)
        holds = None
        if wanted.strip() and any(wanted in text for text in texts):
            holds = any(wanted in texts[number] for number in shown)
        said = {
            way: Said(
                answers[way][at].text,
                len(prompts[way][at].ids),
                answers[way][at].tokens,
                answers[way][at].ended,
            )
            for way in WAYS
        }
        marks = {
            name: {way: float(GRADERS[name].mark(said[way].text, reference)) for way in WAYS}
            for name in MARKED_BY
        }
        question = "\n\n".join(message.content for message in example.messages[:-1] if message.role == "user")
        rows.append(Row(str(example.source), question, reference, shown, holds, said, marks))
    return rows


def _said(text: str) -> str:
    """The words of a text, each between spaces, so that one text can be looked for in another."""
    return f" {' '.join(words(text))} "


def _measured(measure: Measure, rows: Sequence[Row]) -> Measured:
    marks = {way: [row.marks[measure.name][way] for row in rows] for way in WAYS}
    pairs = {(better, than): paired(marks[than], marks[better]) for better, than in PAIRS}
    return Measured(
        measure.name,
        measure.label,
        measure.definition,
        {way: paired(None, marks[way]).tuned for way in WAYS},
        {difference(*ways): each.difference for ways, each in pairs.items()},
    )


def _prices(rows: Sequence[Row], seconds: Mapping[Way, Sequence[float]]) -> dict[Way, Price]:
    return {
        way: Price(
            read=fmean(row.said[way].read for row in rows),
            written=fmean(row.said[way].written for row in rows),
            seconds=float(np.median(seconds[way])),
            seconds_90=float(np.quantile(seconds[way], 0.9)),
        )
        for way in WAYS
    }


def _settings(work: Work, timed: int) -> Settings:
    request = work.request
    return Settings(
        questions=Path(request.questions).name if request.questions else "what was held out from training",
        passages=request.passages,
        passage_tokens=request.passage_tokens,
        max_new_tokens=work.max_new_tokens,
        policy=POLICY,
        prompts=HANDED_OVER,
        resamples=RESAMPLES,
        confidence=CONFIDENCE,
        timed=timed,
        device=str(work.pair.device),
    )


def _shown(rows: Sequence[Row], found: Sequence[Passage]) -> dict[int, Shown]:
    numbers = sorted({number for row in rows for number in row.passages})
    return {
        number: Shown(found[number].file, found[number].first, found[number].last, found[number].shown)
        for number in numbers
    }


def _left_out(found: Sequence[Document]) -> list[str]:
    reasons = sum((each.left_out for each in found), Counter())
    return [
        f"Not among the passages: {visible(reason.partition(';')[0])} ({times:,})."
        for reason, times in reasons.most_common()
    ]


def _nothing(found: Sequence[Document]) -> str:
    names = ", ".join(visible(each.file) for each in found[:5])
    why = " ".join(_left_out(found)[:3])
    return f"There is no passage to find in {names or 'these documents'}. {why}".rstrip()
