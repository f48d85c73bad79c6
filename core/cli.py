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
    default_parameter=Parameter(negative_iterable=(), consume_multiple=True),
    name="atelier",
    version=core.__version__,
    help="Fine-tune a language model: from a file of examples to a model that you can trust, talk to and publish.",
    help_format="plaintext",
)
data = App(name="data", help="Look at examples before anything is trained on them.", help_format="plaintext")
app.command(data)
line = App(
    name="queue", help="Runs that wait for an accelerator: one job at a time has it.", help_format="plaintext"
)
app.command(line)

Files = Annotated[
    tuple[str, ...], Parameter(help="Files of examples (.jsonl), or sample:fables-en, sample:fables-fr.")
]
Preset = Annotated[str, Parameter(help="What to start from: tiny, small or 3090.")]
Config = Annotated[Path | None, Parameter(help="A YAML file of settings, laid over the preset.")]
Runs = Annotated[Path, Parameter(env_var="ATELIER_RUNS", help="The folder in which runs are kept.")]
Json = Annotated[bool, Parameter(negative="", help="Print one JSON object, for programs.")]
Settings = Annotated[RunSpec | None, Parameter(name="*", group="Settings")]
ForceCpu = Annotated[
    bool,
    Parameter(
        negative="",
        help="Train without a GPU though it takes more than an hour; short for --compute.force-cpu.",
    ),
]
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
        said = sentences(cause, RunSpec) if isinstance(cause, ValidationError) else error
        print(_harmless(said), file=sys.stderr)
    except UserError as error:
        print(_harmless(error), file=sys.stderr)
    except KeyboardInterrupt:
        return STOPPED
    return 2


def _harmless(said: object) -> str:
    """An error's words, in which names from outside command no terminal."""
    from core.data.remarks import visible

    return "\n".join(map(visible, str(said).splitlines()))


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
    files: Files = (),
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    strict: Annotated[bool, Parameter(negative="")] = False,
    tokens: bool = True,
    rows: int = 0,
    preset: Preset = "tiny",
    config: Config = None,
    json: Json = False,
    settings: Settings = None,
) -> int:
    """Read examples and say everything about them: every line that cannot be used, with its reason and what to do.

    Exit status: 0 usable, 1 problems and --strict, 2 nothing usable.

    Parameters
    ----------
    every
        List every line; otherwise the first three of each kind of problem.
    strict
        Any problem gives exit status 1.
    tokens
        Also count tokens, and see what is cut, trained, and ends an answer; that needs the model's tokenizer.
    rows
        Examples to show token by token.
    """
    from core.data import NoExamplesError
    from core.data.report import as_dict, summary
    from core.examine import examine, is_odd, unusable
    from core.show import lengths_text

    each = None if every else 3
    try:
        seen = examine(_spec(files, preset, config, settings), rows, tokens)
    except NoExamplesError as error:
        if json:
            show_json(unusable(error))
        else:
            print(f"{summary(as_dict(error.report), each)}\n\n{error}", file=sys.stderr)
        return 2
    except UserError as error:
        if not json:
            raise
        show_json({"rows": 0, "kept": 0, "problems": [], "lengths": None, "error": str(error)})
        return 2
    show_json(seen) if json else print(f"{summary(seen, each)}\n\n{lengths_text(seen)}")
    if seen["lengths"] and not seen["lengths"]["trained_tokens"]:
        return 2
    return 1 if strict and is_odd(seen) else 0


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
    from core.examine import examine
    from core.show import lengths_text, tokens_text

    seen = examine(_spec(files, preset, config, settings), rows)
    if seen["tokens_error"]:
        raise UserError(seen["tokens_error"])
    show_json(seen) if json else print(f"{tokens_text(seen)}\n{lengths_text(seen)}")


@data.command
def clean(
    files: Files = (),
    *,
    output_dir: Path = Path("cleaned"),
    mend: bool = True,
    preset: Preset = "tiny",
    config: Config = None,
    json: Json = False,
    settings: Settings = None,
) -> None:
    """Write a clean copy (cleaned.jsonl), the rows that cannot be used (rejected.jsonl), and a report of both.

    Copies of a row are left out, and rows with a warning of a code in --data.drop.

    Parameters
    ----------
    output_dir
        The folder to write to.
    mend
        Repair what can be: text read in a wrong encoding, control characters, spaces at the end. Each repair is counted.
    """
    from core.data.cleaning import clean
    from core.data.select import select
    from core.examine import examine, write_report
    from core.spec import merge

    spec = _spec(files, preset, config, settings)
    if not spec.data.drop:
        spec = RunSpec.from_dict(merge(spec.model_dump(mode="json"), {"data": {"drop": ["duplicate"]}}))
    chosen = select(spec.data, thorough=True)
    seen = examine(spec, chosen=chosen)
    done = clean(chosen.reports[0], output_dir, mend)
    as_json, as_text = write_report(seen, output_dir)
    found = {
        "cleaned": str(done.cleaned),
        "rejected": str(done.rejected),
        "report": str(as_json),
        "markdown": str(as_text),
        "kept": done.kept,
        "dropped": seen["dropped"],
        "mended": done.mended,
    }
    if json:
        show_json(found)
        return
    print(f"{done.cleaned}: {done.kept:,} examples")
    for what, times in (seen["dropped"] | done.mended).items():
        print(f"  {what}: {times:,}")
    print(f"{done.rejected}: {seen['rejected']:,} that cannot be used\n{as_text}\n{as_json}")


