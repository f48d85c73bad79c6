"""Starting a run's act in a process of its own, and being that process.

The page and the shell start an act the same way:  python -m core work <run folder> <act> [options as JSON]
"""

import contextlib
import gc
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

from core.data.files.opening import check_there
from core.errors import RunError, UserError
from core.remote import record, shipping
from core.runs import process, queue
from core.runs.events import (
    BUSY,
    SAVING,
    Act,
    Failed,
    Finished,
    Progress,
    Queued,
    Started,
    Stopped,
    advance,
)
from core.runs.queue import ON_ACCELERATOR
from core.runs.store import REQUESTS, Follower, Run, RunStore
from core.spec import RunSpec
from core.train import processes
from core.train.distributed import launching
from core.train.installed import check_installed

ROOT = Path(__file__).resolve().parent.parent.parent
GRACE = (
    30.0  # seconds in which a job that was asked to stop must give a sign of life, beyond what its steps take
)
GRACE_TO_SAVE = 900.0  # for a checkpoint: a large model on a slow disk
GRACE_TO_DISCARD = 3.0  # there is nothing to wait for
GRACE_TO_CANCEL = (
    120.0  # for the Hub to hear that a job of HF Jobs is not wanted: left alone, it would be paid for
)
# On a Space they are its owner's, and with them every visitor could do and read what the owner can.
OWNERS_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
DOWNLOADS = ".hub"  # beside a visitor's runs: what these fetched from the Hub
# What stays of a run that is discarded; hidden files are locks.
RECORD = (
    "spec.yaml",
    "events.jsonl",
    "console.log",
    "note.txt",
    "preset.txt",
    "lock",
    "process",
    ".start",
    ".end",
    *REQUESTS,
)
DELETED = ".deleted"  # present from when a run's deletion is decided: nobody starts it any more
DISK_IS_FULL = 64_000_000  # bytes left, or fewer


def check(spec: RunSpec) -> None:
    """UserError if the settings cannot go together on this machine, or ask for a file or package that it lacks. For
    before a run is made: what is refused here leaves no folder, and waits for no turn."""
    check_there((*spec.data.files, *spec.data.held_out_files, *spec.data.against))
    if spec.compute.where == "hf-jobs":
        shipping.check(spec)
        return
    processes.check(spec, len(queue.gpus()))
    check_installed(spec)


def start(run: Run, act: Act = "train", token: str | None = None, **options: Any) -> None:
    """Start the act and return at once; it outlives this process.

    UserError if the run is busy, has no final model for the act to work on, or asks for what this machine lacks.

    A token goes through the environment: never into a file, an event or a command line.
    """
    with FileLock(run.folder / ".start"):  # of two who ask at the same moment, one is told
        if (run.folder / DELETED).exists():
            raise RunError(f"The run {run.name!r} is being deleted; delete it again if it stays.")
        if run.alive() or run.progress().state in BUSY:
            raise RunError(
                f"The run {run.name!r} is at work on something else; wait for it, or stop it first."
            )
        if act != "train" and not run.final.is_dir():
            raise RunError(f"The run {run.name!r} has no final model yet: train it to its end first.")
        environment = child_environment(token, run)
        if act == "train":
            check(run.spec)
            _see_to_publishing(run, token, environment)
            _check_here_alone(run)
        run.withdraw()
        if takes_a_turn(run, act):
            queue.needs(run.spec.compute)
            queue.line_up(run)
            if "CUDA_VISIBLE_DEVICES" not in os.environ:
                del environment["CUDA_VISIBLE_DEVICES"]  # it takes one of all, when its turn comes
        run.events.append(Queued(act=act))
    _launch(run, ["work", str(run.folder.resolve()), act, json.dumps(options)], environment, known=True)


def _check_here_alone(run: Run) -> None:
    """RunError, with what starts it, for a run whose processes are spread over several machines."""
    lines = list(launching.commands(run.spec, str(run.folder)))
    if lines:
        raise RunError(
            f"The run {run.name!r} is for {run.spec.compute.machines} machines, and is started on each of them (10.0.0.1 stands for "
            "the first one's address):\n" + "\n".join(lines)
        )


def _see_to_publishing(run: Run, token: str | None, environment: dict[str, str]) -> None:
    """Find out now whether what will be trained can be published; PublishError if it cannot."""
    from core.publish import before

    said, told = before.at_start(run.spec, token, again=run.progress().state != "new")
    environment |= told
    for note in said:
        run.events.append(note)


def takes_a_turn(run: Run, act: Act) -> bool:
    """Whether the act computes on an accelerator of this machine. One that trains elsewhere only listens."""
    return act in ON_ACCELERATOR and not (act == "train" and is_remote(run))


def is_remote(run: Run) -> bool:
    """Whether the run trains on a machine of HF Jobs."""
    return run.spec.compute.where == "hf-jobs"


