"""Runs side by side: scores, curves, the settings that differ, and what each cost. Reads run folders alone, without torch.

compared = compare_runs([store.get("a"), store.get("b")])
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from core.errors import RunError
from core.evaluate.bootstrap import ENOUGH_ROWS, clear
from core.evaluate.bootstrap import compare as paired
from core.evaluate.report import Interval, Report, Row, Score, TaskReport, read
from core.runs.events import Begun, Continued, Event, HeldOut, Paused, Progress, Stepped, Trained
from core.runs.store import Run
from core.spec import settings

SIDES = (
    "evaluation.json",
    "tuned.json",
    "merged.json",
)  # where scores of the trained model stand, the first first
DECIMALS = 1e-6  # by which the mean of marks may miss a score that is their mean


@dataclass(frozen=True)
class Point:
    """A loss, and where it stands on each of the ways to count what a training has used up."""

    step: int
    tokens: float  # of training rows, padding not counted
    seconds: float  # at work, held-out measurements among them; pauses and time between two starts are not
    loss: float


@dataclass(frozen=True)
class Curve:
    training: tuple[Point, ...]
    held_out: tuple[Point, ...]


@dataclass(frozen=True)
class Cost:
    seconds: float  # at work, with steps that a resume did again
    tokens: float
    steps: int
    memory_bytes: int  # the most that was measured at a step
    device: str  # where it was trained: cpu, GPU 0, a machine of HF Jobs
    usd: float | None  # of a machine that is paid by the hour; None where nobody sends a bill


@dataclass(frozen=True)
class Cell:
    """What a run scored; `base` is its base model's score on the same rows."""

    tuned: Interval
    base: Interval | None
    n: int
    best: bool = False  # clearly better than every other


@dataclass(frozen=True)
class Line:
    """One measure of one task, for each run that has it."""

    task: str
    task_label: str
    measure: str
    label: str
    definition: str
    higher_is_better: bool
    main: bool  # the task's first measure
    cells: dict[str, Cell]
    unlike: str = ""  # why these must not be held against each other; empty if they may


@dataclass(frozen=True)
class Compared:
    """Runs in order, the best first where that can be said."""

    runs: tuple[str, ...]
    order: str  # how they are sorted, in words
    lines: tuple[Line, ...]
    curves: dict[str, Curve]
    differing: dict[str, dict[str, Any]]  # setting -> run -> value, only where the values differ
    costs: dict[str, Cost]
    held_out: dict[str, float]  # run -> lowest held-out loss, in nats a token
    remarks: tuple[str, ...]  # what must be known before the numbers are believed


@dataclass(frozen=True)
class Work:
    """What a training used up, from its events."""

    seconds: float
    tokens: float
    curve: Curve


def compare_runs(runs: Sequence[Run]) -> Compared:
    """RunError if there are not two different runs at least."""
    if len({run.name for run in runs}) < 2:
        raise RunError("Name two runs or more to compare, or one with --rag to compare it with retrieval.")
    runs = list({run.name: run for run in runs}.values())
    progress = {run.name: run.progress() for run in runs}
    work = {run.name: worked(run.events.read()[0]) for run in runs}
    reports, unreadable = _scored(runs)
    read_as = {run.name: counted_in(run) for run in runs}
    lines = tuple(_lines(reports, read_as))
    order, names = _sorted([run.name for run in runs], lines)
    trained = {run.name for run in runs if run.final.is_dir()}
    unscored = [name for name in names if name not in reports]
    return Compared(
        runs=tuple(names),
        order=order,
        lines=lines,
        curves={name: work[name].curve for name in names},
        differing=differing(runs, names),
        costs={name: _cost(progress[name], work[name]) for name in names},
        held_out={
            name: min(losses)
            for name in names
            if (losses := [each.loss for each in progress[name].held_out if math.isfinite(each.loss)])
        },
        remarks=(*unreadable, *_remarks(lines, unscored, trained, {run.name: _data(run) for run in runs})),
    )


def as_dict(compared: Compared) -> dict[str, Any]:
    return asdict(compared)


def _scored(runs: Sequence[Run]) -> tuple[dict[str, Report], list[str]]:
    """What the trained models were scored with, and a sentence for each report that cannot be read."""
    found, unreadable = {}, []
    for run in runs:
        try:
            report = next((report for name in SIDES if (report := read(run, name))), None)
        except RunError as error:
            unreadable.append(str(error))
            continue
        if report:
            found[run.name] = report
    return found, unreadable


def worked(events: Iterable[Event]) -> Work:
    """Time and tokens of the training, and its curve, in which steps that a resume did again stand once."""
    meter = _Meter()
    training: list[Point] = []
    held_out: list[Point] = []
    for event in events:
        meter.see(event)
        match event:
            case Begun():
                training = [each for each in training if each.step <= event.resumed_from]
                held_out = [each for each in held_out if each.step <= event.resumed_from]
                meter.reached = training[-1].tokens if training else 0.0
            case Stepped():
                training.append(Point(event.step, meter.reached, meter.seconds, event.loss))
            case HeldOut():
                held_out = [each for each in held_out if each.step != event.step]
                held_out.append(Point(event.step, meter.reached, meter.seconds, event.loss))
    curve = Curve(
        *(tuple(each for each in points if math.isfinite(each.loss)) for points in (training, held_out))
    )
    return Work(meter.seconds, meter.tokens, curve)