@data.command
def prepare(
    names: tuple[str, ...],
    *,
    output_dir: Path = Path("data/sft"),
    source: Annotated[str | None, Parameter(name="--from")] = None,
    paths: Literal["best", "every"] = "best",
    language: tuple[str, ...] = (),
    keep_calculator: bool = False,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Write a public data set as examples: dolly15k, oasst1, alpaca, gsm8k, math, books, riddles, or all of them.

    Its licence and source stand beside it, and what was left out is counted.

    Parameters
    ----------
    output_dir
        The folder to write to.
    source
        A local copy of the original files, a file or a folder; taken from the Hub unless given.
    paths
        Of oasst1's trees: the path of the best ranked replies, or every path.
    language
        Only conversations in these languages (en, fr, ...), where the set says which they are in.
    keep_calculator
        Keep gsm8k's annotations for a calculator, such as <<48/2=24>>.
    seed
        Which questions are made of the paragraphs of books.
    """
    from core.data.prepared import as_dict, as_text, prepare

    done = prepare(
        names, output_dir, source, paths=paths, languages=language, keep_calculator=keep_calculator, seed=seed
    )
    show_json(as_dict(done)) if json else print(as_text(done))


@data.command
def generate(
    inputs: tuple[str, ...],
    *,
    output: Path,
    method: Literal["rule-based", "llm-based", "augmented"] = "rule-based",
    count: int = 1000,
    split: Annotated[bool, Parameter(negative="")] = False,
    language: Literal["auto", "en", "fr"] = "auto",
    unanswerable: bool = True,
    typos: bool = False,
    endpoint: str | None = None,
    model: str | None = None,
    base: str | None = None,
    budget: int | None = None,
    seed: int = 42,
    runs: Runs = Path("runs"),
    json: Json = False,
) -> None:
    """Make questions and answers of your own documents: Markdown, text, CSV or JSON lines.

    Beside each row's file stands what it was made of (F.sources.jsonl). Ctrl-C keeps what was made.

    Parameters
    ----------
    inputs
        The documents; for augmented, files of questions and answers.
    output
        The file to write, such as guide.jsonl.
    method
        rule-based reads structure (headings, fields, lists, tables); llm-based asks a model and checks that the passage
        supports its answers; augmented varies the questions of examples and leaves their answers as they are.
    count
        Rows to make; fewer are made where the documents hold no more.
    split
        Write train, validation and test files (80/10/10); no passage is in two of them.
    language
        That of the questions; that of the document unless given.
    unanswerable
        Also ask a few questions that the document does not answer, and say so.
    typos
        Also vary questions by slips of the pen; for augmented.
    endpoint
        Address of a model that answers as OpenAI's API does, such as http://127.0.0.1:8000/v1; for llm-based. Its token
        is taken from ATELIER_ENDPOINT_TOKEN.
    model
        Name of the model at the endpoint.
    base
        A run whose model is asked instead.
    budget
        Most tokens to spend; what was made until then is kept, and the same command goes on.
    seed
        The same seed makes the same rows.
    """
    from core.data.generate import as_dict, as_text, generate
    from core.show import counting

    with counting("Making rows", quiet=json) as progress:
        made = generate(
            inputs,
            method,
            count,
            output,
            split=split,
            language=language,
            unanswerable=unanswerable,
            typos=typos,
            endpoint=endpoint,
            model=model,
            base=base,
            budget=budget,
            seed=seed,
            runs=runs,
            progress=progress,
        )
    show_json(as_dict(made)) if json else print(as_text(made))


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
    begin: Annotated[bool, Parameter(help="Begin at once; otherwise the run is made, and waits.")] = True,
    follow: Annotated[bool, Parameter(help="Watch the run; it goes on without a watcher, too.")] = True,
    profile_start: Annotated[
        bool, Parameter(negative="", help="Show where the time to the first step goes.")
    ] = False,
    force_cpu: ForceCpu = False,
    json: Json = False,
    settings: Settings = None,
) -> int:
    """Train a model and score it against its base. Ctrl-C stops it with a checkpoint; `atelier resume` goes on."""
    from core.runs import jobs

    spec = _forced(_spec(files, preset, config, settings), force_cpu)
    if not spec.data.files:
        raise UserError("Name a file of examples, for example: atelier train sample:fables-en")
    if begin:  # otherwise it may be for other machines
        jobs.check(spec)
    store = RunStore(runs)
    run = store.create(name or store.free_name(Path(spec.data.files[0].removeprefix("sample:")).stem), spec)
    if not begin:
        if json:
            show_json({"run": run.name, "folder": str(run.folder)})
        else:
            print(f"{run.folder} is made. It begins with: atelier resume {run.name}")
        return 0
    if profile_start:
        return _begin_measured(run, follow, json)
    return _begin(run, "train", follow, json)


@app.command
def plan(
    files: Files = (),
    *,
    preset: Preset = "tiny",
    config: Config = None,
    runs: Runs = Path("runs"),
    force_cpu: ForceCpu = False,
    json: Json = False,
    settings: Settings = None,
) -> int:
    """Show what a training would do and take: steps, every choice with its reason, memory by part, time, disk.

    Nothing is trained, and no weights are loaded. Exit status: 0 it would begin, 1 it would be refused.
    """
    from core.forecast import as_text, forecast
    from core.runs import jobs

    spec = _forced(_spec(files, preset, config, settings), force_cpu)
    if not spec.data.files:
        raise UserError("Name a file of examples, for example: atelier plan sample:fables-en")
    jobs.check(spec)
    seen = forecast(spec, runs)
    show_json(seen) if json else print(as_text(seen))
    return 1 if seen["refusal"] else 0


@app.command(name="models")
def list_models(*, json: Json = False) -> None:
    """List models that have a short name: size, licence, memory by method, and where they are on the Hub."""
    from core.forecast import needs
    from core.models import as_dicts, as_text

    rows = as_dicts(lambda model: needs(model.shape, in_words=not json))
    show_json({"models": rows}) if json else print(as_text(rows))


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
def stop(
    run: RunName,
    *,
    discard: Annotated[bool, Parameter(negative="")] = False,
    now: Annotated[bool, Parameter(negative="")] = False,
    runs: Runs = Path("runs"),
) -> int:
    """Ask a run to stop: it saves a checkpoint after the step it is in, and `atelier resume` goes on from there.

    One that gives no sign of life for half a minute beyond what its steps take is ended, its children with it.

    Parameters
    ----------
    discard
        Stop without a checkpoint and remove all that the training made: what stays are its settings, its curves and what
        it printed. To remove these, too, `atelier delete`.
    now
        End its processes at once; what came after its last checkpoint is lost.
    """
    from core.runs import jobs

    wanted = RunStore(runs).get(run)
    before = wanted.progress()
    jobs.stop(wanted, discard, now)
    return 0 if _follow(wanted, False, leave=True, before=before) == STOPPED else 1


@app.command
def pause(run: RunName, *, runs: Runs = Path("runs")) -> None:
    """Hold a training after the step it is in. It keeps its memory and its accelerator; `atelier continue` goes on."""
    from core.runs import jobs

    jobs.pause(RunStore(runs).get(run))
    print(f"{run} is held after this step; go on with: atelier continue {run}")


@app.command(name="continue")
def go_on(run: RunName, *, runs: Runs = Path("runs")) -> None:
    """Let a paused training go on."""
    from core.runs import jobs

    jobs.go_on(RunStore(runs).get(run))
    print(f"{run} goes on: atelier watch {run}")


@app.command
def delete(
    run: RunName,
    *,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    runs: Runs = Path("runs"),
) -> int:
    """Delete a run with all that it made: checkpoints, model, scores. One that is at work is refused."""
    from core.runs import jobs

    wanted = RunStore(runs).get(run)
    if not yes and not _sure(f"Delete {wanted.folder} with all that is in it?"):
        return 1
    jobs.delete(wanted)
    print(f"{run} is deleted.")
    return 0


@line.default
def queue(*, runs: Runs = Path("runs"), json: Json = False) -> None:
    """List what is at work on which accelerator, and what waits for one, the next one first."""
    from core.runs.queue import holding, waiting
    from core.show import queue_as_dict, queue_table

    rows = [(run, run.progress()) for run in RunStore(runs).all()]
    busy, wait = holding(rows), waiting(rows)
    show_json(queue_as_dict(busy, wait)) if json else print(queue_table(busy, wait))


@line.command
def move(
    run: RunName,
    *,
    first: Annotated[bool, Parameter(negative="")] = False,
    last: Annotated[bool, Parameter(negative="")] = False,
    before: str | None = None,
    runs: Runs = Path("runs"),
) -> None:
    """Give a run that waits another place in the line.

    Parameters
    ----------
    first
        It is the next one.
    last
        It comes after all others.
    before
        It comes just before this run.
    """
    from core.runs.queue import move

    if first + last + (before is not None) != 1:
        raise UserError("Say where: --first, --last, or --before another run.")
    store = RunStore(runs)
    move(store.get(run), store.get(before) if before is not None else "first" if first else "last")
    queue(runs=runs)


@line.command
def cancel(run: RunName, *, runs: Runs = Path("runs")) -> None:
    """Take a run that waits out of the line; `atelier resume` asks for it again."""
    from core.runs import jobs

    jobs.cancel(RunStore(runs).get(run))
    print(f"{run} waits no longer.")


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
def prove_resume(run: RunName, *, steps: int = 5, runs: Runs = Path("runs"), json: Json = False) -> int:
    """Prove on this machine that a run of these settings loses nothing when it is killed and resumed.

    Trains 2N steps straight, and N steps, a kill, and the rest resumed, in processes of their own and beside the runs;
    then compares every loss, the order of the data and every file of weights. Exit status: 0 equal, 1 different.

    Parameters
    ----------
    steps
        N, the steps before the checkpoint that is resumed from.
    """
    from core.train.prove import as_dict, as_text, prove

    if steps < 1:
        raise UserError(f"--steps is {steps}: give 1 or more.")
    proof = prove(RunStore(runs).get(run), steps)
    show_json(as_dict(proof)) if json else print(as_text(proof))
    return 0 if proof.equal else 1


@app.command
def reproduce(run: RunName, *, runs: Runs = Path("runs"), json: Json = False) -> int:
    """Run a finished run again, with the same settings and data, and show where the second differs from the first.

    The new run is kept and called like the first, with -again. Exit status: 0 equal bit for bit, 1 different.
    """
    from core.train.reproduce import again, as_dict, as_text, compare

    first = RunStore(runs).get(run)
    second, differences = again(first)
    if not json:
        print(
            "\n".join(f"Different here: {each}" for each in differences)
            or "Software and hardware are the same."
        )
    status = _begin(second, "train", True, False, quiet=json)
    if status:
        if json:
            show_json({"first": first.name, "second": second.name, "error": second.progress().message})
        return status
    found = compare(first, second)
    show_json(as_dict(found)) if json else print(as_text(found))
    return 0 if found.equal else 1


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
def end(folder: Path) -> None:
    """See a run end that was asked to stop, by force if need be."""
    from core.runs.jobs import see_it_end

    see_it_end(Run(folder))


@app.command(show=False)
def rank(folder: Path) -> int:
    """Be one of the processes that train a run together."""
    from core.train.processes import be_rank

    return be_rank(folder)


@app.command(show=False)
def talk(folder: Path) -> int:
    """Be the process that answers for a run, over standard input and output."""
    from core.talk.serve import serve

    return serve(Run(folder))


def _sure(question: str) -> bool:
    """Whether a person at a terminal says yes; where there is none, nobody does."""
    if not sys.stdin.isatty():
        raise UserError(f"{question} Nobody is here to ask: say so with --yes.")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def show_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _spec(files: Sequence[str], preset: str, config: Path | None, settings: RunSpec | None) -> RunSpec:
    from core.presets import resolve_and_tell
    from core.spec import merge

    flags = settings.model_dump(exclude_unset=True) if settings else {}
    given = merge(flags, {"data": {"files": tuple(files)}} if files else {})
    spec, remarks = resolve_and_tell(preset, config, given)
    for remark in remarks:
        print(f"{config}: {_harmless(remark)}", file=sys.stderr)
    return spec


def _forced(spec: RunSpec, force_cpu: bool) -> RunSpec:
    compute = spec.compute.model_copy(update={"force_cpu": spec.compute.force_cpu or force_cpu})
    return spec.model_copy(update={"compute": compute})


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


def _begin_measured(run: Run, follow: bool, json: bool) -> int:
    """Start a training, show how long each part took when its first step is done, and watch it from there."""
    import psutil

    from core.runs import jobs
    from core.train.start import as_text, wait

    jobs.start(run, "train")
    try:
        found = wait(run, psutil.Process().create_time())
    except KeyboardInterrupt:
        run.request_stop()
        found = None
    if found:
        print(as_text(found), file=sys.stderr if json else sys.stdout)
    return _follow(run, json) if follow else 0


def _follow(
    run: Run, json: bool, *, leave: bool = False, quiet: bool = False, before: Progress | None = None
) -> int:
    from core.show import follow_run, run_as_dict

    progress = follow_run(run, quiet=json or quiet, leave=leave, before=before)
    if json:
        show_json(run_as_dict(run, progress))
    return {"finished": 0, "stopped": STOPPED, "failed": 1, "lost": 1}.get(progress.state, 0)
