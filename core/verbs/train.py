"""Verbs that train, plan a training, go on with it, and prove what it promises."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from core.errors import UserError
from core.runs.store import Run, RunStore
from core.train.distributed.launching import commands
from core.verbs.common import (
    Config,
    Files,
    ForceCpu,
    Json,
    Preset,
    RunName,
    Runs,
    Settings,
    app,
    carry_out,
    follow_to_its_end,
    forced,
    show_json,
    spec_of,
)
from core.verbs.remote import agreed, agreed_to_go_on

Yes = Annotated[bool, Parameter(negative="", help="Do not ask before a machine of HF Jobs is paid for.")]


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
    yes: Yes = False,
    json: Json = False,
    settings: Settings = None,
) -> int:
    """Train a model and score it against its base. Ctrl-C stops it with a checkpoint; `atelier resume` goes on."""
    from core.runs import jobs

    spec = forced(spec_of(files, preset, config, settings), force_cpu)
    if not spec.data.files:
        raise UserError("Name a file of examples, for example: atelier train sample:fables-en")
    if begin:  # otherwise it may be for other machines
        jobs.check(spec)
        agreed(spec, runs, yes)
    store = RunStore(runs)
    free = store.free_name(Path(spec.data.files[0].removeprefix("sample:")).stem)
    run = store.create(name or free, spec, preset)
    if not begin:
        if json:
            show_json({"run": run.name, "folder": str(run.folder)})
        else:
            lines = commands(spec, str(run.folder))
            print(
                "\n".join(
                    [f"{run.folder} is made. It begins with:", *lines]
                    if spec.compute.machines > 1
                    else [f"{run.folder} is made. It begins with: atelier resume {run.name}"]
                )
            )
        return 0
    if profile_start:
        return _with_next_steps(run, _begin_measured(run, follow, json), follow, json)
    return _with_next_steps(run, carry_out(run, "train", follow, json), follow, json)


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
    from core.publish import before
    from core.runs import jobs

    spec = forced(spec_of(files, preset, config, settings), force_cpu)
    if not spec.data.files:
        raise UserError("Name a file of examples, for example: atelier plan sample:fables-en")
    jobs.check(spec)
    seen = forecast(spec, runs)
    publishing = before.planned(spec, seen["seconds"], runs, 2 * seen["parameters"])
    if json:
        show_json(seen | {"publishing": publishing})
    else:
        print(as_text(seen) + before.planned_as_text(publishing))
    return 1 if seen["refusal"] or (publishing and publishing["refusal"]) else 0


@app.command(name="models")
def list_models(*, json: Json = False) -> None:
    """List models that have a short name: size, licence, memory by method, and where they are on the Hub."""
    from core.forecast import needs
    from core.models import as_dicts, as_text

    rows = as_dicts(lambda model: needs(model.shape, in_words=not json))
    show_json({"models": rows}) if json else print(as_text(rows))


@app.command
def resume(
    run: RunName, *, runs: Runs = Path("runs"), follow: bool = True, yes: Yes = False, json: Json = False
) -> int:
    """Go on with a run that was stopped, failed or lost, from its last whole checkpoint.

    One on HF Jobs joins its job if that is still at work; if not, a new one is asked for, after a question what it costs.
    """
    wanted = RunStore(runs).get(run)
    if wanted.progress().trained:
        raise UserError(f"The run {run!r} came to its end; there is nothing left to train.")
    agreed_to_go_on(wanted, yes)
    return _with_next_steps(wanted, carry_out(wanted, "train", follow, json), follow, json)


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
    status = carry_out(second, "train", True, False, quiet=json)
    if status:
        if json:
            show_json({"first": first.name, "second": second.name, "error": second.progress().message})
        return status
    found = compare(first, second)
    show_json(as_dict(found)) if json else print(as_text(found))
    return 0 if found.equal else 1


def _with_next_steps(run: Run, status: int, follow: bool, json: bool) -> int:
    """The status; whoever has watched the training to its end is told what came of it, and what can be done now."""
    if follow and not json and run.progress().state == "finished":
        from core.show import next_steps

        print(next_steps(run))
    return status


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
    return follow_to_its_end(run, json) if follow else 0
