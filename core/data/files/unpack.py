"""Streams that change bytes while they are read: archives unpacked, and wide encodings turned into UTF-8.

What they give is never held whole, however much an archive unpacks to.
"""

import codecs
import gzip
import io
import zlib
from typing import BinaryIO

from core.data.remarks import Remark

CHUNK = 2**16
# Far beyond what repetitive rows are packed to (100 times or so); gzip can do 1,000 times, Zstandard 30,000.
MOST_TIMES = 300
SMALL = 2**30  # bytes that may come out of any archive

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "Zstandard"}

# UTF-32's little-endian mark begins with UTF-16's, so it comes first.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def packing(head: bytes) -> str | None:
    """ "gzip" or "Zstandard" if the first bytes of a file say that it is packed so."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


def encoding(head: bytes) -> tuple[str, int]:
    """The codec of a file by its first bytes, and the length of the byte order mark there."""
    for mark, codec in MARKS:
        if head.startswith(mark):
            return codec, len(mark)
    # Data begin with two ASCII characters, so a zero among the first two bytes gives UTF-16 away.
    if len(head) >= 4 and head[0] and not head[1] and head[2] and not head[3]:
        return "utf-16-le", 0
    if len(head) >= 4 and not head[0] and head[1] and not head[2] and head[3]:
        return "utf-16-be", 0
    return "utf-8", 0


class Unpacked(io.RawIOBase):
    """What an archive holds. If it breaks off or is damaged, that is its end, and `damage` says so."""

    def __init__(self, file: BinaryIO, packing: str) -> None:
        self.file = file
        self.packing = packing
        self.damage: Remark | None = None
        self.given = 0
        self.last = b""  # the last byte given
        if packing == "gzip":
            self.stream = gzip.GzipFile(fileobj=file)
            self.next = self.stream.read1
        else:
            import pyarrow  # takes a tenth of a second

            self.stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(file, "r"), "zstd")
            self.next = self.stream.read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        if self.damage:
            return 0
        try:
            data = self.next(min(len(buffer), CHUNK if self.packing == "gzip" else CHUNK // 16))
        except EOFError:
            self.damage = self._broken("breaks off in the middle")
            return 0
        except (OSError, ValueError, zlib.error) as error:
            if getattr(error, "errno", None):  # the disk's, not the archive's
                raise
            cut = "Truncated" in str(error)
            self.damage = self._broken("breaks off in the middle" if cut else "is damaged")
            return 0
        self.given += len(data)
        if self.given > SMALL and self.given > MOST_TIMES * self.file.tell():
            self.damage = Remark(
                "archive-bomb",
                f"The archive unpacks to more than {MOST_TIMES} times its size, as only hostile ones do; "
                "the rest is not read.",
                "If you trust it, unpack it yourself.",
            )
            return 0
        buffer[: len(data)] = data
        self.last = data[-1:] or self.last
        return len(data)

    def _broken(self, how: str) -> Remark:
        return Remark(
            "damaged-archive",
            f"The {self.packing} archive {how}; what comes before is read.",
            "Download or pack it again.",
        )


class AsUtf8(io.RawIOBase):
    """Text in UTF-16 or UTF-32 as UTF-8. Where bytes are no text it gives some that no encoding of text has."""

    def __init__(self, file: BinaryIO, codec: str) -> None:
        self.file = file
        self.decoder = codecs.getincrementaldecoder(codec)("core.data.undecodable")
        self.rest = b""
        self.over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self.rest and not self.over:
            data = self.file.read(CHUNK)
            self.over = not data
            self.rest = self.decoder.decode(data, self.over).encode(errors="core.data.undecodable")
        count = min(len(buffer), len(self.rest))
        buffer[:count] = self.rest[:count]
        self.rest = self.rest[count:]
        return count


def _undecodable(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeDecodeError):
        return "\udfff", error.end  # which no decoder makes of valid bytes
    return b"\xff\x81\xfe\x8d" * (error.end - error.start), error.end


codecs.register_error("core.data.undecodable", _undecodable)
