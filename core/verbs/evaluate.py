"""The verb that scores a trained model beside its base."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from core.errors import SpecError
from core.evaluate.request import Asked, options
from core.runs.store import RunStore
from core.verbs.common import Json, RunName, Runs, app, carry_out, show_json


@app.command
def evaluate(
    run: RunName | None = None,
    *,
    task: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = (),
    max_samples: int | None = None,
    shots: int | None = None,
    gen_only: Annotated[bool, Parameter(negative="")] = False,
    num_samples: int | None = None,
    max_new_tokens: int | None = None,
    side: Asked = "both",
    no_lora: Annotated[bool, Parameter(negative="")] = False,
    source: Annotated[Path | None, Parameter(name="--from")] = None,
    report: Path | None = None,
    list_tasks: Annotated[bool, Parameter(name="--list", negative="")] = False,
    runs: Runs = Path("runs"),
    follow: bool = True,
    json: Json = False,
) -> int:
    """Score base and tuned model on the same rows, side by side, with intervals and a verdict.

    Verdict and scores of what was scored now are shown; the whole report, with every row and the tasks of before, lies in
    the run's reports/.

    Parameters
    ----------
    task
        What is scored: a task by name, its .yaml, a file of examples, or lm-eval:NAME; may be given several times. As
        evaluate.tasks of the run says unless given.
    max_samples
        Most rows of each task, evenly spread over it.
    shots
        Solved examples shown before each question.
    gen_only
        Only tasks in which the models write answers.
    num_samples
        Most rows of each task in which the models write answers.
    max_new_tokens
        Longest answer, in tokens, whatever a task says.
    side
        One model alone, or both; merged is what `atelier merge` made.
    no_lora
        The base model alone; short for --side base.
    source
        Your own copy of the task's data set on the Hub: a file, or a folder with a file for each split.
    report
        Also write the whole report there: .html, .md or .json.
    list_tasks
        Show the tasks there are.
    """
    if list_tasks:
        return _list(json)
    if run is None:
        raise SpecError("Name a run to evaluate (see `atelier runs`), or give --list to see the tasks.")
    if no_lora and side not in ("both", "base"):
        raise SpecError(f"--no-lora is the base alone, and --side says {side}: give one of them.")
    if report and report.suffix not in (".html", ".md", ".json"):
        raise SpecError(f"--report {report} must end in .html, .md or .json.")
    if report and not follow:
        raise SpecError("--report is written when the evaluation has ended: leave --no-follow out.")
    side = "base" if no_lora else side
    wanted = RunStore(runs).get(run)
    asked = options(
        wanted,
        tasks=[_anchored(name) for name in task] or None,
        max_samples=max_samples,
        shots=shots,
        num_samples=num_samples,
        max_new_tokens=max_new_tokens,
        gen_only=gen_only,
        side=side,
        source=str(source.resolve()) if source else None,
    )
    status = carry_out(wanted, "evaluate", follow, False, quiet=json, **asked)
    if status == 0 and follow:
        _show(
            wanted.reports / ("evaluation.json" if side == "both" else f"{side}.json"), wanted, json, report
        )
    return status


def _anchored(name: str) -> str:
    """The job may run in another folder."""
    before, colon, path = name.rpartition(":") if name.startswith("lm-eval:") else ("", "", name)
    return f"{before}{colon}{Path(path).resolve()}" if Path(path).suffix else name


def _show(file: Path, run, json: bool, report: Path | None) -> None:
    from core.evaluate.report import LATEST, read
    from core.evaluate.reports.terminal import as_text

    if report:
        shutil.copyfile(file.with_suffix(report.suffix), report)
    if json:
        print((run.reports / LATEST).read_text("utf-8"))
        return
    print(as_text(read(run, LATEST)))
    print(
        f"Definitions, settings, every row and how to repeat it: {file.with_suffix('.html')}, and {file.stem}.md beside it"
    )
    if report:
        print(f"Written to {report}.", file=sys.stderr)


def _list(json: bool) -> int:
    from core.evaluate.tasks import built_in, names

    every = [built_in(name) for name in names()]
    if json:
        keys = {"name", "label", "about", "source", "licence", "kind"}
        show_json({"tasks": [task.model_dump(include=keys) for task in every]})
        return 0
    for task in every:
        where = f" {task.source}, {task.licence}." if task.licence else ""
        print(f"{task.name}\n    {task.about}{where}\n")
    print("Also: a task's own .yaml, a file of examples, and lm-eval:NAME where lm-eval is installed.")
    return 0
