"""Examples on disk: as many as there may be, read one by one, and taken apart without being read at all.

    with Writer(folder) as writer: writer.add(example)
    examples = Examples.open(folder, files=("poems.jsonl",))
    examples[3]; examples.take(numpy_array_of_places)

`examples.bin` holds the conversations as JSON, `index.bin` a record of fixed size for each.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from threading import Lock
from typing import overload

import numpy as np
import orjson

from core.data.examples import Call, Example, Message, Source

RECORD = Struct("<QQdIII")
INDEX = np.dtype(
    [("end", "<u8"), ("digest", "<u8"), ("value", "<f8"), ("line", "<u4"), ("file", "<u4"), ("part", "<u4")]
)
NO_VALUE = float("nan")
LARGE = 2**20  # bytes from which the plain json module is used: orjson takes 15 times the size of a text
AT_ONCE = 2**25  # bytes of conversations that are read together
BLOCK = 4096  # examples whose records are looked up together


class Writer:
    """Adds examples to a folder; nothing of them is kept in memory."""

    def __init__(self, folder: Path) -> None:
        self._examples = (folder / "examples.bin").open("wb", buffering=2**20)
        self._index = (folder / "index.bin").open("wb", buffering=2**20)
        self._end = 0
        self.count = 0

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._examples.close()
        self._index.close()

    def add(
        self,
        messages: Iterable[Message],
        tools: tuple[str, ...],
        file: int,
        line: int,
        value: float | None = None,
        part: int = 1,
    ) -> int:
        """The place of the example that is added now, the first being 0. Texts must be fit for UTF-8."""
        written = _written(messages)
        body = _as_bytes([written, tools] if tools else [written])
        digest = int.from_bytes(blake2b(body, digest_size=8).digest(), "little")
        self._end += len(body)
        self._examples.write(body)
        value = NO_VALUE if value is None else value
        self._index.write(RECORD.pack(self._end, digest, value, line, file, part))
        self.count += 1
        return self.count - 1


def _as_bytes(value: list) -> bytes:
    if sum(len(text) for text in value[0] if type(text) is str) < LARGE:
        return orjson.dumps(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _written(messages: Iterable[Message]) -> list:
    """role, content, role, content, ...; a message that has more to it is a list of its own, after a null."""
    written = []
    for message in messages:
        if message.trained and not message.calls:
            written += (message.role, message.content)
        else:
            calls = [(call.name, call.arguments) for call in message.calls]
            written += (None, (message.role, message.content, message.trained, calls))
    return written


def _messages(written: list) -> tuple[Message, ...]:
    pairs = iter(written)
    return tuple(
        Message(role, content) if role is not None else _special(content)
        for role, content in zip(pairs, pairs, strict=True)
    )


def _special(written: list) -> Message:
    role, content, trained, calls = written
    return Message(role, content, trained, tuple(Call(*call) for call in calls))


class Examples(Sequence[Example]):
    """Examples in a folder, in some order. Taking some of them copies nothing; reading one takes microseconds."""

    def __init__(
        self, bodies: "_Bodies", index: np.ndarray, files: tuple[str, ...], places: np.ndarray
    ) -> None:
        self._bodies = bodies
        self._index = index
        self._files = files
        self.places = places  # of these examples among all in the folder

    @classmethod
    def open(cls, folder: Path, files: tuple[str, ...]) -> "Examples":
        """All examples in the folder. `files` are the names that their sources have."""
        index = np.fromfile(folder / "index.bin", INDEX)
        return cls(_Bodies(folder / "examples.bin"), index, files, np.arange(len(index), dtype=np.uint32))

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> Example: ...
    @overload
    def __getitem__(self, at: slice) -> "Examples": ...
    def __getitem__(self, at: int | slice) -> "Example | Examples":
        if isinstance(at, slice):
            return self.take(self.places[at])
        if not -len(self) <= at < len(self):
            raise IndexError(f"There is no example {at} among {len(self)}.")
        return next(self._read(self.places[at : at + 1] if at != -1 else self.places[-1:]))

    def __iter__(self) -> Iterator[Example]:
        return self._read(self.places)

    def take(self, places: np.ndarray) -> "Examples":
        """The examples at these places of the folder, in that order; one may come several times."""
        return Examples(self._bodies, self._index, self._files, places)

    def source(self, at: int) -> Source:
        """Where an example stands, without reading it."""
        record = self._index[self.places[at]]
        return Source(self._files[record["file"]], int(record["line"]), int(record["part"]))

    @property
    def digests(self) -> np.ndarray:
        """A 64-bit hash of each conversation, the same in every Python: uint64, (examples,)."""
        return self._index["digest"][self.places]

    @property
    def values(self) -> np.ndarray:
        """What the column of difficulty holds, NaN where there is none: float64, (examples,)."""
        return self._index["value"][self.places]

    @property
    def file_numbers(self) -> np.ndarray:
        """Which of the files each comes from: uint32, (examples,)."""
        return self._index["file"][self.places]

    @property
    def files(self) -> tuple[str, ...]:
        return self._files

    @property
    def sizes(self) -> np.ndarray:
        """Bytes of each conversation, as it is stored: uint64, (examples,)."""
        ends = self._index["end"]
        return np.diff(ends, prepend=np.uint64(0))[self.places]

    def _read(self, places: np.ndarray) -> Iterator[Example]:
        for first in range(0, len(places), BLOCK):
            block = places[first : first + BLOCK]
            records = self._index[block]
            begins = np.where(block == 0, 0, self._index["end"][np.maximum(block, 1) - 1]).astype(np.int64)
            fields = (records[name].tolist() for name in ("line", "part", "file", "value"))
            bodies = self._bodies.read(begins, records["end"].astype(np.int64))
            for body, line, part, file, value in zip(bodies, *fields, strict=True):
                written, *tools = orjson.loads(body) if len(body) < LARGE else json.loads(body)
                yield Example(
                    _messages(written),
                    Source(self._files[file], line, part),
                    tuple(tools[0]) if tools else (),
                    None if value != value else value,
                )


class _Bodies:
    """The conversations in a file, read as they are needed: a map of it would count as memory in use."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._moving = Lock()

    def read(self, begins: np.ndarray, ends: np.ndarray) -> Iterator[bytes]:
        """Each stretch; those that stand close together are fetched at once."""
        low, high = int(begins.min()), int(ends.max())
        if high - low < 2 * (ends - begins).sum() < AT_ONCE:
            whole = self._fetch(low, high)
            return (whole[b - low : e - low] for b, e in zip(begins.tolist(), ends.tolist(), strict=True))
        return (self._fetch(b, e) for b, e in zip(begins.tolist(), ends.tolist(), strict=True))

    def _fetch(self, begin: int, end: int) -> bytes:
        with self._moving:
            self._file.seek(begin)
            parts, missing = [], end - begin
            while missing and (
                part := self._file.read(missing)
            ):  # a read may give less than it was asked for
                parts.append(part)
                missing -= len(part)
        return b"".join(parts)