class _Meter:
    """Runs while there is training, and stands still in pauses and between two starts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.tokens = 0.0  # of all steps, those that were done again too
        self.reached = 0.0  # of the steps that count
        self._clock: float | None = None  # when it was last looked at; None while it stands still
        self._step_began = 0.0
        self._of_process = 0

    def see(self, event: Event) -> None:
        if self._clock is not None and isinstance(event, Stepped | HeldOut | Paused | Trained):
            self.seconds += max(event.at - self._clock, 0.0)
            self._clock = event.at
        match event:
            case Begun():
                self._clock = self._step_began = event.at
                self._of_process = 0
            case Continued():
                self._clock = self._step_began = event.at
            case Trained():
                self._clock = None
            case Stepped():
                new = event.tokens - self._of_process if event.tokens else self._at_its_rate(event)
                self.tokens += new
                self.reached += new
                self._step_began, self._of_process = event.at, event.tokens

    def _at_its_rate(self, step: Stepped) -> float:
        """For runs whose steps do not say how many tokens they are."""
        return step.tokens_per_second * max(step.at - self._step_began, 0.0) if self._step_began else 0.0


def differing(runs: Sequence[Run], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Each setting in which the runs are not all alike, with every run's value; None for those of an adapter in a run that
    trained every weight."""
    specs = {run.name: run.spec.model_dump(mode="json") for run in runs}
    for spec in specs.values():
        if spec["method"]["kind"] == "full":
            spec["method"] = dict.fromkeys(spec["method"]) | {"kind": "full", "target_modules": []}
    found = {}
    for path in settings():
        section, _, name = path.partition(".")
        values = {run: specs[run][section][name] for run in names}
        if len({json.dumps(value, sort_keys=True) for value in values.values()}) > 1:
            found[path] = values
    return found


def counted_in(run: Run) -> dict[str, Any]:
    """What decides into which tokens a row is cut, and which of these are scored: perplexity is by the token."""
    spec = run.spec
    return {
        "tokenizer": spec.model.tokenizer or f"{spec.model.base}@{spec.model.revision or ''}",
        "template": spec.template.kind,
        "template.system": spec.template.system,
        "train.max_length": spec.train.max_length,
        "train.overlong": spec.train.overlong,
    }


def _lines(reports: dict[str, Report], read_as: dict[str, dict[str, Any]]) -> list[Line]:
    """Every measure of every task that a run has, in the order in which they are met."""
    tasks: dict[str, dict[str, TaskReport]] = {}
    for run, report in reports.items():
        for task in report.tasks:
            tasks.setdefault(task.name, {})[run] = task
    lines = []
    for name, of in tasks.items():
        measures: dict[str, dict[str, Score]] = {}
        for run, task in of.items():
            for score in task.scores:
                if score.tuned is not None:
                    measures.setdefault(score.name, {})[run] = score
        mains = {task.scores[0].name for task in of.values() if task.scores}
        for measure, scores in measures.items():
            mine = {run: of[run] for run in scores}
            first, score = next(iter(mine.values())), next(iter(scores.values()))
            unlike = why_unlike(mine, scores, read_as)
            cells = {run: Cell(each.tuned, each.base, each.n) for run, each in scores.items()}
            best = None if unlike else clearly_best(mine, scores)
            if best:
                cells[best] = replace(cells[best], best=True)
            lines.append(
                Line(name, first.label, measure, score.label, score.definition, score.higher_is_better,
                     measure in mains, cells, unlike)
            )  # fmt: skip
    return lines


def why_unlike(
    tasks: dict[str, TaskReport], scores: dict[str, Score], read_as: dict[str, dict[str, Any]]
) -> str:
    """What the runs' scores of a task were not made alike in, in words; empty if they may be compared."""
    if len(tasks) < 2:
        return ""
    found = []
    if _differ(tasks, lambda task: _rows_of(task)):
        found.append(f"other rows ({_each(tasks, lambda task: f'{task.n:,}')})")
    for name, words in (
        ("prompt", "another prompt"), ("shots", "other solved examples before it"), ("decoding", "another decoding"),
        ("max_new_tokens", "other lengths of answers"), ("grading", "another grading"),
    ):  # fmt: skip
        if _differ(tasks, lambda task, name=name: getattr(task.settings, name)):
            short = name in ("prompt", "grading")
            told = "" if short else f" ({_each(tasks, lambda task, name=name: getattr(task.settings, name))})"
            found.append(words + told)
    if _differ(scores, lambda score: score.definition):
        found.append("another definition of the measure")
    if any(task.kind == "likelihood" for task in tasks.values()):
        counted = [
            name for name in read_as[next(iter(tasks))] if len({str(read_as[run][name]) for run in tasks}) > 1
        ]
        if counted:
            found.append(f"counted in other tokens ({', '.join(counted)})")
    return "; ".join(found)


