"""The shell's side of the house: every verb reads its arguments, calls one function of core, and prints.

atelier train poems.jsonl --preset tiny --train.epochs 3
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

import core
from core.errors import UserError
from core.runs.events import Act, Progress
from core.runs.store import Run, RunStore
from core.spec import RunSpec, sentences

app = App(
    default_parameter=Parameter(negative_iterable=()),
    name="atelier",
    version=core.__version__,
    help="Fine-tune a language model: from a file of examples to a model that you can trust, talk to and publish.",
    help_format="plaintext",
)
data = App(name="data", help="Look at examples before anything is trained on them.", help_format="plaintext")
app.command(data)

Files = Annotated[
    tuple[str, ...], Parameter(help="Files of examples (.jsonl), or sample:fables-en, sample:fables-fr.")
]
Preset = Annotated[str, Parameter(help="What to start from: tiny, small or 3090.")]
Config = Annotated[Path | None, Parameter(help="A YAML file of settings, laid over the preset.")]
Runs = Annotated[Path, Parameter(env_var="ATELIER_RUNS", help="The folder in which runs are kept.")]
Json = Annotated[bool, Parameter(negative="", help="Print one JSON object, for programs.")]
Settings = Annotated[RunSpec | None, Parameter(name="*", group="Settings")]
STOPPED = 130  # the exit status of what Ctrl-C ended, as in every shell

RunName = Annotated[str, Parameter(help="The name of a run; see `atelier runs`.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 the work failed, 2 the request could not be understood or begun, 130 it was stopped."""
    try:
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except ValidationError as error:
        print(sentences(error, RunSpec), file=sys.stderr)
    except CycloptsError as error:
        cause = error.__cause__
        print(sentences(cause, RunSpec) if isinstance(cause, ValidationError) else error, file=sys.stderr)
    except UserError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        return STOPPED
    return 2


def entry() -> None:
    """The installed command `atelier`."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # a Windows console has a page of its own
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # `atelier runs | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    raise SystemExit(status)


@data.command
def check(
    files: Files,
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    strict: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Read files of examples and list every line that cannot be used, with its reason and what to do.

    Exit status: 0 usable, 1 problems and --strict, 2 nothing usable.

    Parameters
    ----------
    every
        List every line; otherwise the first three of each kind of problem.
    strict
        Any problem gives exit status 1.
    """
    from core.data import NoExamplesError, read
    from core.data.report import as_dict, summary

    each = None if every else 3
    try:
        report = read(files)
    except NoExamplesError as error:
        if json:
            show_json(as_dict(error.report) | {"error": str(error)})
        else:
            print(f"{summary(error.report, each)}\n\n{error}", file=sys.stderr)
        return 2
    show_json(as_dict(report)) if json else print(summary(report, each))
    return 1 if strict and report.problems else 0


@data.command
def show(
    files: Files = (),
    *,
    rows: int = 3,
    preset: Preset = "tiny",
    config: Config = None,
    json: Json = False,
    settings: Settings = None,
) -> None:
    """Show, token by token, what is trained, what is context and what is cut.

    Parameters
    ----------
    rows
        Examples to show.
    """
    from core.preview import preview
    from core.show import preview_text

    seen = preview(_spec(files, preset, config, settings), rows)
    show_json(seen) if json else print(preview_text(seen))


@app.command
def train(
    files: Files = (),
    *,
    name: Annotated[
        str | None, Parameter(help="Name of the run; made from the data's name unless given.")
    ] = None,
    preset: Preset = "tiny",
    config: Config = None,
    runs: Runs = Path("runs"),
    follow: Annotated[bool, Parameter(help="Watch the run; it goes on without a watcher, too.")] = True,
    json: Json = False,
    settings: Settings = None,
) -> int:
    """Train a model and score it against its base. Ctrl-C stops it with a checkpoint; `atelier resume` goes on."""
    spec = _spec(files, preset, config, settings)
    if not spec.data.files:
        raise UserError("Name a file of examples, for example: atelier train sample:fables-en")
    store = RunStore(runs)
    run = store.create(name or store.free_name(Path(spec.data.files[0].removeprefix("sample:")).stem), spec)
    return _begin(run, "train", follow, json)


@app.command(name="runs")
def list_runs(*, runs: Runs = Path("runs"), json: Json = False) -> None:
    """List the runs, newest first."""
    from core.show import run_as_dict, runs_table

    rows = [(run, run.progress()) for run in RunStore(runs).all()]
    show_json({"runs": [run_as_dict(*row) for row in rows]}) if json else print(runs_table(rows))


@app.command
def watch(run: RunName, *, runs: Runs = Path("runs"), json: Json = False) -> int:
    """Watch a run until it ends. Ctrl-C ends the watching, not the run."""
    return _follow(RunStore(runs).get(run), json, leave=True)


@app.command
def stop(run: RunName, *, runs: Runs = Path("runs")) -> int:
    """Ask a run to stop: it saves a checkpoint after the step it is in."""
    wanted = RunStore(runs).get(run)
    if not wanted.alive():
        raise UserError(f"The run {run!r} is not at work; there is nothing to stop.")
    wanted.request_stop()
    return 0 if _follow(wanted, False, leave=True, before=wanted.progress()) == STOPPED else 1


