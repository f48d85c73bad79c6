"""Parquet -> rows, a batch at a time. A row's line is its number."""

import datetime
import decimal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from core.data.remarks import Remark, excerpt
from core.data.rows import LONGEST, Number, Read, too_long, unread

if TYPE_CHECKING:
    import pyarrow

BATCH_BYTES = 2**22  # of rows held at once, about; a single row can be larger
MOST_ROWS = 1024
BUFFER = 2**20  # bytes of a column read at once


def rows(file: BinaryIO) -> Iterator[Read]:
    """What each row holds, nested values included."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        # Else a column of all rows that were written together is held at once, which can be the file.
        table = ParquetFile(file, buffer_size=BUFFER, pre_buffer=False)
        twice = {name for name in table.schema_arrow.names if table.schema_arrow.names.count(name) > 1}
        if twice:
            yield Read(1, unread(_repeated(twice.pop()), ""))
            return
        groups = [table.metadata.row_group(each) for each in range(table.metadata.num_row_groups)]
        size = batch_rows(sum(each.total_byte_size for each in groups), table.metadata.num_rows)
        # One core: reading is fast beside what is done with the rows, and threads read ahead into memory.
        for batch in table.iter_batches(size, use_threads=False):
            for row in plain_rows(batch):
                number += 1
                if any(type(value) is str and len(value) > LONGEST for value in row.values()):
                    yield Read(number, unread(too_long("row"), ""))
                else:
                    yield Read(number, row)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, LookupError) as error:
        if getattr(error, "errno", None):  # the disk's, not the file's
            raise
        yield Read(number + 1, unread(_damaged(error), ""))


def batch_rows(size: int, rows: int) -> int:
    """How many rows to read at once of a table of so many bytes and rows."""
    return max(1, min(MOST_ROWS, BATCH_BYTES * rows // max(1, size)))


def plain_rows(batch: "pyarrow.RecordBatch | pyarrow.Table") -> Iterator[dict[str, Any]]:
    """The rows of a batch, with nothing in them that JSON does not have."""
    columns = [
        column.to_pylist() if _is_plain(column.type) else [_plain(value) for value in column.to_pylist()]
        for column in batch.columns
    ]
    names = batch.schema.names
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _is_plain(kind: "pyarrow.DataType") -> bool:
    import pyarrow.types as of

    if of.is_struct(kind):
        return all(_is_plain(field.type) for field in kind)
    if of.is_list(kind) or of.is_large_list(kind) or of.is_dictionary(kind):
        return _is_plain(kind.value_type)
    tests = (of.is_string, of.is_large_string, of.is_integer, of.is_floating, of.is_boolean, of.is_null)
    return any(test(kind) for test in tests)


def _plain(value: Any) -> Any:
    """Dates and the like as text, bytes as the text that they are; null for bytes that are none."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    for kind, write in WRITTEN.items():
        if isinstance(value, kind):
            return write(value)
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


WRITTEN: dict[type, Callable[[Any], str]] = {
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: str,
    decimal.Decimal: Number,
}


def _repeated(name: str) -> Remark:
    return Remark(
        "repeated-column",
        f"The table has the column `{excerpt(name, 40)}` more than once.",
        "Rename one of them, or leave it out when exporting.",
    )


def _damaged(error: Exception) -> Remark:
    return Remark(
        "damaged-file",
        f"The Parquet file is damaged ({excerpt(str(error), 80)}); what comes before is read.",
        "Download or export it again.",
    )
