"""Starting a run's act in a process of its own, and being that process.

The page and the shell start an act the same way:  python -m core work <run folder> <act> [options as JSON]
"""

import json
import os
import shutil
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
from core.runs.store import Follower, Run, RunStore

ROOT = Path(__file__).resolve().parent.parent.parent
ON_ACCELERATOR = ("train", "evaluate")
DISK_IS_FULL = 64_000_000  # bytes left, or fewer


def start(run: Run, act: Act = "train", token: str | None = None, **options: Any) -> None:
    """Start the act and return at once; it outlives this process.

    RunError if the run is busy, or has no final model for the act to work on.

    A token goes through the environment: never into a file, an event or a command line.
    """
    with FileLock(run.folder / ".start"):  # of two who ask at the same moment, one is told
        if run.alive() or run.progress().state in ("queued", "running"):
            raise RunError(
                f"The run {run.name!r} is at work on something else; wait for it, or stop it first."
            )
        if act != "train" and not run.final.is_dir():
            raise RunError(f"The run {run.name!r} has no final model yet: train it to its end first.")
        run.withdraw_stop()
        run.events.append(Queued(act=act))
    with run.console.open("ab") as console:
        subprocess.Popen(
            [sys.executable, "-m", "core", "work", str(run.folder.resolve()), act, json.dumps(options)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the server's terminal does not reach the job
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
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
    # With several GPUs in sight the trainer would spread every batch over them and multiply its size.
    environment.setdefault("CUDA_VISIBLE_DEVICES", "0")
    environment["PYTHONUTF8"] = "1"  # whatever the console of a Windows machine speaks
    if token:
        environment["HF_TOKEN"] = token
    elif "SPACE_ID" in environment:
        # It is the owner's, and with it every visitor could read what is private to the owner.
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            environment.pop(name, None)
    return environment


def work(run: Run, act: Act, options: dict[str, Any]) -> int:
    """Do the act in this process; returns the exit status. What it made and how it ended is in the events."""
    try:
        with run.lock.acquire(timeout=5):
            if act not in ON_ACCELERATOR:
                return _perform(run, act, options)
            with _Turn(run) as mine:
                if mine:
                    return _perform(run, act, options)
                run.events.append(Stopped(act=act))
                return 0
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
        run.events.append(Failed(act=act, message=explain(error, run)))
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


def explain(error: BaseException, run: Run) -> str:
    """A sentence for an error that is nobody's setting."""
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return (
            "Out of memory. Train a new run with a smaller train.micro_batch_size or train.max_length, or with "
            "train.gradient_checkpointing."
        )
    # torch and safetensors have errors of their own for it.
    if shutil.disk_usage(run.folder).free < DISK_IS_FULL:
        return "The disk is full. Free some space; the run can be resumed from its last checkpoint."
    return f"{type(error).__name__}: {error}. The traceback is in console.log."


class _Turn:
    """One job at a time holds the accelerator, in the order they were asked for; false if it was stopped waiting."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.lock = FileLock(run.folder.parent / ".accelerator.lock")
        self.others: dict[str, Follower] = {}

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
        for run in RunStore(self.run.folder.parent).all():
            if run.name != self.run.name:
                shown = self.others.setdefault(run.name, Follower(run)).progress()
                waits = shown.state == "queued" and shown.act in ON_ACCELERATOR
                if waits and (shown.at, run.name) < (asked, self.run.name):
                    return True
        return False