def stop(run: Run, discard: bool = False, now: bool = False) -> None:
    """Ask the run to stop: with a checkpoint after the step under way, or, to discard it, without, and without a trace
    but for its settings, events and console. A job that then gives no sign of life is ended by force, its children
    with it; `now` does not wait for that. Returns before it has stopped, except with `now`.

    RunError if it is not at work, or is trained already and there is a model to lose.
    """
    progress = run.progress()
    if progress.state not in BUSY:
        raise RunError(f"The run {run.name!r} is not at work; there is nothing to stop.")
    if discard and (progress.trained or progress.act != "train"):
        raise RunError(
            f"The run {run.name!r} is trained already; stop it, and delete it if its model is not wanted."
        )
    elsewhere = progress.act == "train" and is_remote(run)
    run.request_stop(discard, now=now and elsewhere)
    if now and not elsewhere:
        see_it_end(run, now=True)
    else:
        _launch(run, ["end", str(run.folder.resolve())], child_environment())


def pause(run: Run) -> None:
    """Hold a training after the step under way; it keeps its memory and its accelerator. RunError if it does not train."""
    progress = run.progress()
    if progress.state not in ("running", "paused") or progress.act != "train" or progress.trained:
        raise RunError(f"The run {run.name!r} is not training; there is nothing to pause.")
    if is_remote(run):
        raise RunError(
            f"The run {run.name!r} trains on HF Jobs, where waiting costs as much as training: stop it, and resume it later."
        )
    run.request_pause()


def go_on(run: Run) -> None:
    """Let a paused training go on. RunError if it is not paused."""
    if run.progress().state not in ("running", "paused") or not run.pause_requested():
        raise RunError(f"The run {run.name!r} is not paused.")
    run.withdraw_pause()


def cancel(run: Run) -> None:
    """Take a run that waits for its turn out of the line. RunError if it does not wait."""
    if run.progress().state != "queued":
        raise RunError(f"The run {run.name!r} does not wait for its turn; see `atelier queue`.")
    stop(run)


def delete(run: Run) -> None:
    """Delete the run with all that it made. RunError if it is at work."""
    with FileLock(run.folder / ".start"):
        if run.alive() or run.progress().state in BUSY:
            raise RunError(f"The run {run.name!r} is at work; stop it first.")
        if (sent := record.read(run)) and not sent.settled:
            raise RunError(
                f"A job of the run {run.name!r} may still be at work on HF Jobs: resume it to see its end, or end it with "
                f"`atelier remote cancel {run.name}`."
            )
        (run.folder / DELETED).touch()
    # Without the lock: Windows renames no folder in which a file is open.
    try:
        RunStore(run.folder.parent).remove(run)
    except OSError:
        (run.folder / DELETED).unlink(missing_ok=True)
        raise


def see_it_end(run: Run, now: bool = False) -> None:
    """Wait until a run that was asked to stop has stopped, and end it by force if it shows no life for too long.

    What it is known by, pid and birth, it wrote itself or who started it; no other process is ever ended.
    """
    if now:
        process.end(*run.process)
        _settle(run)
        return
    with contextlib.suppress(Timeout), FileLock(run.folder / ".end").acquire(timeout=0):  # one is enough
        follower = Follower(run)
        size, quiet_since = -1, time.monotonic()
        while (progress := follower.progress()).state in BUSY and run.stop_requested():
            if (written := run.events.path.stat().st_size) != size:
                size, quiet_since = written, time.monotonic()
            elsewhere = progress.act == "train" and is_remote(run)
            patience = GRACE_TO_CANCEL if elsewhere else grace(progress, run.discard_requested())
            if time.monotonic() - quiet_since > patience:
                if process.end(*run.process) and elsewhere:
                    from core.remote.follow import abandon

                    abandon(run)
                break
            time.sleep(0.2)
        _settle(run)


def _settle(run: Run) -> None:
    """If the run ended without a word after it was asked to stop, say that it stopped."""
    with contextlib.suppress(Timeout), run.lock.acquire(timeout=process.GIVE_UP):
        said = advance(Progress(), run.events.read()[0])
        if said.state in BUSY and run.stop_requested():
            _stopped(run, said.act, forced=True)


def grace(progress: Progress, discard: bool) -> float:
    """Seconds of silence after which a job that was asked to stop is taken to hang: GRACE, beside what a step and a
    measurement of the held-out loss take in this run, or a checkpoint may take."""
    if discard:
        return GRACE_TO_DISCARD
    step_ends = {each.step: each.at for each in progress.steps}
    measured = [each for each in progress.held_out if each.step in step_ends]
    just_measured = bool(measured) and measured[-1].step == progress.step
    if just_measured or (progress.stage and progress.stage.stage == SAVING):
        return GRACE_TO_SAVE
    left = max(progress.total_steps - progress.step, 1)
    step = progress.steps[-1].eta_seconds / left if progress.steps else 0.0
    longest = max((each.at - step_ends[each.step] for each in measured), default=GRACE)
    return GRACE + 3 * max(step, min(longest, GRACE_TO_SAVE))


