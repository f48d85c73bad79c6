"""A task, put to the models on the bench -> what the report says of it. One function for each kind of task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from core.data.examples import Example
from core.data.store import Examples
from core.errors import TrainError
from core.evaluate import bootstrap, metrics
from core.evaluate.bench import Bench, Sides
from core.evaluate.bootstrap import CONFIDENCE, ENOUGH_ROWS, RESAMPLES, Value, compare, exp_of_mean, verdict
from core.evaluate.graders import GRADERS, Grader, grade
from core.evaluate.items import Item, Items, as_text, items, of_examples, spread, with_shots
from core.evaluate.likelihood import Likelihood
from core.evaluate.metrics import Measure
from core.evaluate.report import Answer, Both, Row, Score, Settings, Sourced, TaskReport
from core.evaluate.tasks import Task
from core.evaluate.unusable import unusable
from core.text.encode import encode

HIGHEST_MEAN_NLL = 700.0  # nats a token: exp of more is no number, and guessing among 150,000 tokens gives 12
LISTED = 1000  # rows that a report lists; of more, so many, evenly spread
TABLE = {each.name: each for each in vars(metrics).values() if isinstance(each, Measure)}


@dataclass(frozen=True)
class Fetched:
    """A task with its rows, before any model is opened: as conversations where those are read as they were trained."""

    task: Task
    rows: Items
    shots: int
    conversations: Sequence[Example] | None = None
    unused: int = 0  # rows of its file that cannot be used
    notes: tuple[str, ...] = ()

    @property
    def available(self) -> int:
        rows = self.rows.rows if self.conversations is None else self.conversations
        return len(rows) + self.unused


def fetch(task: Task, held_out: Examples, shots: int | None, source: Path | None) -> Fetched:
    """DataError where the rows cannot be had. `source` is the user's own copy of a data set on the Hub; `shots` are the
    task's own unless given."""
    from core.data import read

    own = task.kind == "likelihood" and (task.examples.held_out or task.examples.conversations)
    shots = 0 if own or task.examples.held_out else task.shots.count if shots is None else shots
    unused, notes = 0, ()
    if task.examples.conversations:
        report = read([str(task.folder / task.examples.file)])
        unused, notes = report.rejected, unusable(report)
    if own:
        examples = held_out if task.examples.held_out else report.examples
        return Fetched(task, Items([], []), shots, examples, unused, notes)
    if task.examples.held_out:
        return Fetched(task, Items(of_examples(held_out), []), shots)
    found = items(task, shots, source)
    if found.shown and not (task.shots.examples and (source is None or source.is_dir())):
        taken = "first row is" if len(found.shown) == 1 else f"first {len(found.shown)} rows are"
        notes = (
            *notes,
            f"The {taken} shown solved before each question, so {len(found.rows):,} are left to ask.",
        )
    return Fetched(task, found, shots, None, unused, notes)


def score(bench: Bench, fetched: Fetched, num_samples: int | None = None) -> TaskReport:
    """TrainError where a model gives no numbers. `num_samples` bounds the rows of a generation task."""
    before = bench.seconds
    made = KINDS[fetched.task.kind](bench, fetched, num_samples)
    return replace(made, seconds=bench.seconds - before)


