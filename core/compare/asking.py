"""What base and tuned model are asked, with and without passages, and how their answers are got and timed."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.compare.passages import Index, Passage
from core.compare.retrieval import PLAIN, WAYS, Request, Way
from core.data.examples import Example, Message
from core.data.generate.languages import language_of
from core.data.intake import read
from core.data.remarks import visible
from core.data.select import reading_of, select
from core.data.store import Examples
from core.errors import DataError, TextError
from core.evaluate.bootstrap import ENOUGH_ROWS
from core.evaluate.generate import answer, room
from core.evaluate.report import Answer
from core.evaluate.unusable import unusable
from core.runs.events import Staged
from core.runs.store import Run
from core.spec import RunSpec
from core.train.model import Pair

HANDED_OVER = {
    "en": "Passages from documents that may help:\n\n{passages}\n\nQuestion: {question}",
    "fr": "Extraits de documents qui peuvent aider :\n\n{passages}\n\nQuestion : {question}",
}


@dataclass(frozen=True)
class Questions:
    examples: list[Example]
    available: int
    notes: tuple[str, ...] = ()


def questions_of(run: Run, spec: RunSpec, request: Request) -> Questions:
    """Examples to ask, evenly spread over those there are; DataError if there is none. None that was trained on: what
    the tuned model has learnt by heart says nothing of new questions."""
    notes: list[str] = []
    unused = 0  # rows of which no question could be made
    if request.questions:
        report = read((request.questions,), reading_of(spec.data))
        every, unused, notes = report.examples, report.rejected, [*unusable(report)]
        where = visible(Path(request.questions).name)
        trained = _trained_on(spec, every)
        if trained is None:
            notes.append("Whether questions were trained on cannot be told: the data of the run are gone.")
        elif trained.any():
            notes.append(
                f"{trained.sum():,} of {len(every):,} questions were trained on, and were not asked."
            )
            every = every.take(every.places[~trained])
    else:
        chosen = select(spec.data)
        chosen.check(run.manifest)
        every, where = chosen.held_out, "what was held out from training"
    asking = [
        example
        for example in every
        if example.messages[-1].content.strip()
        and any(message.role == "user" for message in example.messages[:-1])
    ]
    if not asking:
        why = "".join(f" {note}" for note in notes)
        raise DataError(
            f"There is no question with an answer in {where}.{why} Name a file of other ones with --questions."
        )
    count = min(request.most_questions, len(asking))
    return Questions(
        [asking[place * len(asking) // count] for place in range(count)], len(asking) + unused, tuple(notes)
    )


def _trained_on(spec: RunSpec, every: Examples) -> np.ndarray | None:
    """Which of the examples were trained on; None if what was trained on is no longer there."""
    try:
        return np.isin(every.digests, select(spec.data).training.digests)
    except DataError:
        return None


@dataclass(frozen=True)
class Prompt:
    """What a model reads: its tokens, and which passages are among them. `unfit` and `over` could not be, for want of
    room in the model's context, or in the budget."""

    ids: list[int]
    passages: tuple[int, ...] = ()
    found: int = 0
    unfit: int = 0
    over: int = 0