@app.command
def resume(run: RunName, *, runs: Runs = Path("runs"), follow: bool = True, json: Json = False) -> int:
    """Go on with a run that was stopped, failed or lost, from its last whole checkpoint."""
    wanted = RunStore(runs).get(run)
    if wanted.progress().trained:
        raise UserError(f"The run {run!r} came to its end; there is nothing left to train.")
    return _begin(wanted, "train", follow, json)


@app.command
def evaluate(run: RunName, *, runs: Runs = Path("runs"), follow: bool = True, json: Json = False) -> int:
    """Score base and tuned model on the held-out examples, side by side, with intervals."""
    from core.evaluate.report import as_markdown, read

    wanted = RunStore(runs).get(run)
    status = _begin(wanted, "evaluate", follow, False, quiet=json)
    if status == 0 and follow:
        if json:
            print((wanted.reports / "evaluation.json").read_text("utf-8"))
        else:
            print(as_markdown(read(wanted)))
    return status


@app.command
def chat(
    run: RunName,
    question: Annotated[
        str | None, Parameter(help="One question; without it, a conversation begins.")
    ] = None,
    *,
    side: Literal["tuned", "base", "both"] = "tuned",
    temperature: float = 0.7,
    max_new_tokens: int = 256,
    seed: int | None = None,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Talk to a trained model, and to its base.

    Parameters
    ----------
    side
        Who answers.
    temperature
        0 always takes the likeliest token.
    max_new_tokens
        Longest answer.
    seed
        The same seed gives the same answer.
    """
    from core.show import converse

    converse(
        RunStore(runs).get(run),
        question,
        sides=("base", "tuned") if side == "both" else (side,),
        json=json,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        seed=seed,
    )


@app.command
def merge(run: RunName, *, runs: Runs = Path("runs"), json: Json = False) -> int:
    """Write the whole tuned model, adapter merged in, to the run's folder `merged`, with its model card."""
    return _begin(RunStore(runs).get(run), "merge", True, json)


@app.command
def push(
    run: RunName,
    *,
    to: Annotated[str | None, Parameter(help="Repository (owner/name); publish.to unless given.")] = None,
    what: Literal["adapter", "merged"] | None = None,
    private: bool | None = None,
    plan: Annotated[bool, Parameter(negative="")] = False,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> int:
    """Publish to the Hugging Face Hub: first the plan, then one commit. Repeat it after a failure; it goes on.

    The token comes from HF_TOKEN or `hf auth login`.

    Parameters
    ----------
    what
        The adapter alone or the whole merged model; publish.what unless given.
    private
        Whether a new repository is private; publish.private unless given.
    plan
        Show what would be published, and stop there.
    """
    from core.publish.plan import as_dict, as_text
    from core.publish.plan import plan as plan_publication

    wanted = RunStore(runs).get(run)
    planned = plan_publication(wanted, to, what, private)
    if plan or not json:
        show_json(as_dict(planned)) if json else print(as_text(planned))
    if plan:
        return 0
    return _begin(wanted, "push", True, json, to=planned.repo_id, what=planned.what, private=planned.private)


@app.command
def whoami(*, json: Json = False) -> None:
    """Show whose token would be used to publish."""
    from core.publish import hub

    name = hub.whoami()
    show_json({"name": name}) if json else print(name)


@app.command
def ui(
    *,
    port: int = 7860,
    host: str = "127.0.0.1",
    runs: Runs = Path("runs"),
    browser: Annotated[bool, Parameter(help="Open the page in a browser.")] = True,
) -> None:
    """Open the page."""
    from webui.page import launch

    launch(runs, host, port, browser)


@app.command
def demo(*, runs: Runs = Path("runs")) -> int:
    """The whole road in a few minutes: sample data, report, training, scores, three questions, a folder to publish."""
    from core.demo import demo

    return demo(runs)


@app.command(show=False)
def work(folder: Path, act: str, options: str = "{}") -> int:
    """Be the process that does an act of a run."""
    from core.runs.jobs import work

    return work(Run(folder), act, json.loads(options))


@app.command(show=False)
def talk(folder: Path) -> int:
    """Be the process that answers for a run, over standard input and output."""
    from core.talk.serve import serve

    return serve(Run(folder))


def show_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _spec(files: Sequence[str], preset: str, config: Path | None, settings: RunSpec | None) -> RunSpec:
    from core.presets import resolve
    from core.spec import merge

    flags = settings.model_dump(exclude_unset=True) if settings else {}
    return resolve(preset, config, merge(flags, {"data": {"files": tuple(files)}} if files else {}))


def _begin(run: Run, act: Act, follow: bool, json: bool, quiet: bool = False, **options: Any) -> int:
    """Start an act and watch it; what happened in the run before is not said again."""
    from core.runs import jobs

    before = run.progress()
    jobs.start(run, act, **options)
    if follow:
        return _follow(run, json, quiet=quiet, before=before)
    if json:
        show_json({"run": run.name, "folder": str(run.folder)})
    else:
        print(f"{run.name} goes on by itself: atelier watch {run.name}")
    return 0


def _follow(
    run: Run, json: bool, *, leave: bool = False, quiet: bool = False, before: Progress | None = None
) -> int:
    from core.show import follow_run, run_as_dict

    progress = follow_run(run, quiet=json or quiet, leave=leave, before=before)
    if json:
        show_json(run_as_dict(run, progress))
    return {"finished": 0, "stopped": STOPPED, "failed": 1, "lost": 1}.get(progress.state, 0)