def _likelihood(bench: Bench, fetched: Fetched, num_samples: int | None) -> TaskReport:
    settings = bench.spec.evaluate
    task, found, shots, available = fetched.task, fetched.rows, fetched.shots, fetched.available
    notes = [*fetched.notes]
    if fetched.conversations is not None:
        rows, shown, left = _conversations(bench, fetched.conversations)
        if left:
            notes.append(
                f"{left:,} of {len(fetched.conversations):,} rows cannot be written by the template, or have no answer left."
            )
    else:
        chosen = [found.rows[place] for place in spread(len(found.rows), settings.max_samples)]
        pairs = [(item, _asked(bench, task, found, item, item.reference)) for item in chosen]
        rows = [row for _, row in pairs if row]
        shown = [item for item, row in pairs if row]
        if len(rows) < len(chosen):
            notes.append(
                f"{len(chosen) - len(rows)} of {len(chosen)} rows are longer than the model's context."
            )
    if not rows:
        return _nothing(bench, task, available, shots, notes)
    sides = bench.likelihoods(f"reads {task.label}", rows)
    _check_numbers(sides)
    tokens = [each.tokens for each in next(iter(sides.values()))]
    sums = {
        "perplexity": ({side: [each.nll for each in found] for side, found in sides.items()}, exp_of_mean),
        "token_accuracy": (
            {side: [each.first for each in found] for side, found in sides.items()},
            bootstrap.mean,
        ),
    }
    scores = tuple(_score(TABLE[name], "rows", sums[name][0], tokens, sums[name][1]) for name in task.graders)
    marks = {
        "perplexity": {side: [_perplexity(each) for each in found] for side, found in sides.items()},
        "token_accuracy": {
            side: [each.first / each.tokens if each.tokens else None for each in found]
            for side, found in sides.items()
        },
    }
    main = task.graders[0]

    def of(places: list[int]) -> Score:
        part = {side: [values[at] for at in places] for side, values in sums[main][0].items()}
        return _score(TABLE[main], "rows", part, [tokens[at] for at in places], sums[main][1])

    return _report(
        bench,
        task,
        available,
        shots,
        scores,
        shown,
        {},
        {name: marks[name] for name in task.graders},
        of,
        notes,
    )


def _generation(bench: Bench, fetched: Fetched, num_samples: int | None) -> TaskReport:
    settings = bench.spec.evaluate
    task, found, shots, available = fetched.task, fetched.rows, fetched.shots, fetched.available
    most = settings.answers if task.examples.held_out else None
    most = min((each for each in (most, settings.max_samples, num_samples) if each is not None), default=None)
    chosen = [found.rows[place] for place in spread(len(found.rows), most)]
    asked, left = bench.askable(
        [with_shots(item, found.shown, task.written) for item in chosen], task.written
    )
    notes = [*fetched.notes, *left]
    if not asked:
        return _nothing(bench, task, available, shots, notes)
    longest = _longest(bench, task)
    asked_items, prompts = zip(*asked, strict=True)
    sides = bench.answers(f"answers {task.label}", prompts, longest, task.stop)
    by_source = {item.source: item for item in chosen}
    shown = [by_source[item.source] for item in asked_items]  # without the solved ones before them
    references = [item.reference for item in shown]
    marks: dict[str, dict[str, list[float]]] = {name: {} for name in task.graders}
    sums: dict[str, dict[str, np.ndarray]] = {name: {} for name in task.graders}
    said: Sides[Answer] = {}
    for side, answers in sides.items():
        texts = [each.text for each in answers]
        for name, values in grade(task.graders, texts, references).items():
            marks[name][side] = values
            corpus = GRADERS[name].corpus
            sums[name][side] = (
                np.array(values, float) if corpus is None else metrics.statistics(corpus, texts, references)
            )
        said[side] = [_with_found(task, each) for each in answers]
        notes += _unread(task, side, said[side])
    scores = tuple(
        _score(GRADERS[name].measure, "answers", sums[name], None, _value(GRADERS[name]))
        for name in task.graders
    )
    main = task.graders[0]

    def of(places: list[int]) -> Score:
        part = {side: values[places] for side, values in sums[main].items()}
        return _score(GRADERS[main].measure, "answers", part, None, _value(GRADERS[main]))

    return replace(
        _report(bench, task, available, shots, scores, shown, said, marks, of, notes),
        tokens=sum(each.tokens for answers in said.values() for each in answers),
    )


