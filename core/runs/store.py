"""A run is a folder, and the folder is the whole truth. This module is the only one that knows what lies in it.

runs/poems/
  spec.yaml       every setting, enough to repeat the run; never changes
  events.jsonl    what happened
  console.log     everything the job printed
  lock            held by the job's process for as long as it lives
  process         which process that is, or was
  place           its number in the line of those that wait for an accelerator; only while it waits
  stop            present when someone asked the job to end
  discard         beside stop: nothing that it made is wanted
  now             beside stop: a job of HF Jobs is to be canceled without a last checkpoint
  pause           present while the training is to be held between two steps
  note.txt        what its owner wrote about it, in words of their own
  preset.txt      the preset that its settings were laid over; runs of older versions have none
  remote.json     the job of HF Jobs that does, or did, the work
  manifest.json   data hashes, library versions, hardware
  device.json     what the device could do when the run began, which the plan was made from
  split.json      how small a step's parts became after memory ran out
  checkpoints/    checkpoint-20/, ...: each one whole
  final/          adapter or model, tokenizer, chat template, generation config
  merged/         the whole model, adapter merged in; gguf/ the same as GGUF files
  reports/        data.json, tokens.json, evaluation.{json,md,html}, parity.json, retrieval.{json,html}, push.json
  serve.json      where the process that answers is, and its key; only while it lives. talk.log is what it printed
"""

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import RunError
from core.presets import anchored
from core.runs.events import BUSY, EventLog, Progress, advance
from core.runs.process import born, lives
from core.spec import RunSpec

START_WITHIN = 60.0  # seconds from a job's being asked for to its process's being known
GLANCE = 0.02  # seconds that a look at a run takes at most to see whether it lives; if it errs, the next look does not
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)  # what a system says to a name that is taken
REQUESTS = ("stop", "discard", "now", "pause")
LOST = (
    "The process ended without a word: out of memory, killed, or the machine was restarted. See console.log."
)

LOST_SIGHT = (
    "Nobody here follows the job on HF Jobs any more: its process was ended, or this machine restarted. The job may go on; "
    "resume joins it again and asks for no second one."
)


@dataclass(frozen=True)
class Run:
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def spec(self) -> RunSpec:
        path = self.folder / "spec.yaml"
        try:
            about = path.stat()
        except OSError:
            return RunSpec.load(path)  # which says why
        return _spec(path, about.st_ino, about.st_mtime_ns)

    @property
    def preset(self) -> str:
        """What its settings were laid over; empty where nobody wrote that down."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "preset.txt").read_text("utf-8").strip()
        return ""

    @property
    def events(self) -> EventLog:
        return EventLog(self.folder / "events.jsonl")

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.json"

    @property
    def device_facts(self) -> Path:
        return self.folder / "device.json"

    @property
    def split(self) -> Path:
        return self.folder / "split.json"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def final(self) -> Path:
        return self.folder / "final"

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def lock(self) -> FileLock:
        return FileLock(self.folder / "lock")

    def alive(self, patience: float = 0.1) -> bool:
        """Whether a process holds the run; true even if another server started it. Another viewer, who asks the same at this
        instant, looks like one: so it is tried for `patience` seconds."""
        try:
            with self.lock.acquire(timeout=patience, poll_interval=patience / 10):
                return False
        except Timeout:
            return True

    def progress(self) -> Progress:
        """Where the run stands, from its events and from whether its process still lives."""
        return Follower(self).progress()

    def requests(self) -> frozenset[str]:
        """What is asked of the job: stop, discard and now (which go with stop), pause."""
        return frozenset(name for name in REQUESTS if (self.folder / name).exists())

    def request_stop(self, discard: bool = False, now: bool = False) -> None:
        """Ask the job to end. It answers within a step; see `jobs.stop` for one that does not."""
        for name in [name for name, asked in (("discard", discard), ("now", now)) if asked]:
            (self.folder / name).touch()
        (self.folder / "stop").touch()

    def stop_requested(self) -> bool:
        return "stop" in self.requests()

    def discard_requested(self) -> bool:
        return {"stop", "discard"} <= self.requests()

    def request_pause(self) -> None:
        (self.folder / "pause").touch()

    def withdraw_pause(self) -> None:
        (self.folder / "pause").unlink(missing_ok=True)

    def pause_requested(self) -> bool:
        return "pause" in self.requests()

    def withdraw(self) -> None:
        """Take back whatever was asked of an earlier job, and forget it."""
        for name in (*REQUESTS, "place", "process"):
            (self.folder / name).unlink(missing_ok=True)

    @property
    def place(self) -> int | None:
        """The number in the line of those that wait; None for a run that does not."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.folder / "place").read_text())
        return None

    def set_place(self, number: int | None) -> None:
        if number is None:
            (self.folder / "place").unlink(missing_ok=True)
        else:
            self._write("place", str(number))

    @property
    def note(self) -> str:
        """What its owner wrote about it; empty if nothing."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "note.txt").read_text("utf-8")
        return ""

    def set_note(self, words: str) -> None:
        if words:
            self._write("note.txt", words)
        else:
            (self.folder / "note.txt").unlink(missing_ok=True)

    def set_process(self, pid: int) -> None:
        """This process works on the run, or will as soon as it holds the lock."""
        self._write("process", json.dumps({"pid": pid, "born": born(pid)}))

    @property
    def process(self) -> tuple[int, str]:
        """Pid and birth of the latest process that worked on the run; (0, "") if none did."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads((self.folder / "process").read_text())
            return int(known["pid"]), str(known["born"])
        return 0, ""

    def _write(self, name: str, text: str) -> None:
        beside = self.folder / f".{name}.{os.getpid()}"
        beside.write_text(text, "utf-8", errors="replace")
        beside.replace(self.folder / name)