@dataclass(frozen=True)
class Work:
    run: Run
    pair: Pair
    index: Index
    request: Request
    max_new_tokens: int

    def ids(self, messages: Sequence[Message], tools: Sequence[str]) -> list[int]:
        return self.pair.text.template.prompt_ids(messages, self.pair.text.tokenizer, tools)

    def fits(self, ids: Sequence[int]) -> bool:
        """Whether the longest answer has room after it, so that all ways may say equally much."""
        with self.pair.side("tuned") as model:
            return room(model, ids) >= self.max_new_tokens

    def answerable(self, asked: Sequence[Example]) -> tuple[list[Example], int]:
        """Those that can be asked at all, and how many cannot."""

        def can_be_asked(example: Example) -> bool:
            try:
                return self.fits(self.ids(example.messages[:-1], example.tools))
            except TextError:  # the template cannot write it
                return False

        kept = [example for example in asked if can_be_asked(example)]
        return kept, len(asked) - len(kept)

    def prompt(self, way: Way, example: Example) -> Prompt:
        """The question as this way asks it: with the passages found for it, the best first, that there is room for."""
        plain = self.ids(example.messages[:-1], example.tools)
        if way in PLAIN:
            return Prompt(plain)
        question = _asked(example).content
        found = self.index.search(question, self.request.passages)
        chosen, spent = [], 0
        for number in found:
            tokens = len(
                self.pair.text.tokenizer(
                    self.index.passages[number].shown, add_special_tokens=False
                ).input_ids
            )
            if spent + tokens <= self.request.passage_tokens:
                chosen.append(number)
                spent += tokens
        over = len(found) - len(chosen)
        unfit = 0
        while chosen:
            messages = handed_over(example.messages[:-1], [self.index.passages[number] for number in chosen])
            ids = self.ids(messages, example.tools)
            if self.fits(ids):
                return Prompt(ids, tuple(chosen), len(found), unfit, over)
            chosen.pop()
            unfit += 1
        return Prompt(plain, (), len(found), unfit, over)

    def answers(self, prompts: dict[Way, list[Prompt]]) -> dict[Way, list[Answer]] | None:
        """Each way's answers; None if it was stopped."""
        found: dict[Way, list[Answer]] = {}
        for way in WAYS:

            def progress(done: int, total: int, way: Way = way) -> None:
                self.run.events.append(Staged(stage=f"{way.capitalize()} answers", done=done, total=total))

            progress(0, len(prompts[way]))
            said = self._answer(way, [prompt.ids for prompt in prompts[way]], progress)
            if said is None:
                return None
            found[way] = said
        return found

    def seconds(self, asked: Sequence[Example]) -> dict[Way, list[float]] | None:
        """How long each way takes from question to whole answer, one question at a time, on some of them. The ways take
        turns, so that a machine that is slower for a while is slower for all. None if it was stopped."""
        count = min(self.request.timed, len(asked))
        timed = [asked[place * len(asked) // count] for place in range(count)]
        taken: dict[Way, list[float]] = {way: [] for way in WAYS}
        for done, example in enumerate(timed):
            self.run.events.append(Staged(stage="Timing answers one by one", done=done, total=count))
            for way in WAYS:
                begin = time.perf_counter()
                if self._answer(way, [self.prompt(way, example).ids]) is None:
                    return None
                taken[way].append(time.perf_counter() - begin)
        return taken

    def _answer(
        self,
        way: Way,
        prompts: list[list[int]],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Answer] | None:
        text = self.pair.text
        with self.pair.side(way.partition(" ")[0]) as model:
            return answer(
                model,
                text.tokenizer,
                prompts,
                text.stop_ids,
                self.max_new_tokens,
                progress,
                self.run.stop_requested,
            )

    def notes(self, prompts: Sequence[Prompt], unasked: int) -> list[str]:
        """What a reader of the scores has to know: of the questions, how many could not be treated like the others."""
        unfit, beyond = sum(p.unfit > 0 for p in prompts), sum(p.over > 0 for p in prompts)
        without = sum(bool(p.found) and not p.passages for p in prompts)
        none_found = sum(not p.found for p in prompts)
        allowed = f"{self.request.passage_tokens:,}"
        counted = (
            (unasked, "not asked: the template cannot write it, or it leaves no room in the model's context for an answer"),
            (unfit, "not all passages found were shown: they do not fit the model's context"),
            (without, "no passage that was found could be shown, so it was asked without"),
            (beyond, f"not all passages found were shown: they have more tokens than the {allowed} that are allowed"),
            (none_found, "it shares no word with any passage, so it was asked without"),
        )  # fmt: skip
        total = len(prompts) + unasked
        notes = [f"{number:,} of {total:,} questions: {what}." for number, what in counted if number]
        if len(prompts) < ENOUGH_ROWS:
            notes.append(
                f"Fewer than {ENOUGH_ROWS} questions ({len(prompts)}): nothing is clear with so few. Ask more of "
                "them (--most-questions), or name a file that has more (--questions)."
            )
        if self.run.spec.method.kind != "full":
            notes.append(
                "The tuned model answered with its adapter beside the base; merged, it is as quick as the base."
            )
        return notes


def handed_over(messages: Sequence[Message], found: Sequence[Passage]) -> list[Message]:
    """The conversation with passages put before its last question, in words of the question's language."""
    place = max(at for at, message in enumerate(messages) if message.role == "user")
    question = messages[place].content
    shown = "\n\n".join(f"[{number}] {passage.shown}" for number, passage in enumerate(found, start=1))
    content = HANDED_OVER[language_of(question)].format(passages=shown, question=question)
    return [*messages[:place], dataclasses.replace(messages[place], content=content), *messages[place + 1 :]]


def _asked(example: Example) -> Message:
    return next(message for message in reversed(example.messages[:-1]) if message.role == "user")
