"""How the command `atelier` is found, for who is shown one and has it nowhere on the PATH."""

import os
import shlex
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # where `python -m core` is found


def how_to_call() -> str:
    """A sentence, where a shell in this folder would not find `atelier`; empty where it does."""
    if shutil.which("atelier"):
        return ""
    beside = Path(sys.executable).parent
    here = shutil.which("atelier", path=str(beside))
    activate = beside / ("activate.bat" if os.name == "nt" else "activate")
    if here and activate.is_file():
        first = f"{'' if os.name == 'nt' else 'source '}{_as_typed(activate)}"
        return f"In a shell, type this first, and commands that begin with atelier are found: {first}"
    if here:
        return f"In a shell, where a command begins with atelier, type this instead: {_as_typed(Path(here))}"
    folder = "" if Path.cwd() == ROOT else f" in the folder {ROOT}"
    return (
        f"In a shell, where a command begins with atelier, type this instead{folder}: "
        f"{_as_typed(Path(sys.executable))} -m core"
    )


def _as_typed(path: Path) -> str:
    """From this folder, where the path is in it."""
    path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return str(path) if os.name == "nt" else shlex.quote(str(path))
