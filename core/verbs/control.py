"""Verbs that look at runs and steer them."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from core.errors import UserError
from core.runs.store import RunStore
from core.verbs.common import STOPPED, Json, RunName, Runs, app, follow_to_its_end, is_sure, line, show_json


@app.command(name="runs")
def list_runs(*, runs: Runs = Path("runs"), json: Json = False) -> None:
    """List the runs, newest first."""
    from core.show import run_as_dict, runs_table

    rows = [(run, run.progress()) for run in RunStore(runs).all()]
    show_json({"runs": [run_as_dict(*row) for row in rows]}) if json else print(runs_table(rows))


@app.command
def watch(run: RunName, *, runs: Runs = Path("runs"), json: Json = False) -> int:
    """Watch a run until it ends. Ctrl-C ends the watching, not the run."""
    return follow_to_its_end(RunStore(runs).get(run), json, leave=True)


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
    return 0 if follow_to_its_end(wanted, False, leave=True, before=before) == STOPPED else 1


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
    if not yes and not is_sure(f"Delete {wanted.folder} with all that is in it?"):
        return 1
    jobs.delete(wanted)
    print(f"{run} is deleted.")
    return 0


@app.command
def rename(run: RunName, name: str, *, runs: Runs = Path("runs")) -> None:
    """Give a run another name. One that is at work is refused; what was published keeps its repository.

    Parameters
    ----------
    name
        The new name.
    """
    from core.runs import naming

    naming.rename(RunStore(runs).get(run), name)
    print(f"{run} is now {name}.")


@app.command
def note(run: RunName, words: str | None = None, *, runs: Runs = Path("runs")) -> None:
    """Keep words with a run, as a note to yourself, in place of those before; without any, show them.

    Parameters
    ----------
    words
        The note; "" removes it.
    """
    from core.runs import naming

    wanted = RunStore(runs).get(run)
    if words is None:
        print(wanted.note or f"{run} has no note.")
    else:
        naming.note(wanted, words)
        print(f"The note is kept with {run}." if words.strip() else f"{run} has no note any more.")


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
