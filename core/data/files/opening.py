"""A name -> what it stands for, opened: rows, whatever the file.

    source = opened("poems.csv.gz")
    source.kind                                  # "CSV"
    for line, row, remarks in source.rows(): ...

What a file is, its content says. A new kind is one entry in KINDS, and, if it is text, a line in lookalikes.kind_of.
"""

import codecs
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from core.data.files import json_whole, jsonl, parquet, prose, tables
from core.data.files.lookalikes import JSON_LINES, kind_of, refusal
from core.data.files.unpack import AsUtf8, Unpacked, encoding, packing
from core.data.remarks import Remark, visible
from core.data.rows import Read, Unread, unread
from core.errors import DataError

__all__ = ["Opened", "Read", "Unread", "expand", "opened"]

HEAD = 65536  # bytes looked at to find out what a file is
BUFFER = 2**18
MOST_FILES = 10_000  # in a folder
MOST_ENTRIES = 200_000  # looked at in a folder, so that naming / by mistake ends

SUFFIXES = {
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".json": "JSON",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".txt": "text",
    ".text": "text",
    ".md": "Markdown",
    ".markdown": "Markdown",
}
PACKED = {".gz": "gzip", ".gzip": "gzip", ".zst": "Zstandard", ".zstd": "Zstandard"}
ABOUT = {"readme", "license", "licence", "copying", "notice", "changelog"}  # files about a folder, not in it
# poems.about.json and poems.test.jsonl in a folder: about another file, or to measure on. Who means them names them.
BESIDE = {
    "about",
    "sources",
    "rejected",
    "report",
    "journal",
    "test",
    "validation",
    "valid",
    "val",
    "dev",
    "eval",
}

KINDS: dict[str, Callable[[BinaryIO], Iterator[Read]]] = {
    "JSON lines": jsonl.rows,
    "JSON": json_whole.rows,
    "CSV": tables.rows,
    "Parquet": parquet.rows,
    "text": prose.rows,
    "Markdown": prose.rows,
}
OPEN_ENDED = {"CSV", "text", "Markdown"}  # where a row that was cut can look like a whole one
NAMING = "Nothing to do; a name that says what a file is helps others."
PACKED_PARQUET = Remark(
    "not-jsonl",
    "The file is Parquet within an archive, which is not read.",
    "Unpack it; Parquet is packed itself.",
)
NO_PARQUET = Remark("not-jsonl", "The file is called Parquet, but is none.", "Download or export it again.")
HUB_NAME = re.compile(r"hf:.*|[\w-][\w.-]*/[\w-][\w.-]*(\?.*)?", re.DOTALL)


@dataclass(frozen=True)
class Opened:
    """Something that rows can be read from."""

    name: str  # as the user wrote it
    kind: str  # "JSON lines", "JSON", "CSV", "Parquet", "text", "Markdown", "Hub data set", or "unknown"
    sha256: str  # of the bytes of a file; of a data set on the Hub, the commit
    rows: Callable[[], Iterator[Read]]  # raises DataError if the file can no longer be read