def _choice(bench: Bench, fetched: Fetched, num_samples: int | None) -> TaskReport:
    task, found, shots, available = fetched.task, fetched.rows, fetched.shots, fetched.available
    chosen = [found.rows[place] for place in spread(len(found.rows), bench.spec.evaluate.max_samples)]
    pairs = [(item, [_asked(bench, task, found, item, choice) for choice in item.choices]) for item in chosen]
    fitting = [(item, rows) for item, rows in pairs if all(rows)]
    notes = [*fetched.notes]
    if len(fitting) < len(chosen):
        notes.append(
            f"{len(chosen) - len(fitting)} of {len(chosen)} questions are longer than the model's context."
        )
    if not fitting:
        return _nothing(bench, task, available, shots, notes)
    shown = [item for item, _ in fitting]
    sides = bench.likelihoods(f"chooses in {task.label}", [row for _, rows in fitting for row in rows])
    _check_numbers(sides)
    marks: dict[str, dict[str, list[float]]] = {name: {} for name in task.graders}
    said: Sides[Answer] = {}
    for side, read in sides.items():
        likely = iter(read)
        nll = [[next(likely).nll for _ in item.choices] for item in shown]
        for name in task.graders:
            picks = [_pick(item, each, name) for item, each in zip(shown, nll, strict=True)]
            marks[name][side] = [float(pick == item.right) for pick, item in zip(picks, shown, strict=True)]
            if name == task.graders[0]:
                said[side] = [
                    Answer(item.choices[pick], 0, "turn", item.choices[pick])
                    for pick, item in zip(picks, shown, strict=True)
                ]
    scores = tuple(_score(TABLE[name], "rows", marks[name], None, bootstrap.mean) for name in task.graders)
    main = task.graders[0]

    def of(places: list[int]) -> Score:
        part = {side: [values[at] for at in places] for side, values in marks[main].items()}
        return _score(TABLE[main], "rows", part, None, bootstrap.mean)

    return _report(bench, task, available, shots, scores, shown, said, marks, of, notes)


KINDS = {"likelihood": _likelihood, "generation": _generation, "choice": _choice}


def _conversations(bench: Bench, examples: Sequence[Example]) -> tuple[list, list[Item], int]:
    """Rows as training encodes them, each as an item to show, and how many examples give no row."""
    text, train = bench.pair.text, bench.spec.train
    encoding = encode(examples, text.tokenizer, text.template, train.max_length, train.overlong)
    places = spread(len(encoding.rows), bench.spec.evaluate.max_samples)
    # Each row is made when it is asked for, and here each is asked for often: for both models, and for its source.
    rows = [encoding.rows[place] for place in places]
    shown = []
    for place in places:
        example = examples[int(encoding.rows.places[place])]
        shown.append(
            Item(
                str(example.source),
                example.source.file,
                as_text(example.messages[:-1]) if len(example.messages) > 1 else "",
                tuple(example.messages[:-1]),
                example.messages[-1].content,
            )
        )
    return rows, shown, len(examples) - len(encoding.rows)


def _asked(bench: Bench, task: Task, found: Items, item: Item, said: str):
    return bench.continued(with_shots(item, found.shown, task.written), said, task.written)


def _pick(item: Item, nll: Sequence[float], name: str) -> int:
    """The choice that is the likeliest, per byte of its text or as it is; the first of several."""
    sizes = (
        [len(choice.encode()) or 1 for choice in item.choices] if name == "accuracy_norm" else [1] * len(nll)
    )
    return min(range(len(nll)), key=lambda at: nll[at] / sizes[at])


def _perplexity(each: Likelihood) -> float | None:
    return float(np.exp(min(each.nll / each.tokens, HIGHEST_MEAN_NLL))) if each.tokens else None


def _check_numbers(sides: Sides[Likelihood]) -> None:
    """TrainError if what the model gives are no likelihoods."""
    why = {
        "base": "its weights are damaged, or are not for this number format",
        "tuned": "its training diverged: train again with a lower train.learning_rate",
    }
    for side, found in sides.items():
        mean = sum(each.nll for each in found) / max(1, sum(each.tokens for each in found))
        if not mean < HIGHEST_MEAN_NLL:  # nor is NaN
            raise TrainError(
                f"The {side} model finds the texts impossible ({mean:.4g} nats a token); {why[side]}."
            )


def _longest(bench: Bench, task: Task) -> int:
    """Answer, in tokens: as asked for this time, else as the task says, else as the run's settings say."""
    return bench.longest or task.max_new_tokens or bench.spec.evaluate.max_new_tokens


def _value(grader: Grader) -> Value:
    """How a grader's score comes of sums over rows."""
    if grader.corpus is None:
        return bootstrap.mean
    return lambda sums, _: np.array([metrics.score_of(grader.corpus, each) for each in sums])


def _score(
    measure: Measure,
    of: Literal["rows", "answers"],
    sums: dict[str, Sequence],
    weights: Sequence[int] | None,
    value: Value,
) -> Score:
    compared = compare(sums.get("base"), sums.get("tuned"), weights, value)
    return Score(
        **vars(measure), **vars(compared), of=of, verdict=verdict(compared, measure.higher_is_better)
    )


