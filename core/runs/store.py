"""A run is a folder, and the folder is the whole truth. This module is the only one that knows what lies in it.

runs/poems/
  spec.yaml       every setting, enough to repeat the run; never changes
  events.jsonl    what happened
  console.log     everything the job printed
  lock            held by the job's process for as long as it lives
  stop            present when someone asked the job to end
  manifest.json   data hashes, library versions, hardware
  checkpoints/    checkpoint-20/, ...: each one whole
  final/          adapter or model, tokenizer, chat template, generation config
  reports/        data.json, tokens.json, evaluation.json
"""

import contextlib
import dataclasses
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import RunError
from core.presets import anchored
from core.runs.events import EventLog, Progress, advance
from core.spec import RunSpec

ENDED = ("finished", "stopped", "failed", "lost")
START_WITHIN = 60.0  # seconds a job may take from being asked for to holding its lock
LOST = (
    "The process ended without a word: out of memory, killed, or the machine was restarted. See console.log."
)


@dataclass(frozen=True)
class Run:
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def spec(self) -> RunSpec:
        return RunSpec.load(self.folder / "spec.yaml")

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

    def alive(self) -> bool:
        """Whether a process holds the run; true even if another server started it."""
        try:
            # Another viewer may be asking the same question at this instant, hence not zero.
            with self.lock.acquire(timeout=0.1, poll_interval=0.01):
                return False
        except Timeout:
            return True

    def progress(self) -> Progress:
        """Where the run stands, from its events and from whether its process still lives."""
        return Follower(self).progress()

    def request_stop(self) -> None:
        (self.folder / "stop").touch()

    def withdraw_stop(self) -> None:
        (self.folder / "stop").unlink(missing_ok=True)

    def stop_requested(self) -> bool:
        return (self.folder / "stop").exists()


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
        # What runs holds the lock from its first word to its last. What was asked for a moment ago may not yet.
        silent = shown.state == "running" or not 0 <= time.time() - shown.at <= START_WITHIN
        if shown.state in ("queued", "running") and silent and not self.run.alive():
            # The last words may have been written between our reading and the lock's release.
            events, self._offset = self.run.events.read(self._offset)
            self._progress = advance(self._progress, events)
            if self._progress.state in ("queued", "running"):
                return dataclasses.replace(self._progress, state="lost", message=LOST, stage=None)
        return self._progress


class RunStore:
    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def create(self, name: str, spec: RunSpec) -> Run:
        """A new run's folder. RunError if the name cannot be used or is taken."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise RunError(
                f"{name!r} cannot name a run: use letters, digits, dots, dashes and underscores, 64 at most."
            )
        folder = self.root / name
        # Made beside and renamed: a folder with the run's name always holds its settings.
        beside = self.root / f".{name}.new"
        try:
            beside.mkdir(parents=True)
        except FileExistsError:
            shutil.rmtree(beside)
            beside.mkdir()
        except OSError as error:
            raise RunError(f"The folder {self.root} for runs cannot be written: {error.strerror}.") from None
        anchored(spec).save(beside / "spec.yaml")
        if folder.exists():
            shutil.rmtree(beside)
            raise RunError(f"There is already a run called {name!r}; choose another name.")
        beside.rename(folder)
        return Run(folder)

    def get(self, name: str) -> Run:
        """RunError, with what there is, if no run has this name."""
        if (
            not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name)
            or not (self.root / name / "spec.yaml").is_file()
        ):
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

    def free_name(self, stem: str) -> str:
        """A name no run has yet: `fables-en-1`, `fables-en-2`, ..."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:50] or "run"
        number = 1
        while (self.root / f"{stem}-{number}").exists():
            number += 1
        return f"{stem}-{number}"