def clearly_best(tasks: dict[str, TaskReport], scores: dict[str, Score]) -> str | None:
    """The run that is clearly better than each of the others; None if there is none.

    Row by row where the rows have marks of which the score is the mean: paired, 95 % for each pair. To be better than
    all is to be better than each, so no correction for their number is needed (Berger 1982, intersection-union). Else
    only if its interval lies apart from every other.
    """
    if len(scores) < 2 or min(score.n for score in scores.values()) < ENOUGH_ROWS:
        return None
    sign = 1 if next(iter(scores.values())).higher_is_better else -1
    first, *others = sorted(scores, key=lambda run: -sign * scores[run].tuned.value)
    if all(_clearly_better(tasks, scores, first, other, sign) for other in others):
        return first
    return None


def _clearly_better(
    tasks: dict[str, TaskReport], scores: dict[str, Score], one: str, other: str, sign: int
) -> bool:
    marks = [_marks(tasks[run], scores[run]) for run in (one, other)]
    if all(each is not None for each in marks):
        difference = paired(marks[1], marks[0]).difference
        return clear(difference) and (difference.low > 0) == (sign > 0)
    mine, theirs = scores[one].tuned, scores[other].tuned
    return mine.low > theirs.high if sign > 0 else mine.high < theirs.low


def _marks(task: TaskReport, score: Score) -> list[float] | None:
    """The tuned model's mark of each row, in an order that is the same for the same rows; None if the score is not
    their mean."""
    marked = [
        row.marks[score.name].tuned
        for row in sorted(task.rows, key=_key)
        if score.name in row.marks and row.marks[score.name].tuned is not None
    ]
    if not marked or len(marked) != score.n:
        return None
    return marked if abs(sum(marked) / len(marked) - score.tuned.value) <= DECIMALS else None


def _key(row: Row) -> tuple[str, str]:
    return row.question, row.reference


def _rows_of(task: TaskReport) -> str:
    """Tells the rows of a task from others, whatever their file is called."""
    if not task.rows:
        return f"{task.n} of {task.available}"
    return sha256(json.dumps(sorted(map(_key, task.rows))).encode()).hexdigest()


def _differ(of: dict[str, Any], value: Callable[[Any], Any]) -> bool:
    return len({value(each) for each in of.values()}) > 1


def _each(of: dict[str, Any], value: Callable[[Any], Any]) -> str:
    """`a: 24, b: 30`."""
    return ", ".join(f"{run}: {value(each)}" for run, each in of.items())


def _sorted(names: list[str], lines: Sequence[Line]) -> tuple[str, list[str]]:
    """By the main measure of the first task that every run has and that may be compared; else as they were named."""
    for line in lines:
        if line.main and not line.unlike and set(line.cells) == set(names):
            sign = -1 if line.higher_is_better else 1
            by = sorted(names, key=lambda name: sign * line.cells[name].tuned.value)
            return f"Sorted by {line.label} on {line.task_label}, the best first.", by
    return "In the order in which they were named: no score is there for all of them and made alike.", names


def _cost(progress: Progress, work: Work) -> Cost:
    remote = progress.remote
    return Cost(
        seconds=work.seconds,
        tokens=work.tokens,
        steps=progress.step,
        memory_bytes=max((each.memory_bytes for each in progress.steps), default=0),
        device=f"HF Jobs, {remote.flavor}" if remote else _device(progress.trained_on),
        usd=remote.usd if remote else None,
    )


def _device(device: str) -> str:
    return device if device in ("", "cpu") else f"GPU {device.replace(',', ', ')}"


def _data(run: Run) -> dict[str, str]:
    """file -> hash of its bytes, as the run was trained on it; empty before it was."""
    if not run.manifest.is_file():
        return {}
    return json.loads(run.manifest.read_text("utf-8")).get("data", {})


def _remarks(
    lines: Sequence[Line], unscored: Sequence[str], trained: set[str], data: dict[str, dict[str, str]]
) -> list[str]:
    alike: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if line.unlike:
            alike.setdefault((line.task_label, line.unlike), []).append(line.label)
    found = [
        f"{', '.join(dict.fromkeys(labels))} on {task} cannot be compared: {unlike}. No best is marked."
        for (task, unlike), labels in alike.items()
    ]
    # Other tokens remain what they are, however the runs are scored.
    if not all(unlike.startswith("counted in other tokens") for _, unlike in alike):
        found.append(
            "What cannot be compared can be scored alike: the same `atelier evaluate` for each run, with the same options, and "
            "one file of examples for all (--task FILE)."
        )
    found += [
        f"{name}: not scored; `atelier evaluate {name}` scores it." for name in unscored if name in trained
    ]
    if cannot_be := [name for name in unscored if name not in trained]:
        found.append(f"{', '.join(cannot_be)}: not trained to the end, so there is nothing to score.")
    changed = [
        file for file in {name for of in data.values() for name in of}
        if len({of[file] for of in data.values() if file in of}) > 1
    ]  # fmt: skip
    found += [f"{file} was not the same when the runs were trained." for file in sorted(changed)]
    return found
