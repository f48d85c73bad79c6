"""Who holds which accelerator, who waits for one, and in which order.

A run that waits has a file `place` with its number in the line; the lowest is next. Numbers are given out and changed
under one lock, so that the order is what people made it, whatever clocks say. An accelerator is held by the lock on its
file, so that one whose job was killed is free at once.
"""

import contextlib
import functools
import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from core import cache
from core.errors import RunError, UserError
from core.runs.events import Progress
from core.runs.store import Follower, Run, RunStore
from core.spec import ComputeSettings

ON_ACCELERATOR = ("train", "evaluate", "compare")
CPU = "cpu"
LOOK = 0.2  # seconds between two looks of a run that waits


@functools.cache
def gpus() -> tuple[str, ...]:
    """The GPUs that a job here may use, as CUDA_VISIBLE_DEVICES names them; none if torch could use none.

    Found without torch, whose loading takes seconds, and which would make the choice of a device final.
    """
    if "+cpu" in importlib.metadata.version("torch"):
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(each.strip() for each in named.split(",") if each.strip() not in ("", "-1"))
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
        return listed_gpus(listed.stdout)
    return tuple(str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*")))


def listed_gpus(printed: str) -> tuple[str, ...]:
    """What `nvidia-smi -L` lists; of a GPU that is divided (MIG) its parts, as itself it cannot be used.

    GPU 0: NVIDIA H100 (UUID: GPU-5c…)  ->  0          MIG 1g.10gb Device 0: (UUID: MIG-0d…)  ->  MIG-0d…
    """
    found: list[str] = []
    whole = ""
    for line in map(str.strip, printed.splitlines()):
        if line.startswith("GPU "):
            whole = line[4:].partition(":")[0]
            found.append(whole)
        elif line.startswith("MIG ") and "UUID: " in line:
            if found and found[-1] == whole:
                found.pop()
            found.append(line.partition("UUID: ")[2].rstrip(")"))
    return tuple(found)


def needs(settings: ComputeSettings) -> tuple[tuple[str, ...], int]:
    """The accelerators that a run can use, and how many of them it takes; RunError if there are not so many.

    A processor is taken as a whole, however many processes share it.
    """
    there = () if settings.device == "cpu" else gpus()
    if not there:
        return (CPU,), 1
    if settings.where != "here" or settings.machines > 1:  # its processes are elsewhere; here it is scored
        return there, 1
    if settings.processes > len(there):
        raise RunError(
            f"compute.processes is {settings.processes}, and there are {len(there)} GPUs here to give one to each: "
            "take fewer, set compute.device to cpu, or start them on several machines with `accelerate launch`."
        )
    return there, settings.processes


def line_up(run: Run) -> None:
    """Put the run at the end of the line."""
    with _order(run.folder.parent):
        run.set_place(max((each.place or 0 for each in _placed(run.folder.parent)), default=0) + 1)


def waiting(rows: Iterable[tuple[Run, Progress]]) -> list[Run]:
    """Those of the runs that wait for their turn, the next one first."""
    places = [
        (place, run.name, run)
        for run, progress in rows
        if progress.state == "queued" and (place := run.place) is not None
    ]
    return [run for _, _, run in sorted(places, key=lambda each: each[:2])]


def holding(rows: Iterable[tuple[Run, Progress]]) -> list[tuple[Run, Progress]]:
    """Those of the runs that hold an accelerator."""
    return [
        (run, progress)
        for run, progress in rows
        if progress.state in ("running", "paused") and progress.device
    ]


def move(run: Run, to: Literal["first", "last", "earlier", "later"] | Run) -> None:
    """Give a waiting run another place: the first, the last, one further up or down, or just before another run.

    RunError if it, or the other one, does not wait.
    """
    root = run.folder.parent
    with _order(root):
        line = waiting((each, each.progress()) for each in _placed(root))
        for each in (run, *([to] if isinstance(to, Run) else [])):
            if each not in line:
                raise RunError(f"The run {each.name!r} does not wait for its turn; see `atelier queue`.")
        if run == to:
            return
        at = line.index(run)
        line.remove(run)
        where = {"first": 0, "last": len(line), "earlier": max(at - 1, 0), "later": at + 1}
        line.insert(line.index(to) if isinstance(to, Run) else where[to], run)
        for place, each in enumerate(line, start=1):
            each.set_place(place)


class Turn:
    """Within: the accelerators that the run holds, or none if it was stopped while it waited.

    Those that come later never overtake, not even where they need fewer accelerators: who needs many would wait
    for ever. Runs that cannot use each other's accelerators do not wait for each other.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.root = run.folder.parent
        self.wanted, self.count = needs(run.spec.compute)
        self.held: list[tuple[str, FileLock]] = []
        self.others: dict[str, tuple[Follower, tuple[str, ...]]] = {}

    def __enter__(self) -> tuple[str, ...]:
        while not self.run.stop_requested():
            with _order(self.root):
                if not self._somebody_is_before() and self._take():
                    self.run.set_place(None)
                    return tuple(name for name, _ in self.held)
            time.sleep(LOOK)
        self.run.set_place(None)
        return ()

    def __exit__(self, *_: object) -> None:
        self._give_back()

    def _somebody_is_before(self) -> bool:
        mine = (self.run.place or 0, self.run.name)
        for run in _placed(self.root):
            if run == self.run or (run.place or 0, run.name) > mine:
                continue
            if run.name not in self.others:
                self.others[run.name] = Follower(run), _usable(run)
            follower, usable = self.others[run.name]
            if set(usable) & set(self.wanted) and follower.progress().state == "queued":
                return True
        return False

    def _take(self) -> bool:
        for name in self.wanted:
            if len(self.held) == self.count:
                break
            lock = FileLock(cache.root() / f"accelerator-{name}-{platform.node()}.lock")
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                self.held.append((name, lock))
        if len(self.held) < self.count:
            self._give_back()
        return bool(self.held)

    def _give_back(self) -> None:
        for _, lock in self.held:
            lock.release()
        self.held.clear()


def use(held: tuple[str, ...]) -> None:
    """Let this process see the accelerators that it holds and no other; before torch is loaded."""
    if held != (CPU,):
        os.environ["CUDA_DEVICE_ORDER"] = (
            "PCI_BUS_ID"  # as nvidia-smi counts them; CUDA's own order is by speed
        )
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
    elif gpus():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    else:  # with several of another make in sight, the trainer would spread every batch over them
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")


def _usable(run: Run) -> tuple[str, ...]:
    try:
        return needs(run.spec.compute)[0]
    except UserError:  # it will say so itself when it has its turn
        return ()


def _order(root: Path) -> FileLock:
    return FileLock(root / ".queue.lock")


def _placed(root: Path) -> list[Run]:
    """The runs that have a place in the line, whether or not their process still waits for it."""
    store = RunStore(root)
    return [
        store.get(path.parent.name)
        for path in root.glob("[!.]*/place")
        if (path.parent / "spec.yaml").is_file()
    ]
