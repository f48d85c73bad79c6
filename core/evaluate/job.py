"""The act `evaluate`: both models are opened again from what is on disk, scored on the held-out rows, and answer."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from transformers import PreTrainedModel

from core.data.examples import Example, Message
from core.data.select import select
from core.data.store import Examples
from core.errors import TextError, TrainError
from core.evaluate import report
from core.evaluate.batches import Progress
from core.evaluate.bootstrap import CONFIDENCE, ENOUGH_ROWS, RESAMPLES, compare, verdict
from core.evaluate.generate import answer, room
from core.evaluate.likelihood import Likelihood, likelihoods
from core.evaluate.metrics import EXACT_MATCH, PERPLEXITY, ROUGE_L, TOKEN_ACCURACY, Measure
from core.evaluate.report import Answer, Answered, Both, Prompted, Report, Score, Settings, Sourced
from core.runs.events import Noted, Staged
from core.runs.store import Run
from core.spec import RunSpec, merge
from core.text.encode import Encoded, encode
from core.train.model import Pair, open_pair, set_threads

SIDES = ("base", "tuned")
HIGHEST_MEAN_NLL = 700.0  # nats a token: exp of more is no number, and guessing among 150,000 tokens gives 12
Found = TypeVar("Found")
Work = Callable[[PreTrainedModel, Progress, Callable[[], bool]], list[Found] | None]


def evaluate(run: Run, **options: object) -> str | None:
    """Score and answer, and write the report; its place in the run's folder, or None if it was stopped.

    Options are settings of the section `evaluate`, for this time only. The held-out examples, their tokens and which
    of these are trained come from the settings in the same way as in training.
    """
    spec = RunSpec.from_dict(merge(run.spec.model_dump(mode="json"), {"evaluate": options}))
    set_threads(spec)
    chosen = select(spec.data)
    chosen.check(run.manifest)
    held_out = chosen.held_out
    run.events.append(Staged(stage="Opening base and tuned model"))
    bench = Bench(run, open_pair(run))
    try:
        rows, likelihood_scores, by_source = score_rows(bench, spec, held_out)
        answers = answer_held_out(bench, spec, held_out)
        prompts = answer_prompts(bench, spec)
        if not answers and not prompts:  # not done before it was opened again and answered
            bench.answers("a first question", [bench.question([Message("user", "Hello!")])], most=1)
    except StopError:
        return None
    settings = Settings(len(answers), spec.evaluate.max_new_tokens, "greedy", RESAMPLES, CONFIDENCE)
    scores = (*likelihood_scores, *score_answers(answers))
    report.write(run, Report(rows, settings, scores, answers, prompts, by_source))
    return f"{run.reports.name}/{report.FILE}"


class StopError(Exception):
    """By the user; what was found until then is not written."""


@dataclass(frozen=True)
class Bench:
    """Both models, and the run that hears how far they are."""

    run: Run
    pair: Pair

    def both(self, does: str, count: int, work: Work[Found]) -> tuple[list[Found], list[Found]]:
        """What the work finds for base and for tuned model."""
        return self._one("base", does, count, work), self._one("tuned", does, count, work)

    def _one(self, side: str, does: str, count: int, work: Work[Found]) -> list[Found]:
        def progress(done: int, total: int) -> None:
            self.run.events.append(Staged(stage=f"{side.capitalize()} {does}", done=done, total=total))

        progress(0, count)
        with self.pair.side(side) as model:
            found = work(model, progress, self.run.stop_requested)
        if found is None:
            raise StopError
        return found

    def answers(
        self, what: str, questions: Sequence[list[int]], most: int
    ) -> tuple[list[Answer], list[Answer]]:
        text = self.pair.text
        return self.both(
            f"answers {what}",
            len(questions),
            lambda model, progress, should_stop: answer(
                model, text.tokenizer, questions, text.stop_ids, most, progress, should_stop
            ),
        )

    def question(self, messages: Sequence[Message], tools: Sequence[str] = ()) -> list[int]:
        return self.pair.text.template.prompt_ids(messages, self.pair.text.tokenizer, tools)

    def questions(self, examples: Sequence[Example]) -> list[tuple[Example, list[int]]]:
        """Each example that asks something, with what is asked as ids; the others are counted in a warning."""
        asked = []
        for example in examples:
            if all(message.role == "system" for message in example.messages[:-1]):
                continue  # a text alone asks nothing
            try:
                asked.append((example, self.question(example.messages[:-1], example.tools)))
            except TextError:
                continue
        if len(asked) < len(examples):
            self.warn(
                f"{len(examples) - len(asked):,} of {len(examples):,} held-out examples ask nothing that the template can write."
            )
        return asked

    def answerable(self, asked: Sequence[tuple[Found, list[int]]]) -> list[tuple[Found, list[int]]]:
        """Those whose question leaves room for an answer; the others are counted in a warning."""
        with self.pair.side("tuned") as model:
            fitting = [pair for pair in asked if room(model, pair[1]) > 0]
        if len(fitting) < len(asked):
            self.warn(
                f"{len(asked) - len(fitting)} of {len(asked)} questions fill the model's context and were not asked."
            )
        return fitting

    def warn(self, text: str) -> None:
        self.run.events.append(Noted(text=text, warning=True))


def score_rows(
    bench: Bench, spec: RunSpec, held_out: Examples
) -> tuple[int, tuple[Score, ...], tuple[Sourced, ...]]:
    """How many rows were scored by the likelihood of their trained tokens, the scores, and those of each data set."""
    text = bench.pair.text
    # Each row is made when it is asked for, and here each is asked for often: for both models, and for its source.
    rows = list(
        encode(held_out, text.tokenizer, text.template, spec.train.max_length, spec.train.overlong).rows
    )
    if not rows:
        bench.warn(
            "No example is held out, so nothing was scored; set data.held_out_fraction or data.held_out_files."
        )
        return 0, (), ()
    if len(rows) < ENOUGH_ROWS:
        bench.warn(
            f"Fewer than {ENOUGH_ROWS} rows are held out ({len(rows)}): no change is clear with so few."
        )
    base, tuned = bench.both(
        "reads held-out examples",
        len(rows),
        lambda model, progress, should_stop: likelihoods(model, rows, progress, should_stop),
    )
    check_numbers("base", base)
    check_numbers("tuned", tuned)
    tokens = [each.tokens for each in base]
    first = ([each.first for each in side] for side in (base, tuned))
    scores = (perplexity(base, tuned), score(TOKEN_ACCURACY, "rows", *first, tokens))
    return len(rows), scores, tuple(perplexity_by_source(rows, base, tuned))


def perplexity(base: Sequence[Likelihood], tuned: Sequence[Likelihood]) -> Score:
    nll = ([each.nll for each in side] for side in (base, tuned))
    return score(PERPLEXITY, "rows", *nll, [each.tokens for each in base], np.exp)


def perplexity_by_source(
    rows: Sequence[Encoded], base: Sequence[Likelihood], tuned: Sequence[Likelihood]
) -> Iterator[Sourced]:
    """One for each file that rows are from, if there are several."""
    names = [row.source.file for row in rows]
    for name in dict.fromkeys(names) if len(set(names)) > 1 else ():
        mine = [at for at, each in enumerate(names) if each == name]
        yield Sourced(name, perplexity([base[at] for at in mine], [tuned[at] for at in mine]))


def check_numbers(side: str, found: Sequence[Likelihood]) -> None:
    """TrainError if what the model gives are no likelihoods."""
    mean = sum(each.nll for each in found) / sum(each.tokens for each in found)
    if not mean < HIGHEST_MEAN_NLL:  # nor is NaN
        why = {
            "base": "its weights are damaged, or are not for this number format",
            "tuned": "its training diverged: train again with a lower train.learning_rate",
        }
        raise TrainError(
            f"The {side} model finds the held-out examples impossible ({mean:.4g} nats a token); {why[side]}."
        )


def answer_held_out(bench: Bench, spec: RunSpec, held_out: Sequence[Example]) -> tuple[Answered, ...]:
    """Up to evaluate.answers of the held-out questions, evenly spread over them, answered by both models."""
    if not spec.evaluate.answers:
        return ()
    asked = bench.answerable(bench.questions(held_out))
    count = min(spec.evaluate.answers, len(asked))
    if not count:
        return ()
    examples, questions = zip(*(asked[place * len(asked) // count] for place in range(count)), strict=True)
    base, tuned = bench.answers("held-out questions", questions, spec.evaluate.max_new_tokens)
    references = [example.messages[-1].content for example in examples]
    exact_match, rouge_l = compare_texts(base, tuned, references)
    return tuple(
        Answered(str(example.source), as_text(example.messages[:-1]), *row)
        for example, *row in zip(examples, references, base, tuned, exact_match, rouge_l, strict=True)
    )


def answer_prompts(bench: Bench, spec: RunSpec) -> tuple[Prompted, ...]:
    """evaluate.prompts, answered by both models."""
    asked = bench.answerable(
        [(prompt, bench.question([Message("user", prompt)])) for prompt in spec.evaluate.prompts]
    )
    if not asked:
        return ()
    prompts, questions = zip(*asked, strict=True)
    base, tuned = bench.answers("your questions", questions, spec.evaluate.max_new_tokens)
    return tuple(Prompted(*each) for each in zip(prompts, base, tuned, strict=True))


def compare_texts(
    base: Sequence[Answer], tuned: Sequence[Answer], references: Sequence[str]
) -> tuple[list[Both], list[Both]]:
    """Exact match and ROUGE-L of every answer."""
    # Loads datasets and evaluate: a second more, beside torch and transformers.
    from core.evaluate.modules.exact_match.exact_match import ExactMatch
    from core.evaluate.modules.rouge_l.rouge_l import RougeL

    found = []
    # A folder that evaluate makes even if it keeps everything in memory; its own choice may be read-only.
    with tempfile.TemporaryDirectory() as cache:
        for kind in (ExactMatch, RougeL):
            module = kind(cache_dir=cache, keep_in_memory=True)
            of_base, of_tuned = (
                module.compute(predictions=[answer.text for answer in side], references=references)["rows"]
                for side in (base, tuned)
            )
            found.append([Both(*row) for row in zip(of_base, of_tuned, strict=True)])
    return found[0], found[1]


def score_answers(answers: Sequence[Answered]) -> tuple[Score, ...]:
    if not answers:
        return ()
    return tuple(
        score(
            measure,
            "answers",
            [getattr(each, measure.name).base for each in answers],
            [getattr(each, measure.name).tuned for each in answers],
        )
        for measure in (EXACT_MATCH, ROUGE_L)
    )


def score(
    measure: Measure,
    of: Literal["rows", "answers"],
    base: Sequence[float],
    tuned: Sequence[float],
    weights: Sequence[int] | None = None,
    value: Callable[[np.ndarray], np.ndarray] = lambda mean: mean,
) -> Score:
    compared = compare(base, tuned, weights, value)
    return Score(
        **vars(measure), **vars(compared), of=of, verdict=verdict(compared, measure.higher_is_better)
    )


def as_text(messages: Sequence[Message]) -> str:
    """A question as a person reads it: alone if it is the whole conversation, else who said what."""
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in messages)
