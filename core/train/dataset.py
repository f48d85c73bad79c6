"""Rows -> the data set that is trained on, on disk: as large as it may be, memory holds a block of it."""

from itertools import accumulate
from pathlib import Path

import pyarrow as pa
from datasets import Dataset

from core.text.encode import Encoding

BLOCK = 2000  # rows written together
ROWS = pa.schema({"input_ids": pa.list_(pa.int32()), "labels": pa.list_(pa.int32())})


def as_dataset(encoding: Encoding, file: Path) -> Dataset:
    """`input_ids` and `labels` of every row, in order, written to `file` and read from there."""
    with pa.OSFile(str(file), "wb") as written, pa.ipc.new_stream(written, ROWS) as stream:
        for ids, labels, lengths in encoding.rows.blocks(BLOCK):
            offsets = pa.array([0, *accumulate(lengths.tolist())], pa.int32())
            columns = [pa.ListArray.from_arrays(offsets, values) for values in (ids, labels)]
            stream.write_batch(pa.record_batch(columns, schema=ROWS))
    return Dataset.from_file(str(file))
