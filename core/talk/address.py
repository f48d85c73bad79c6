"""Where the process that answers for a run is found: in the run's serve.json, which its owner alone can read.

Whoever starts such a process writes who it is at once, so that a second one is not started beside it; the process adds
where it listens, and the key that whoever reads the file proves it with.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass

from filelock import FileLock

from core.runs.process import lives
from core.runs.store import Run

FILE = "serve.json"


@dataclass(frozen=True)
class Address:
    pid: int
    born: str
    url: str = ""  # such as http://127.0.0.1:8000; empty until it listens
    key: str = ""
    named: bool = False  # `atelier serve`: programs ask it, too, and it ends when its starter says so


def lock(run: Run) -> FileLock:
    """Held while it is decided which process answers for the run, and while that is written down."""
    return FileLock(run.folder / f".{FILE}.lock")


def read(run: Run) -> Address | None:
    """The living process that answers for the run; None if there is none, whatever an ended one left behind."""
    try:
        known = Address(**json.loads((run.folder / FILE).read_text("utf-8")))
        return known if lives(int(known.pid), str(known.born)) else None
    except (OSError, ValueError, TypeError):
        return None


def write(run: Run, address: Address) -> None:
    """By whoever holds the lock."""
    beside = run.folder / f".{FILE}.{os.getpid()}"
    beside.unlink(missing_ok=True)
    # Born with its mode: a file that is made readable for its owner afterwards was readable for everybody before.
    with os.fdopen(
        os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(asdict(address), file)
    beside.replace(run.folder / FILE)


def withdraw(run: Run) -> None:
    """Take this process's address away; another one's stays."""
    there = read(run)
    if there and there.pid == os.getpid():
        with contextlib.suppress(OSError):  # the run was deleted
            (run.folder / FILE).unlink()