def opened(name: str) -> Opened:
    """What a name stands for: a path, `sample:...`, or a data set on the Hub, "owner/name?split=test".

    DataError if nothing is there, or if what is there is no data at all.
    """
    from core.presets import data_file  # brings pydantic, for which importing core.data need not wait

    path = data_file(name)
    if is_on_the_hub(name):
        from core.data.files import hub

        return Opened(name, "Hub data set", *hub.loaded(name))
    try:
        _check(name, path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            layers = _look(name, path, file)
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None
    return Opened(name, layers.kind, sha256, lambda: _rows(name, path, layers))


def check_there(names: Sequence[str]) -> None:
    """DataError, as from `opened`, if there is nothing to read under one of the names; nothing is read, and no Hub asked."""
    from core.presets import data_file

    for name in expand(names):
        path = data_file(name)
        if is_on_the_hub(name):
            continue
        try:
            _check(name, path)
        except (OSError, ValueError) as error:
            raise _unreadable(name, error) from None


def is_on_the_hub(name: str) -> bool:
    """Whether a name is one of the Hub: it says so, or has two parts and nothing here is called like that."""
    if name.startswith("hf:"):
        return True
    if not HUB_NAME.fullmatch(name):
        return False
    called = Path(name.partition("?")[0])
    return not (_kind_called(called) or os.path.lexists(name) or called.parent.is_dir())


def expand(names: Sequence[str], beside: bool = False) -> list[str]:
    """The names, with a folder replaced by the data files in it and below, sorted; hidden ones are left out, and, unless
    asked for, those BESIDE others.

    DataError if a folder has none, or holds a link that leads out of it.
    """
    expanded = []
    for name in names:
        if not name.strip():
            raise DataError("A data file is named by nothing: give the path of one.")
        try:
            path = Path(name).expanduser()
            is_folder = path.is_dir()
        except (OSError, ValueError, RuntimeError):
            is_folder = False  # `opened` says what is wrong
        expanded += _files_in(name, path, beside) if is_folder else [name]
    return expanded


def _files_in(name: str, folder: Path, beside: bool) -> list[str]:
    inside = folder.resolve()
    found: dict[Path, Path] = {}  # where it really lies -> as it is called
    for entries, path in enumerate(_below(folder), 1):
        if entries > MOST_ENTRIES or len(found) > MOST_FILES:
            raise DataError(f"The folder {visible(name)} holds too many files: name a folder of data only.")
        parts = path.name.lower().split(".")[:-1]
        if not _kind_called(path) or parts[0] in ABOUT or not (beside or BESIDE.isdisjoint(parts)):
            continue
        real = path.resolve()
        if not real.is_relative_to(inside):
            raise DataError(
                f"The folder {visible(name)} holds a link, {visible(path.name)}, that leads out of it: "
                "put the file itself there, or name it."
            )
        if real.is_file():
            found.setdefault(real, path)
    if not found:
        raise DataError(f"The folder {visible(name)} holds no data files ({', '.join(SUFFIXES)}).")
    return [str(path) for path in sorted(found.values())]


def _below(folder: Path) -> Iterator[Path]:
    """Files in a folder and in those below; links to folders are looked at as if they were files."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        links = [each for each in folders if os.path.islink(os.path.join(parent, each))]
        for each in sorted(files) + links:
            if not each.startswith("."):
                yield Path(parent, each)


@dataclass(frozen=True)
class _Layers:
    """What is between the bytes of a file and its rows."""

    kind: str
    packing: str | None
    codec: str
    mark: int  # the length of the byte order mark, where it has to be skipped here
    remarks: tuple[Remark, ...]  # about the file as a whole
    refused: Remark | None  # why there is nothing to read


def _look(name: str, path: Path, file: BinaryIO) -> _Layers:
    """Find out what a file is. DataError if neither its content nor its name say."""
    packed = packing(file.read(4))
    file.seek(0)
    head = (io.BufferedReader(Unpacked(file, packed), HEAD) if packed else file).read(HEAD)
    codec, mark = encoding(head)
    called = _kind_called(path)
    remarks = []
    if packed and path.suffix.lower() not in PACKED:
        remarks.append(_converted(f"a {packed} archive, which its name does not say; it is unpacked", NAMING))
    if codec != "utf-8":
        remarks.append(_converted(f"{codec[:6].upper()}; read as that", "Save it as UTF-8."))
    kind, refused = _kind(name, path, packed is not None, head)
    # JSON lines are called .json as often as not.
    if called and not refused and called != kind and (called, kind) != ("JSON", "JSON lines"):
        remarks.append(_converted(f"{kind}, though called {_suffix(path)}; it is read as {kind}", NAMING))
    return _Layers(kind, packed, codec, mark if codec != "utf-8" else 0, tuple(remarks), refused)


def _kind(name: str, path: Path, packed: bool, head: bytes) -> tuple[str, Remark | None]:
    """What a file is, or why nothing can be read from it. DataError if neither its content nor its name say."""
    called = _kind_called(path)
    if head.startswith(b"PAR1"):
        return "Parquet", PACKED_PARQUET if packed else None
    refused = refusal(head)
    if refused:
        return called or "unknown", refused
    if called == "Parquet" and head:
        return called, NO_PARQUET
    text = _text(head)
    if not text or text.isspace():
        return called or "unknown", None
    kind = kind_of(text, called, len(head) < HEAD)
    if not kind:
        raise DataError(_unknown(name, path))
    return kind, None


def _text(head: bytes) -> str:
    """The beginning of a file as text; it may be cut in a character."""
    codec, mark = encoding(head)
    try:
        return codecs.getincrementaldecoder(codec)().decode(head[mark:])
    except UnicodeDecodeError:
        return head[mark:].decode("cp1252" if codec == "utf-8" else codec, "replace")


def _rows(name: str, path: Path, layers: _Layers) -> Iterator[Read]:
    if layers.remarks:
        yield Read(1, None, layers.remarks)
    try:
        with path.open("rb", buffering=BUFFER) as file:
            if layers.refused:
                yield Read(1, unread(layers.refused, file.read(HEAD)))
            elif layers.kind not in KINDS:
                return  # there is nothing in the file
            elif layers.packing:
                yield from _from_archive(file, layers)
            else:
                yield from KINDS[layers.kind](_as_utf8(file, layers))
    except OSError as error:
        raise _unreadable(name, error) from None


def _from_archive(file: BinaryIO, layers: _Layers) -> Iterator[Read]:
    """The rows of a packed file. Where the archive breaks off, the row that was cut says so."""
    archive = Unpacked(file, layers.packing)
    last = None
    for read in KINDS[layers.kind](_as_utf8(io.BufferedReader(archive, BUFFER), layers)):
        if not read.row:
            yield read
            continue
        if last:
            yield last
        last = read
    if not archive.damage:
        if last:
            yield last
        return
    cut = archive.last != b"\n" and layers.kind in OPEN_ENDED
    if last and (cut or isinstance(last.row, Unread)):
        text = last.row.text if isinstance(last.row, Unread) else str(last.row)
        yield Read(last.line, unread(archive.damage, text), last.remarks)
        return
    if last:
        yield last
    yield Read(last.line + 1 if last else 1, unread(archive.damage, ""))


def _as_utf8(file: BinaryIO, layers: _Layers) -> BinaryIO:
    if layers.codec == "utf-8":
        return file
    file.read(layers.mark)
    return io.BufferedReader(AsUtf8(file, layers.codec), BUFFER)


def _kind_called(path: Path) -> str | None:
    """The kind of data that a file is called."""
    return SUFFIXES.get(_suffix(path))


def _suffix(path: Path) -> str:
    """ ".csv" of "poems.csv" and of "poems.csv.gz"."""
    suffixes = [each.lower() for each in path.suffixes[-2:]]
    if len(suffixes) == 2 and suffixes[1] in PACKED:
        return suffixes[0]
    return suffixes[-1] if suffixes else ""


def _check(name: str, path: Path) -> None:
    """DataError unless it is a file."""
    shown = visible(name)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        hub = f"; if a data set on the Hub is meant, write hf:{shown}" if HUB_NAME.fullmatch(name) else ""
        raise DataError(f"There is no file {shown}: look at the spelling of its path{hub}.") from None
    if S_ISDIR(mode):
        raise DataError(f"{shown} is a folder: name the files in it that hold the examples.")
    if not S_ISREG(mode):
        raise DataError(f"{shown} is a pipe or device: save the examples to a file, and name that.")


def _unknown(name: str, path: Path) -> str:
    suffix = path.suffix.lower()
    called = f"is called {visible(suffix)}" if suffix else "has no suffix"
    return (
        f"The file {visible(name)} {called}, and what it holds is no kind of data known here: "
        f"if it is plain text, call it .txt; otherwise write {JSON_LINES} (.jsonl), or CSV."
    )


def _unreadable(name: str, error: OSError | ValueError) -> DataError:
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(
        f"The file {visible(name)} cannot be read: {reason}. Look at its name and its permissions."
    )


def _converted(what: str, fix: str) -> Remark:
    return Remark("converted", f"The file is {what}.", fix)
