"""What was computed once and would be computed again: folders named by what they were made from.

    with making("tokens", key) as folder: ...      found("tokens", key) -> that folder, from now on
    values("shapes", key, make) -> what make() gave when it was first asked

Everything in it can be deleted at any time. ATELIER_CACHE names another place than ~/.cache/atelier.
"""

import atexit
import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from core.errors import UserError

HOME = "atelier-cache"  # below the place that is named, so that nothing of anybody else is ever touched
ENTRY = re.compile(r"[0-9a-f]{32}")
UNFINISHED = ".making-"
ALREADY = (errno.ENOTEMPTY, errno.EEXIST)  # why a folder takes no other's place
VALUES = "values.json"  # of an entry that holds nothing else
LIMIT = 20 * 2**30  # bytes; the entries that were used longest ago go first
ABANDONED = 24 * 3600  # seconds after which an unfinished entry is nobody's any more


def root() -> Path:
    """The folder of all entries; one in the temporary folder where the usual place cannot be written."""
    wanted = os.environ.get("ATELIER_CACHE")
    return _writable(str(Path(wanted) / HOME if wanted else Path.home() / ".cache" / "atelier"))


@cache
def _writable(wanted: str) -> Path:
    try:
        Path(wanted).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return Path(wanted)
    except OSError:
        folder = tempfile.mkdtemp(prefix="atelier-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)


def key_of(*parts: object) -> str:
    """A name for what these parts make; the same on every machine."""
    return sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@cache
def code_of(*packages: str) -> str:
    """A hash of all source files in these folders beside this one, or of these files, so that a newer version makes its own
    entries."""
    here = Path(__file__).parent
    digest = sha256()
    for package in packages:
        for path in [here / package] if package.endswith(".py") else sorted((here / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def found(kind: str, key: str) -> Path | None:
    """The entry, which counts as used now; None if there is none."""
    folder = root() / kind / key
    try:
        os.utime(folder)
    except OSError:
        return None
    return folder


@contextmanager
def making(kind: str, key: str) -> Iterator[Path]:
    """A folder to fill, which becomes the entry when the block ends well. UserError where the disk is full."""
    parent = root() / kind
    beside = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))
        yield beside
        try:
            beside.rename(parent / key)
        except OSError as error:
            if error.errno not in ALREADY:  # another process was quicker, and made the same
                raise
    except OSError as error:
        raise UserError(
            f"The cache {root()} cannot be written: {error.strerror or error}. Make room there, or let ATELIER_CACHE "
            "name another folder."
        ) from error
    finally:
        if beside:
            shutil.rmtree(beside, ignore_errors=True)
    _make_room(parent / key)


def values(kind: str, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What JSON can hold, made if there is no such entry or somebody damaged it. What `make` raises is not kept."""
    known = kept(kind, key)
    return keep(kind, key, make()) if known is None else known


def kept(kind: str, key: str) -> dict[str, Any] | None:
    """The values of an entry; None if there is none, or if somebody damaged it, which is forgotten then."""
    entry = found(kind, key)
    try:
        return json.loads((entry / VALUES).read_text("utf-8")) if entry else None
    except (OSError, ValueError):
        forget(entry)
        return None


def keep(kind: str, key: str, made: dict[str, Any]) -> dict[str, Any]:
    """Make these values the entry, in place of one that is there; what was given."""
    if entry := found(kind, key):
        forget(entry)
    with making(kind, key) as folder:
        (folder / VALUES).write_text(json.dumps(made), "utf-8")
    return made


def forget(folder: Path) -> None:
    """Remove an entry: at once, or not at all, so that half an entry is never found."""
    try:
        away = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
        with suppress(OSError):  # another process was quicker, or has it open
            folder.rename(away / folder.name)
    except OSError:
        return
    shutil.rmtree(away, ignore_errors=True)


def _make_room(newest: Path) -> None:
    """Forget entries, the least recently used first, until the rest fits the limit."""
    sizes = {}
    for folder in root().glob("*/*"):
        try:
            if folder.name.startswith(UNFINISHED) and time.time() - folder.stat().st_mtime > ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)
            elif ENTRY.fullmatch(folder.name):
                sizes[folder] = (
                    folder.stat().st_mtime,
                    sum(file.stat().st_size for file in folder.iterdir()),
                )
        except OSError:
            continue  # another process removed it
    room = LIMIT
    for folder, (_, size) in sorted(sizes.items(), key=lambda each: each[1][0], reverse=True):
        room -= size
        if room < 0 and folder != newest:
            forget(folder)
