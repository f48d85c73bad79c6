"""Which checkpoints can be trusted: each carries the hashes of its files, and only a whole one is resumed from.

A checkpoint is written to .partial, sealed, and renamed:  with writing(folder, "checkpoint-20") as beside: ...
"""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from core.hashing import sha256_of
from core.train import disk
from core.train.distributed import ranks

SEAL = "sha256.json"
PARTIAL = ".partial"


@contextmanager
def writing(folder: Path, name: str) -> Iterator[Path]:
    """A folder to fill, by all processes together. When the block ends well it is sealed, on the disk, and has its name.

    TrainError where the disk refuses it. What was half written is removed: a full disk would stay full.
    """
    beside = folder / PARTIAL
    try:
        if ranks.is_main():
            shutil.rmtree(beside, ignore_errors=True)
            (beside / name).mkdir(parents=True)
        ranks.barrier()
        yield beside / name
        ranks.barrier()
        if ranks.is_main():
            seal(beside / name)
            disk.place(beside / name, folder / name)
            beside.rmdir()
        ranks.barrier()
    except BaseException as error:
        refused = disk.refusal(error, folder)
        shutil.rmtree(beside, ignore_errors=True)
        if refused:
            raise refused from error
        raise


def seal(folder: Path) -> None:
    """Write the hash of every file in the checkpoint beside them, and see to it that all is on the disk."""
    (folder / SEAL).unlink(missing_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    hashes = dict(zip(names, _hashes(files), strict=True))
    (folder / SEAL).write_text(json.dumps(hashes, indent=1), "utf-8")
    disk.synced(folder)


def is_whole(folder: Path) -> bool:
    """Whether the checkpoint holds the files that were written, all of them, as they were, and none besides.

    One besides would be read, too: transformers takes whatever weights it finds first. A link leads out of what was
    sealed, so it makes a checkpoint none, and so does a name that does.
    """
    try:
        hashes = json.loads((folder / SEAL).read_text("utf-8"))
        there = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
        names = {path.relative_to(folder).as_posix() for path in there} - {SEAL}
        if not isinstance(hashes, dict) or names != set(hashes) or any(path.is_symlink() for path in there):
            return False
        return _hashes([folder / name for name in hashes]) == list(hashes.values())
    except (OSError, ValueError):
        return False


def latest(folder: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The last checkpoint that is whole, and the names of later ones that are not."""
    damaged = []
    for path in sorted(_found(folder), key=step_of, reverse=True):
        if is_whole(path):
            return path, tuple(damaged)
        damaged.append(path.name)
    return None, tuple(damaged)


def tidy(folder: Path) -> None:
    """Remove what a killed process left half written."""
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)


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


def _found(folder: Path) -> list[Path]:
    """Those in the folder, told by their names: times change where a clock is set or files are copied."""
    return [path for path in folder.glob("checkpoint-*") if path.name.rpartition("-")[2].isdecimal()]


def _state(checkpoint: Path) -> dict:
    return json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))


def _hashes(files: list[Path]) -> list[str]:
    """Of several files at once: weights and optimizer are large, and hashing holds no lock of Python's."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(sha256_of, files))
