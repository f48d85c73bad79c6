"""Writing so that a crash leaves all or nothing, and saying why something could not be written."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from core.errors import TrainError

REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is used up",
    errno.EFBIG: "files may not become that large here",
    errno.EROFS: "the disk can only be read",
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.EIO: "the disk fails",
}
TORCH_WRITES = "inline_container"  # the file that complains where torch.save could not write
PROBE = 4_000_000  # bytes; safetensors and torch do not always say which error it was
ROOM = 1.02  # times the room that is needed: file systems keep some for themselves


def write_json(path: Path, value: dict) -> None:
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(value, indent=1, ensure_ascii=False), "utf-8")
    beside.replace(path)


def synced(folder: Path) -> None:
    """Every file in the folder, and the folder's own list of them, is on the disk and not only on the way to it."""
    for path in (*sorted(folder.rglob("*")), folder):
        _sync(path)


def place(beside: Path, target: Path) -> None:
    """The finished folder takes the name under which it is looked for; what had the name is gone."""
    if target.exists():
        shutil.rmtree(target)
    beside.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders, and writes their lists by itself
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_of(folder: Path) -> int:
    """Bytes of all files in the folder; 0 if it is not there."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def refusal(error: BaseException, folder: Path) -> TrainError | None:
    """The sentence for an error by which the disk refused what was written to `folder`; None if it was not the disk.

    To be asked before what was half written is removed: then there may be room again.
    """
    number = next(filter(None, (_number(each, folder) for each in _chain(error))), None)
    if number is None and any(TORCH_WRITES in str(each) for each in _chain(error)):
        number = _probe(folder) or errno.EIO
    if number not in REASONS:
        return None
    return _refused(folder, number)


def _refused(folder: Path, number: int) -> TrainError:
    why = REASONS.get(number) or os.strerror(number).lower()
    return TrainError(
        f"{folder} cannot be written: {why}. Put that right, then resume the run: it goes on from its last checkpoint."
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _number(error: BaseException, folder: Path) -> int | None:
    """The system's number of the error, if it may be one of writing to the folder."""
    if isinstance(error, OSError) and error.errno in REASONS:
        named = Path(str(error.filename)).absolute() if error.filename else None
        return error.errno if named is None or named.is_relative_to(folder.absolute()) else None
    said = re.search(r"\(os error (\d+)\)", str(error))  # safetensors, written in Rust
    return int(said[1]) if said and int(said[1]) in REASONS else None


def _probe(folder: Path) -> int | None:
    """The number of the error by which a file of some size is refused in the folder."""
    file = folder / ".probe"
    try:
        file.write_bytes(b"\0" * PROBE)
    except OSError as error:
        return error.errno
    finally:
        file.unlink(missing_ok=True)
    return None


def check_writable(folder: Path) -> None:
    """TrainError if nothing can be written to the folder, which is made if it is not there: before hours are spent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = _probe(folder)
    except OSError as error:
        number = error.errno
    if number is not None:
        raise _refused(folder, number)


def check_room(folder: Path, needed: int, there: int, holds: str) -> None:
    """TrainError if `needed` bytes, of which `there` are written already, do not fit where the folder is."""
    free = shutil.disk_usage(folder).free
    if (needed - there) * ROOM > free:
        raise TrainError(
            f"{holds} need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free where {folder} is: make room there, keep "
            "fewer checkpoints (train.save_total_limit), or take another folder for runs (--runs)."
        )