def _with_found(task: Task, answer: Answer) -> Answer:
    find = next((GRADERS[name].find for name in task.graders if GRADERS[name].find), None)
    return replace(answer, found=find(answer.text)) if find else answer


def _unread(task: Task, side: str, answers: Sequence[Answer]) -> list[str]:
    """A note on answers in which the grader found nothing."""
    finds = _finds(task)
    missing = sum(each.found is None for each in answers)
    if not finds or not missing:
        return []
    return [
        f"In {missing:,} of {len(answers):,} answers of the {side} model there is no {finds.split()[-1]}; they count as wrong."
    ]


def _finds(task: Task) -> str:
    if task.kind != "generation":
        return ""
    return next((GRADERS[name].finds for name in task.graders if GRADERS[name].finds), "")


def _settings(bench: Bench, task: Task, shots: int) -> Settings:
    own = task.examples.held_out or task.examples.conversations
    measures = [
        (GRADERS[name].measure if task.kind == "generation" else TABLE[name]) for name in task.graders
    ]
    return Settings(
        prompt="" if own else task.prompt,
        shots=shots,
        decoding="greedy" if task.kind == "generation" else "none",
        max_new_tokens=_longest(bench, task) if task.kind == "generation" else 0,
        grading=", ".join(measure.label for measure in measures),
        resamples=RESAMPLES,
        confidence=CONFIDENCE,
        finds=_finds(task),
        max_samples=bench.spec.evaluate.max_samples,
    )


def _nothing(bench: Bench, task: Task, available: int, shots: int, notes: Sequence[str]) -> TaskReport:
    why = f"No row of the task {task.name!r} could be scored."
    if task.examples.held_out and not available:
        why = "No example is held out, so nothing was scored; set data.held_out_fraction or data.held_out_files."
        if task.kind == "likelihood":
            bench.warn(why)
    for note in notes:
        bench.warn(note)
    return TaskReport(
        task.name, task.label, task.about, task.kind, 0, available, _settings(bench, task, shots), (), (),
        notes=(why, *notes), given=task.given,
    )  # fmt: skip


def _report(
    bench: Bench,
    task: Task,
    available: int,
    shots: int,
    scores: tuple[Score, ...],
    shown: Sequence[Item],
    said: Sides[Answer],
    marks: dict[str, dict[str, list[float]]],
    of: Callable[[list[int]], Score],
    notes: list[str],
) -> TaskReport:
    """`of` gives the main score of some of the rows."""
    if len(shown) < ENOUGH_ROWS:
        what = "rows are held out" if task.examples.held_out else "rows were scored"
        notes.append(f"Fewer than {ENOUGH_ROWS} {what} ({len(shown)}): no change is clear with so few.")
    if len(shown) > LISTED:
        notes.append(f"All {len(shown):,} rows were scored; {LISTED:,} of them, evenly spread, are listed.")
    for note in notes:
        bench.warn(f"{task.label}: {note}")
    rows = tuple(
        Row(
            item.source,
            item.question,
            item.reference,
            *(said[side][at] if side in said else None for side in ("base", "tuned")),
            {name: Both(_at(values, "base", at), _at(values, "tuned", at)) for name, values in marks.items()},
        )
        for at, item in ((place, shown[place]) for place in spread(len(shown), LISTED))
    )
    return TaskReport(
        name=task.name,
        label=task.label,
        about=task.about,
        kind=task.kind,
        n=len(shown),
        available=available,
        settings=_settings(bench, task, shots),
        scores=scores,
        rows=rows,
        by_source=_by_source(shown, of),
        notes=tuple(notes),
        given=task.given,
    )


def _by_source(shown: Sequence[Item], of: Callable[[list[int]], Score]) -> tuple[Sourced, ...]:
    """The main score on the rows of each file, if there are several."""
    names = [item.file for item in shown]
    files = list(dict.fromkeys(names))
    if len(files) < 2:
        return ()
    return tuple(Sourced(name, of([at for at, each in enumerate(names) if each == name])) for name in files)


def _at(values: dict[str, list[float]], side: str, at: int) -> float | None:
    return values[side][at] if side in values else None
