"""What an evaluation is asked for, by the shell, a page or a program, and whether it can be: before anything is begun."""

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import DataError, RunError, SpecError, UserError
from core.runs.store import Run
from core.spec import RunSpec, merge

if TYPE_CHECKING:
    from core.evaluate.tasks import Task

Asked = Literal["both", "base", "tuned", "merged"]


def options(
    run: Run,
    *,
    tasks: Sequence[str] | None = None,
    max_samples: int | None = None,
    shots: int | None = None,
    num_samples: int | None = None,
    max_new_tokens: int | None = None,
    gen_only: bool = False,
    side: Asked = "both",
    source: str | None = None,
) -> dict[str, Any]:
    """What the act `evaluate` is started with. UserError, in one sentence, where these do not go together.

    `tasks` are those of the run's settings unless given; none at all is refused. `num_samples` is for tasks in which the
    models write answers, `max_samples` for all.
    """
    if tasks is not None and not tasks:
        raise DataError("Choose a task first: held-out scores the examples that were kept out of training.")
    settings = _given(
        tasks=list(tasks) if tasks else None,
        max_samples=max_samples,
        shots=shots,
        max_new_tokens=max_new_tokens,
        answers=num_samples,
    )
    chosen(spec_for(run, settings), gen_only)
    if side == "merged":
        merged(run)
    return settings | _given(
        num_samples=num_samples,
        gen_only=gen_only or None,
        side=side if side != "both" else None,
        source=source,
    )


def spec_for(run: Run, settings: Mapping[str, Any]) -> RunSpec:
    """The run's settings with those of the section `evaluate` that are given this time."""
    return RunSpec.from_dict(merge(run.spec.model_dump(mode="json"), {"evaluate": dict(settings)}))


def chosen(
    spec: RunSpec, gen_only: bool, known: Mapping[str, str] | None = None
) -> tuple[list["Task"], list[str]]:
    """The tasks to score, and the names of those of lm-eval's; `known` as in `tasks`. UserError if one cannot be, or
    if none is left."""
    from core.evaluate.tasks import HARNESS
    from core.evaluate.tasks import tasks as named

    wanted = spec.evaluate.tasks
    ours = list(named([name for name in wanted if not name.startswith(HARNESS)], known))
    theirs = [name for name in wanted if name.startswith(HARNESS)]
    if gen_only:
        ours = [task for task in ours if task.kind == "generation"]
        if not ours and not theirs:
            raise UserError(
                f"No task in which the models write answers is left of {', '.join(wanted)}: leave --gen-only "
                "out, or name another with --task."
            )
    for name in theirs:
        check_harness(name)
    return ours, theirs


def check_harness(name: str) -> None:
    """SpecError, in one sentence, if lm-eval is not installed, or a visitor of a Space brings a file for it."""
    from core.evaluate.tasks import HARNESS, YAML

    if "SPACE_ID" in os.environ and Path(name.removeprefix(HARNESS)).suffix in YAML:
        raise SpecError(
            f"The task {name} is a file of lm-eval, which can run any code: on a Space name one of lm-eval's own tasks."
        )
    if find_spec("lm_eval") is None:
        raise SpecError(f"The task {name} needs lm-eval: install it with `pip install lm_eval==0.4.13`.")


def merged(run: Run) -> Path:
    """The folder of the run's merged model; RunError if it was not made."""
    folder = run.folder / "merged"
    if not (folder / "config.json").is_file():
        raise RunError(
            f"The run {run.name!r} has no merged model yet: make it with `atelier merge {run.name}`."
        )
    return folder


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
