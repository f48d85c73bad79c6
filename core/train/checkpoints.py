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


def is_last(checkpoint: Path, total_steps: int) -> bool:
    """Whether training ended there, after all its steps or early; transformers would go on for another step."""
    early = _state(checkpoint)["stateful_callbacks"].get("EarlyStoppingCallback")
    if step_of(checkpoint) >= total_steps or not early:
        return step_of(checkpoint) >= total_steps
    return early["attributes"]["early_stopping_patience_counter"] >= early["args"]["early_stopping_patience"]


def best(checkpoint: Path) -> Path:
    """The one with the lowest held-out loss that this checkpoint knows of, if that is whole; else itself."""
    step = _state(checkpoint)["best_global_step"]
    found = checkpoint.parent / f"checkpoint-{step}"
    return found if step and is_whole(found) else checkpoint


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _state(checkpoint: Path) -> dict:
    return json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
