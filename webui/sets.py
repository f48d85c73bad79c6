"""Data sets that were saved under a name: cleaned, each with its report beside it, and offered on every page."""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core import children
from core.errors import DataError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
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

    def save(self, name: str, arguments: list[str]) -> dict:
        """Clean the examples that the arguments name, and keep them; what became of them. DataError if the name is taken."""
        kept = self.path(name)
        if kept.exists():
            raise DataError(f"There is already a data set called {name}; choose another name.")
        with cleaned(arguments, self.folder) as made:
            try:
                kept.touch(exist_ok=False)  # of two who save under one name, one is told
            except FileExistsError:
                raise DataError(f"There is already a data set called {name}; choose another name.") from None
            for what, suffix in (("report", ".report.json"), ("markdown", ".report.md")):
                shutil.move(made[what], kept.with_suffix(suffix))
            Path(made["cleaned"]).replace(kept)
        return made


@contextlib.contextmanager
def cleaned(arguments: list[str], beside: Path | None = None) -> Iterator[dict]:
    """What `atelier data clean` makes of the examples; the files are gone after the `with`."""
    if beside:
        beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=beside, prefix=".") as folder:
        yield children.ask("data", "clean", *arguments, "--output-dir", folder, timeout=CLEANING)
