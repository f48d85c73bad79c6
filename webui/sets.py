"""Data sets that were saved under a name: cleaned, each with its report beside it, and offered on every page."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

from core import children
from core.errors import DataError
from core.examine import count_added
from webui.language import t
from webui.turns import is_whole

MOST_LETTERS = 64  # of a name
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MOST_LETTERS - 1}}}")
CLEANING = 600  # seconds


class Sets:
    """The saved data sets of a server, in one folder; everyone who uses the server sees them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.jsonl") if NAME.fullmatch(path.stem))

    def choices(self) -> list[tuple[str, str]]:
        """(name, path) of each."""
        return [(name, str(self.path(name))) for name in self.names()]

    def path(self, name: str) -> Path:
        """Where the set of this name lies, or would; DataError if it cannot be a name."""
        if not NAME.fullmatch(name):
            raise DataError(
                f"{name!r} cannot name a data set: use letters, digits, dots, dashes and underscores, 64 at most, "
                "beginning with a letter or digit."
            )
        return self.folder / f"{name}.jsonl"

    def save(self, name: str, arguments: list[str], **hub: Any) -> dict:
        """Clean the examples that the arguments name, and keep them; what became of them. DataError if the name is taken.

        `hub` is `Shared.hub`.
        """
        kept = self.path(name)
        if kept.exists():
            raise DataError(f"There is already a data set called {name}; choose another name.")
        with cleaned(arguments, self.folder, **hub) as made, self._lock(name):
            try:
                kept.touch(exist_ok=False)  # of two who save under one name, one is told
            except FileExistsError:
                raise DataError(f"There is already a data set called {name}; choose another name.") from None
            for what, suffix in (("report", ".report.json"), ("markdown", ".report.md")):
                shutil.move(made[what], kept.with_suffix(suffix))
            Path(made["cleaned"]).replace(kept)
        return made

    def append(self, name: str, line: str) -> int:
        """Add an example, as a line of JSON, to the set of this name, which is begun if there is none: the rows that it has now.

        One that stands there already is not added again. DataError if it cannot be written; the set is then as it was.
        """
        path = self.path(name)
        if not is_whole(line):
            raise DataError(f"{name} could not be added to: the text holds half of a character.")
        row = line.rstrip("\n").encode()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock(name), path.open("a+b") as file:
            file.seek(0)
            last, rows, is_there = b"", 0, False
            for last in file:
                rows += bool(last.strip())
                is_there = is_there or last.rstrip() == row
            if is_there:
                return rows
            begin = b"" if last.endswith(b"\n") or not last else b"\n"
            _add(file, begin + row + b"\n", name)
            if (report := path.with_suffix(".report.json")).is_file():
                count_added(report, path.with_suffix(".report.md"))
            return rows + 1

    def _lock(self, name: str) -> FileLock:
        """Held by whoever writes the set of this name."""
        return FileLock(self.folder / f".{name}.lock")


def _add(file: BinaryIO, line: bytes, name: str) -> None:
    """All of it, or nothing."""
    before = file.seek(0, os.SEEK_END)
    try:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        os.ftruncate(file.fileno(), before)
        raise DataError(
            t("{name} could not be added to: {why}.", name=name, why=error.strerror or error)
        ) from None


@contextlib.contextmanager
def cleaned(arguments: list[str], beside: Path | None = None, **hub: Any) -> Iterator[dict]:
    """What `atelier data clean` makes of the examples; the files are gone after the `with`."""
    if beside:
        beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=beside, prefix=".") as folder:
        yield children.ask("data", "clean", *arguments, "--output-dir", folder, timeout=CLEANING, **hub)