class Follower:
    """Reads a run's events as they come; asking again costs only what is new. One per viewer or shared, not both."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._offset = 0
        self._progress = Progress()

    def progress(self) -> Progress:
        events, self._offset = self.run.events.read(self._offset)
        if events:
            self._progress = advance(self._progress, events)
        shown = self._progress
        if shown.state in BUSY and not self._at_work(shown):
            # The last words may have been written between our reading and the lock's release.
            events, self._offset = self.run.events.read(self._offset)
            self._progress = advance(self._progress, events)
            if self._progress.state in BUSY:
                said = LOST_SIGHT if _goes_on_elsewhere(self._progress) else LOST
                return dataclasses.replace(self._progress, state="lost", message=said, stage=None)
        return self._progress

    def _at_work(self, shown: Progress) -> bool:
        """A job holds the lock from its first word to its last; what was asked for a moment ago may not yet."""
        if shown.state != "queued":
            return self.run.alive(patience=GLANCE)
        pid, since = self.run.process
        known = lives(pid, since) if pid else abs(time.time() - shown.at) <= START_WITHIN
        return known or self.run.alive(patience=GLANCE)


@lru_cache(maxsize=1_000)
def _spec(path: Path, inode: int, written: int) -> RunSpec:
    """Read once: a list of runs asks for the settings of each, which takes 10 ms, and again with each look."""
    return RunSpec.load(path)


def _goes_on_elsewhere(progress: Progress) -> bool:
    return (
        progress.act == "train"
        and bool(progress.remote)
        and progress.remote.stage in ("SCHEDULING", "RUNNING")
    )


def check_name(name: str) -> None:
    """RunError if no run can have this name."""
    if not NAME.fullmatch(name):
        raise RunError(
            f"{name!r} cannot name a run: use letters, digits, dots, dashes and underscores, 64 at most."
        )


class RunStore:
    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def create(self, name: str, spec: RunSpec, preset: str = "") -> Run:
        """A new run's folder; `preset` is what its settings were laid over. RunError if the name cannot be used or is
        taken."""
        check_name(name)
        folder = self.root / name
        # Made beside and renamed: a folder with the run's name always holds its settings, and only one of two that
        # are made at the same moment gets it.
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=self.root) as beside:
                made = Path(beside, name)
                made.mkdir()
                anchored(spec).save(made / "spec.yaml")
                if preset:
                    (made / "preset.txt").write_text(preset, "utf-8")
                made.rename(folder)
        except OSError as error:
            if error.errno in TAKEN and folder.exists():
                raise RunError(f"There is already a run called {name!r}; choose another name.") from None
            raise RunError(f"The folder {self.root} for runs cannot be written: {error.strerror}.") from None
        return Run(folder)

    def get(self, name: str) -> Run:
        """RunError, with what there is, if no run has this name."""
        if not NAME.fullmatch(name) or not (self.root / name / "spec.yaml").is_file():
            there = ", ".join(run.name for run in self.all()[:5])
            raise RunError(f"There is no run called {name!r} in {self.root}; there is {there or 'none yet'}.")
        return Run(self.root / name)

    def all(self) -> list[Run]:
        """Newest first."""
        made = []
        for path in self.root.glob("[!.]*/spec.yaml"):
            with contextlib.suppress(FileNotFoundError):  # deleted while we looked
                made.append((path.stat().st_mtime, path.parent))
        return [Run(folder) for _, folder in sorted(made, reverse=True)]

    def remove(self, run: Run) -> None:
        """Delete the run's folder; it is no run any more before the first file goes."""
        beside = self.root / f".{run.name}.deleted"
        shutil.rmtree(beside, ignore_errors=True)
        run.folder.rename(beside)
        shutil.rmtree(beside)

    def move(self, run: Run, name: str) -> Run:
        """The run's folder under another name; see `naming.rename`, which looks whether that may be. RunError as `create`."""
        check_name(name)
        there = self.root / name
        # Where case does not count, Poems is there as soon as poems is. An empty folder would be replaced without a word.
        if there.exists() and not there.samefile(run.folder):
            raise RunError(f"There is already a run called {name!r}; choose another name.")
        try:
            if name != run.name:
                run.folder.rename(there)
        except OSError as error:
            if error.errno in TAKEN and there.exists():
                raise RunError(f"There is already a run called {name!r}; choose another name.") from None
            raise RunError(f"The folder {run.folder} cannot be renamed: {error.strerror}.") from None
        return Run(there)

    def free_name(self, stem: str) -> str:
        """A name no run has yet: `fables-en-1`, `fables-en-2`, ..."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:50] or "run"
        number = 1
        while (self.root / f"{stem}-{number}").exists():
            number += 1
        return f"{stem}-{number}"
