"""Checkpoints on the Hub as they land: a process beside the training sends each whole one to the branch `checkpoints`.

    with landing(run):                     # does nothing unless publish.checkpoints and publish.to are set
        train(...)

The training only reads what that process says and writes it down: a Hub that is slow, full or away costs it nothing.
Of several that wait the latest wins, and a failure is a sentence, tried again with the next. Beside the weights stand the
config, the tokenizer and a card; what only a resume needs (optimizer, schedule, random numbers, the trainer's pickled
settings) stays here. The branch holds one checkpoint at a time, its history all of them.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import PublishError
from core.runs.events import Noted
from core.runs.store import Run

BRANCH = "checkpoints"
LOOK = 1.0  # seconds between two looks at whether there is a new one
LAST = 120.0  # seconds that the last one may take after the training ended
LAST_IF_STOPPED = 10.0  # the same, where somebody asked the run to stop and waits
SENDING = ".sending"  # in the run: the checkpoint on its way, which the training may delete meanwhile


@contextmanager
def landing(run: Run) -> Iterator[None]:
    """Within, every checkpoint that lands is sent; nothing that goes wrong there comes out here."""
    publish = run.spec.publish
    if not (publish.checkpoints and publish.to):
        yield
        return
    sender = _Sender(run)
    try:
        yield
    finally:
        sender.end()


class _Sender:
    """The process beside the training, and the thread that writes down what it says."""

    def __init__(self, run: Run) -> None:
        from core.runs.jobs import child_environment

        self.run = run
        self.process = subprocess.Popen(
            [sys.executable, "-m", "core", "checkpoints", str(run.folder)],
            stdin=subprocess.PIPE,  # its end is the sign that no more will come, also where this process is killed
            stdout=subprocess.PIPE,
            text=True,
            env=child_environment(os.environ.get("HF_TOKEN"))
            | {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        )
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            with suppress(OSError, ValueError, TypeError):  # a full disk; a line that is none of ours
                self.run.events.append(Noted(**json.loads(line)))

    def end(self) -> None:
        """Let the last one arrive, for a while."""
        with suppress(OSError):
            self.process.stdin.close()
        asked = self.run.requests()
        patience = 0.0 if {"discard", "now"} & asked else LAST_IF_STOPPED if "stop" in asked else LAST
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            if "discard" not in asked:
                text = f"The last checkpoint was not sent: it took longer than {patience:.0f} seconds. It is on this machine."
                with suppress(OSError):
                    self.run.events.append(Noted(text=text, warning=True))
        self.listener.join(5)
        shutil.rmtree(self.run.folder / SENDING, ignore_errors=True)


def send(run: Run) -> None:
    """Be the process beside the training: send until standard input ends, and then what has not been sent yet."""
    with suppress(OSError, AttributeError):
        os.nice(10)  # the training comes first; Windows has no such thing
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    tried, arrived = None, True
    while True:
        over = ended.is_set()  # before the look: what landed until then is still sent
        found = newest(run)
        if found and (
            found != tried or (over and not arrived)
        ):  # a failure is tried again with the next, or at the end
            said = _send_one(run, found)
            print(json.dumps(said), flush=True)
            tried, arrived = found, not said["warning"]
        if over:
            return
        ended.wait(LOOK)


def newest(run: Run) -> str | None:
    """The latest checkpoint, by its name. One has its name only when it is whole."""
    steps = [path.name for path in run.checkpoints.glob("checkpoint-*") if path.name[11:].isdecimal()]
    return max(steps, key=lambda name: int(name[11:]), default=None)


def _send_one(run: Run, name: str) -> dict:
    """What came of it, as a note."""
    began = time.monotonic()
    try:
        url = push_checkpoint(run, name)
    except PublishError as error:
        return {"text": f"{name} is not on the Hub, the next will be tried: {error}", "warning": True}
    except OSError as error:
        return {
            "text": f"{name} is not on the Hub, the next will be tried: {error.strerror or error}.",
            "warning": True,
        }
    return {"text": f"{name} is at {url}, sent in {time.monotonic() - began:.0f} s.", "warning": False}


def push_checkpoint(run: Run, name: str) -> str:
    """Send one checkpoint, whole, in one commit; its address. PublishError, or OSError if it is gone."""
    from core.publish.hub import Upload, push
    from core.publish.job import cleaned
    from core.publish.publishable import publishable

    publish, folder = run.spec.publish, run.folder / SENDING
    hold(run.checkpoints / name, folder)
    try:
        files = publishable(folder)
        if not any(path.suffix == ".safetensors" for path in files):
            raise PublishError(f"{name} holds its weights in parts that only this training can read.")
        uploads = [Upload(path.relative_to(folder).as_posix(), cleaned(run, path)) for path in files]
        return push(
            publish.to,
            [*uploads, Upload("README.md", _card(run, name).encode())],
            private=publish.private,
            message=f"{name} of {run.name}",
            revision=BRANCH,
            replaces=("*",),
        ).url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hold(checkpoint: Path, folder: Path) -> None:
    """Second names for its files, so that they outlive its being deleted; copies where the disk knows no second names."""
    shutil.rmtree(folder, ignore_errors=True)

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)

    shutil.copytree(checkpoint, folder, copy_function=link)


def _card(run: Run, name: str) -> str:
    return f"""---
tags: [sft, atelier]
---

# {name} of {run.name}

A model on its way: the weights as they were after step {int(name[11:]):,}, of a training that may not be over. What is
finished, with its scores and how to use it, is on the branch `main` once it is published.

Optimizer, schedule and random numbers are not here, so no training can be resumed from this.
"""
