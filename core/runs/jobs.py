"""Starting a run's act in a process of its own, and being that process.

The page and the shell start an act the same way:  python -m core work <run folder> <act> [options as JSON]
"""

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import RunError, UserError
from core.runs.events import Act, Failed, Finished, Queued, Started, Stopped
from core.runs.store import Run, RunStore

ROOT = Path(__file__).resolve().parent.parent.parent
ON_ACCELERATOR = ("train", "evaluate")


def start(run: Run, act: Act = "train", token: str | None = None, **options: Any) -> None:
    """Start the act and return at once; it outlives this process. RunError if the run is busy.

    A token goes through the environment: never into a file, an event or a command line.
    """
    if run.alive():
        raise RunError(f"The run {run.name!r} is at work on something else; wait for it, or stop it first.")
    run.withdraw_stop()
    run.events.append(Queued(act=act))
    with run.console.open("ab") as console:
        subprocess.Popen(
            [sys.executable, "-m", "core", "work", str(run.folder.resolve()), act, json.dumps(options)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the server's terminal does not reach the job
            env=child_environment(token),
        )


def child_environment(token: str | None = None) -> dict[str, str]:
    """This process's environment, in which `python -m core` is found whatever the folder."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    }
    # OpenMP's threads wait by spinning. Where anything else wants the same cores they spin against it: a training
    # on two busy cores made 55 tokens/s, and 330 with threads that sleep while they wait.
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    if token:
        environment["HF_TOKEN"] = token
    return environment


def work(run: Run, act: Act, options: dict[str, Any]) -> int:
    """Do the act in this process; returns the exit status. What it made and how it ended is in the events."""
    try:
        with run.lock.acquire(timeout=5):
            if act in ON_ACCELERATOR:
                with _Turn(run) as mine:
                    if not mine:
                        run.events.append(Stopped(act=act))
                        return 0
                    return _perform(run, act, options)
            return _perform(run, act, options)
    except Timeout:
        print(f"Another process holds {run.folder}; nothing was done.", file=sys.stderr)
        return 1


def _perform(run: Run, act: Act, options: dict[str, Any]) -> int:
    run.events.append(Started(act=act, pid=os.getpid()))
    try:
        output = _acts()[act](run, **options)
    except UserError as error:
        traceback.print_exc()
        run.events.append(Failed(act=act, message=str(error)))
        return 1
    except BaseException as error:
        traceback.print_exc()
        run.events.append(Failed(act=act, message=explain(error)))
        return 1
    if output is None:
        run.events.append(Stopped(act=act, step=run.progress().step))
    else:
        run.events.append(Finished(act=act, output=output))
    return 0


def _acts() -> dict[str, Callable[..., str | None]]:
    """Each act returns what it made, relative to the run, or None if it was stopped. Imported late: these load torch."""

    def train(run: Run, **options: Any) -> str | None:
        from core.train.job import train

        return train(run, **options)

    def evaluate(run: Run, **options: Any) -> str | None:
        from core.evaluate.job import evaluate

        return evaluate(run, **options)

    def merge(run: Run, **options: Any) -> str | None:
        from core.publish.merge import merge

        return merge(run, **options)

    def push(run: Run, **options: Any) -> str | None:
        from core.publish.job import push

        return push(run, **options)

    return {"train": train, "evaluate": evaluate, "merge": merge, "push": push}


def explain(error: BaseException) -> str:
    """A sentence for an error that is nobody's setting."""
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return (
            "Out of memory. Set a smaller train.micro_batch_size or train.max_length, or train.gradient_checkpointing; "
            "the run can be resumed from its last checkpoint."
        )
    if isinstance(error, OSError) and error.errno == 28:
        return "The disk is full. Free some space; the run can be resumed from its last checkpoint."
    return f"{type(error).__name__}: {error}. The traceback is in console.log."


class _Turn:
    """One job at a time holds the accelerator, in the order they were asked for; false if it was stopped waiting."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.lock = FileLock(run.folder.parent / ".accelerator.lock")

    def __enter__(self) -> bool:
        asked = self.run.progress().at
        while not self.run.stop_requested():
            if not self._somebody_is_before(asked):
                try:
                    self.lock.acquire(timeout=0)
                    return True
                except Timeout:
                    pass
            time.sleep(0.2)
        return False

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    def _somebody_is_before(self, asked: float) -> bool:
        others = (run for run in RunStore(self.run.folder.parent).all() if run.name != self.run.name)
        return any(
            shown.state == "queued"
            and shown.act in ON_ACCELERATOR
            and (shown.at, run.name) < (asked, self.run.name)
            for run in others
            if (shown := run.progress()).state == "queued"
        )