def _launch(run: Run, arguments: list[str], environment: dict[str, str], known: bool = False) -> None:
    with run.console.open("ab") as console:
        started = subprocess.Popen(
            [sys.executable, "-m", "core", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the server's terminal does not reach the job
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
            env=environment,
        )
    if known:
        run.set_process(started.pid)


def child_environment(token: str | None = None, run: Run | None = None) -> dict[str, str]:
    """This process's environment, in which `python -m core` is found whatever the folder; `run`: what it is to work on."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    }
    # OpenMP's threads wait by spinning. Where anything else wants the same cores they spin against it: a training
    # on two busy cores made 55 tokens/s, and 330 with threads that sleep while they wait.
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    # But not at once: a short spin saves waking them between two products, 3 to 11 % of a step on two quiet cores.
    environment.setdefault("GOMP_SPINCOUNT", "10000")
    # With several GPUs in sight the trainer would spread every batch over them and multiply its size.
    environment.setdefault("CUDA_VISIBLE_DEVICES", "0")
    environment["PYTHONUTF8"] = "1"  # whatever the console of a Windows machine speaks
    if "SPACE_ID" in environment:
        for name in (*OWNERS_TOKENS, "OAUTH_CLIENT_SECRET"):
            environment.pop(name, None)
        if run:  # what one visitor's token may read must not be found in a cache by another's jobs
            environment["HF_HOME"] = str(run.folder.parent.resolve() / DOWNLOADS)
    if token:
        environment["HF_TOKEN"] = token
    return environment


def work(run: Run, act: Act, options: dict[str, Any]) -> int:
    """Do the act in this process; returns the exit status. What it made and how it ended is in the events."""
    try:
        with run.lock.acquire(timeout=5):
            run.set_process(os.getpid())  # the launcher of a virtual environment may have been another
            # Started by `accelerate launch`, it is one of several that have theirs already.
            if not takes_a_turn(run, act) or "LOCAL_WORLD_SIZE" in os.environ:
                return _perform(run, act, options)
            return _perform_in_turn(run, act, options)
    except Timeout:
        print(f"Another process holds {run.folder}; nothing was done.", file=sys.stderr)
        return 1


def _perform_in_turn(run: Run, act: Act, options: dict[str, Any]) -> int:
    try:
        turn = queue.Turn(run)
    except UserError as error:
        run.set_place(None)
        run.events.append(Failed(act=act, message=str(error)))
        return 1
    with turn as held:
        if not held:
            _stopped(run, act)
            return 0
        queue.use(held)
        return _perform(run, act, options, ",".join(held))


def _perform(run: Run, act: Act, options: dict[str, Any], device: str = "") -> int:
    run.events.append(Started(act=act, pid=os.getpid(), device=device))
    try:
        output = _acts()[act](run, **options)
    except UserError as error:
        run.events.append(Failed(act=act, message=str(error)))
        traceback.print_exc()  # after it: on a disk that is nearly full, it may take the last room
        return 1
    except BaseException as error:
        run.events.append(Failed(act=act, message=explain(error, run)))
        traceback.print_exc()
        return 1
    if output is None or run.discard_requested():
        _stopped(run, act, forced="now" in run.requests())
    else:
        run.events.append(Finished(act=act, output=output))
    return 0


def _stopped(run: Run, act: Act, forced: bool = False) -> None:
    """Say that the run stopped, and remove what it made if that is not wanted; by whoever holds its lock."""
    run.set_place(None)
    progress, discard = run.progress(), run.discard_requested()
    if discard:
        for path in run.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in RECORD:
                path.unlink(missing_ok=True)
    run.events.append(Stopped(act=act, step=progress.step, forced=forced, discarded=discard))


def _acts() -> dict[str, Callable[..., str | None]]:
    """Each act returns what it made, relative to the run, or None if it was stopped. Imported late: these load torch."""

    def train(run: Run, **options: Any) -> str | None:
        if is_remote(run):
            from core.remote.follow import train

            return train(run)
        gc.disable()  # what is imported stays: looking through it again and again is a fifth of the time that it takes
        from core.train.job import train

        gc.freeze()
        gc.enable()
        return train(run, **options)

    def evaluate(run: Run, **options: Any) -> str | None:
        from core.evaluate.job import evaluate

        return evaluate(run, **options)

    def merge(run: Run, **options: Any) -> str | None:
        from core.publish.merge import merge

        return merge(run, **options)

    def export(run: Run, **options: Any) -> str | None:
        from core.publish.export import export

        return export(run, **options)

    def push(run: Run, **options: Any) -> str | None:
        from core.publish.job import push

        return push(run, **options)

    def compare(run: Run, **options: Any) -> str | None:
        from core.compare.job import compare_with_retrieval

        return compare_with_retrieval(run, **options)

    return {
        "train": train,
        "evaluate": evaluate,
        "merge": merge,
        "export": export,
        "push": push,
        "compare": compare,
    }


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
