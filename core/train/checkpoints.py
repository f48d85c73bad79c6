"""Which checkpoints can be trusted: each carries the hashes of its files, and only a whole one is resumed from."""

import hashlib
import json
from pathlib import Path

SEAL = "sha256.json"


def seal(folder: Path) -> None:
    """Write the hash of every file in the checkpoint beside them."""
    hashes = {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / SEAL).write_text(json.dumps(hashes, indent=1), "utf-8")


def is_whole(folder: Path) -> bool:
    """Whether every file of the checkpoint is there and is what was written."""
    try:
        hashes = json.loads((folder / SEAL).read_text("utf-8"))
        return all(_sha256(folder / name) == value for name, value in hashes.items())
    except (OSError, ValueError):
        return False


def latest(folder: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The last checkpoint that is whole, and the names of later ones that are not."""
    damaged = []
    for path in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        if is_whole(path):
            return path, tuple(damaged)
        damaged.append(path.name)
    return None, tuple(damaged)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
