"""The act `evaluate`: the models are opened again from what is on disk, and score the tasks that are asked for."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from core import cache
from core.data.select import select
from core.evaluate import harness, report
from core.evaluate.bench import Bench, StopError, open_bench
from core.evaluate.report import FILE, LATEST, Prompted, Report, Side, TaskReport
from core.evaluate.reports import words, write_all
from core.evaluate.request import Asked, chosen, spec_for
from core.evaluate.scoring import Fetched, fetch, score
from core.runs.events import Noted, Staged
from core.runs.store import Run
from core.train.model import set_threads

SIDES: dict[str, tuple[Side, ...]] = {
    "both": ("base", "tuned"),
    "base": ("base",),
    "tuned": ("tuned",),
    "merged": ("merged",),
}


def evaluate(
    run: Run,
    side: Asked = "both",
    gen_only: bool = False,
    num_samples: int | None = None,
    source: str | None = None,
    **options: object,
) -> str | None:
    """Score and answer, and write the report; its place in the run's folder, or None if it was stopped.

    What an earlier evaluation of the same weights found of other tasks, or of more rows, stays in the report; what was
    found this time alone is in reports/latest.json. `source` is the user's own copy of data sets on the Hub, a file or
    a folder. Options are settings of the section `evaluate`, for this time only. The held-out examples, their tokens
    and which of these are trained come from the settings in the same way as in training.
    """
    spec = spec_for(run, options)
    set_threads(spec)
    file = FILE if side == "both" else f"{side}.json"
    earlier = report.read(run, file)
    known = {task.name: task.given for task in earlier.tasks} if earlier else {}
    ours, theirs = chosen(spec, gen_only, known)
    data = select(spec.data)
    data.check(run.manifest)
    own = Path(source) if source else None
    fetched = [fetch(task, data.held_out, spec.evaluate.shots, own) for task in ours]
    for text in _unheeded(fetched, options.get("shots"), own):
        run.events.append(Noted(text=text, warning=True))
    run.events.append(
        Staged(stage="Opening base and tuned model" if side == "both" else f"Opening {side} model")
    )
    bench = open_bench(run, spec, SIDES[side], longest=options.get("max_new_tokens"))
    try:
        found = [_of_own(score(bench, each, num_samples), each, own) for each in fetched]
        found += [harness.score(bench, name) for name in theirs]
        prompts = answer_prompts(bench)
        if not prompts and not any(task.kind == "generation" and task.n for task in found):
            # Not done before it was opened again and answered.
            first = bench.askable([bench.user("Hello!")], "chat")[0]
            bench.answers("answers a first question", [prompt for _, prompt in first], 1)
    except StopError:
        return None
    asked = {"num_samples": num_samples, "gen_only": gen_only, "longest": bench.longest}
    made = Report(
        run=run.name,
        base_model=spec.model.base,
        model=cache.key_of(sorted(bench.weights.items()), bench.sides),
        sides=bench.sides,
        made_at=time.time(),
        tasks=tuple(replace(task, settings=replace(task.settings, **asked)) for task in found),
        prompts=prompts,
    )
    fuller = looks(made, earlier)
    for name, why in fuller.items():
        run.events.append(Noted(text=f"{made.task(name).label}: {why}", warning=True))
    told = (
        replace(task, notes=(*task.notes, fuller[task.name])) if task.name in fuller else task
        for task in made.tasks
    )
    write_all(run, with_earlier(made, earlier), file)
    report.write(run, replace(made, tasks=tuple(told)), LATEST)
    return f"{run.reports.name}/{file}"


def with_earlier(made: Report, earlier: Report | None) -> Report:
    """The report with what was found before of the same weights, in the earlier order; a task that is scored again is
    replaced, unless fewer rows were only looked at."""
    if earlier is None or earlier.model != made.model:
        return made
    fuller = looks(made, earlier)
    new = {task.name: task for task in made.tasks if task.name not in fuller}
    kept = tuple(new.pop(task.name, task) for task in earlier.tasks)
    return replace(made, tasks=(*kept, *new.values()), prompts=made.prompts or earlier.prompts)


def looks(made: Report, earlier: Report | None) -> dict[str, str]:
    """Tasks of which fewer rows were scored than before, with the same weights, though there are more: what is said of
    each. Their fuller scores are kept."""
    if earlier is None or earlier.model != made.model:
        return {}
    pairs = ((task, earlier.task(task.name)) for task in made.tasks)
    return {
        task.name: f"Only a look, at {words.count(task.n, 'rows')}: the scores of {before.n:,} from before stay in the "
        "report."
        for task, before in pairs
        if before and task.n < min(before.n, task.available) and (_bounded(task) or _alike(task, before))
    }


def _bounded(task: TaskReport) -> bool:
    return task.settings.max_samples is not None or task.settings.num_samples is not None


def _alike(task: TaskReport, before: TaskReport) -> bool:
    """Whether but for how many rows were asked for, both were made in the same way, of the same rows."""
    asked = {"max_samples": None, "num_samples": None, "gen_only": False, "longest": None}
    one, other = (replace(each.settings, **asked) for each in (task, before))
    return one == other and task.available == before.available


def _of_own(found: TaskReport, fetched: Fetched, own: Path | None) -> TaskReport:
    """What was found on the user's copy of a data set is never taken for scores on the Hub's."""
    if own is None or not fetched.task.examples.hub:
        return found
    return replace(
        found,
        label=f"{found.label} (own copy)",
        given=found.given or found.name,
        settings=replace(found.settings, source=str(own)),
    )


def _unheeded(fetched: Sequence[Fetched], shots: int | None, own: Path | None) -> Iterator[str]:
    """What was asked for and changes nothing, or not everything."""
    without = [each.task.label for each in fetched if not each.shots]
    if shots and without:
        yield f"No solved examples (--shots) are shown in {', '.join(without)}: these are asked as they were trained."
    if own and not any(each.task.examples.hub for each in fetched):
        yield f"{own.name} (--from) was not used: no task that is scored has its rows on the Hub."


def answer_prompts(bench: Bench) -> tuple[Prompted, ...]:
    """evaluate.prompts, answered by each model."""
    asked, notes = bench.askable([bench.user(prompt) for prompt in bench.spec.evaluate.prompts], "chat")
    for note in notes:
        bench.warn(note)
    if not asked:
        return ()
    said = bench.answers(
        "answers your questions", [prompt for _, prompt in asked], bench.spec.evaluate.max_new_tokens
    )
    return tuple(
        Prompted(item.question, *(said[side][at] if side in said else None for side in ("base", "tuned")))
        for at, (item, _) in enumerate(asked)
    )
