"""The act `evaluate`: the models are opened again from what is on disk, and score the tasks that are asked for."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

from core import cache
from core.data.select import select
from core.evaluate import harness, report
from core.evaluate.bench import Bench, StopError, open_bench
from core.evaluate.report import FILE, Prompted, Report, Side
from core.evaluate.reports import write_all
from core.evaluate.scoring import score
from core.evaluate.tasks import HARNESS, tasks
from core.runs.events import Staged
from core.runs.store import Run
from core.spec import RunSpec, merge
from core.train.model import set_threads

SIDES: dict[str, tuple[Side, ...]] = {
    "both": ("base", "tuned"),
    "base": ("base",),
    "tuned": ("tuned",),
    "merged": ("merged",),
}


def evaluate(
    run: Run,
    side: Literal["both", "base", "tuned", "merged"] = "both",
    gen_only: bool = False,
    num_samples: int | None = None,
    source: str | None = None,
    **options: object,
) -> str | None:
    """Score and answer, and write the report; its place in the run's folder, or None if it was stopped.

    What an earlier evaluation of the same weights found of other tasks stays in the report. `source` is the user's own
    copy of data sets on the Hub, a file or a folder. Options are settings of the section `evaluate`, for this time
    only. The held-out examples, their tokens and which of these are trained come from the settings in the same way as
    in training.
    """
    spec = RunSpec.from_dict(merge(run.spec.model_dump(mode="json"), {"evaluate": options}))
    set_threads(spec)
    ours = list(tasks([name for name in spec.evaluate.tasks if not name.startswith(HARNESS)]))
    theirs = [name for name in spec.evaluate.tasks if name.startswith(HARNESS)]
    if gen_only:
        ours = [task for task in ours if task.kind == "generation"]
    for name in theirs:
        harness.check(name)
    chosen = select(spec.data)
    chosen.check(run.manifest)
    run.events.append(
        Staged(stage="Opening base and tuned model" if side == "both" else f"Opening {side} model")
    )
    bench = open_bench(run, spec, SIDES[side], longest=options.get("max_new_tokens"))
    try:
        found = [
            score(bench, task, chosen.held_out, Path(source) if source else None, num_samples)
            for task in ours
        ]
        found += [harness.score(bench, name) for name in theirs]
        prompts = answer_prompts(bench)
        if not prompts and not any(task.kind == "generation" and task.n for task in found):
            # Not done before it was opened again and answered.
            first = bench.askable([bench.user("Hello!")], "chat")[0]
            bench.answers("answers a first question", [prompt for _, prompt in first], 1)
    except StopError:
        return None
    name = FILE if side == "both" else f"{side}.json"
    made = Report(
        run=run.name,
        base_model=spec.model.base,
        model=cache.key_of(sorted(bench.weights.items()), bench.sides),
        sides=bench.sides,
        made_at=time.time(),
        tasks=tuple(found),
        prompts=prompts,
    )
    write_all(run, with_earlier(made, report.read(run, name)), name)
    return f"{run.reports.name}/{name}"


def with_earlier(made: Report, earlier: Report | None) -> Report:
    """The report with what was found before of the same weights, in the earlier order; a task that is scored again is
    replaced."""
    if earlier is None or earlier.model != made.model:
        return made
    new = {task.name: task for task in made.tasks}
    kept = tuple(new.pop(task.name, task) for task in earlier.tasks)
    return replace(made, tasks=(*kept, *new.values()), prompts=made.prompts or earlier.prompts)


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
