"""Any bytes whatever under any name end in rows, in sentences in the place of rows, or in one sentence."""

import gzip
import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.files.opening import SUFFIXES, Read, Unread, opened
from core.data.remarks import Remark
from core.data.rows import SHOWN
from core.errors import DataError
from tests.data.files.test_opening import parquet, zstandard
from tests.data.test_fuzz import CODECS, ROWS, almost_json_lines

NAMES = st.sampled_from(
    ["rows", "rows.log", *(f"rows{suffix}" for suffix in SUFFIXES), "rows.csv.gz", "rows.zst"]
)
FIELDS = st.one_of(
    st.text(max_size=8), st.sampled_from(["question", "answer", '"', '""', "a\nb", '"a', "x,y", ""])
)
PARQUET = parquet(text=["a", "b", None] * 9, messages=[[{"role": "user", "content": "a"}]] * 27)


@st.composite
def almost_tables(draw) -> bytes:
    separator = draw(st.sampled_from([",", ";", "\t", "|"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    records = draw(st.lists(st.lists(FIELDS, max_size=4), max_size=8))
    return end.join(separator.join(record) for record in records).encode(draw(CODECS), "replace")


@st.composite
def almost_json(draw) -> bytes:
    rows = draw(st.lists(ROWS, max_size=5))
    value = draw(st.sampled_from([rows, {"data": rows}, {"x": 1, "train": rows, "test": rows}, rows[:1]]))
    return json.dumps(value, indent=draw(st.sampled_from([None, 1]))).encode(draw(CODECS), "replace")


@st.composite
def damaged(draw) -> bytes:
    """Something that was written well, a piece of which was cut out, doubled or replaced; perhaps packed."""
    content = draw(st.one_of(almost_tables(), almost_json(), almost_json_lines(), st.just(PARQUET)))
    for pack in draw(st.lists(st.sampled_from([gzip.compress, zstandard]), max_size=2)):
        content = pack(content)
    at = draw(st.integers(0, len(content)))
    until = draw(st.integers(at, len(content)))
    return (
        content[:at]
        + draw(st.one_of(st.binary(max_size=4), st.just(content[at:until] * 2)))
        + content[until:]
    )


def is_harmless(remark: Remark) -> bool:
    return bool(remark.code) and (remark.why + remark.fix).isprintable() and len(remark.why) < 600


def ends_well(path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        source = opened(str(path))
    except DataError as error:
        assert str(error).isprintable()
        return
    reads = list(source.rows())
    assert len(reads) <= 3 * len(content) + 10_000
    lines = [read.line for read in reads if read.row]
    assert lines == sorted(lines)
    for read in reads:
        assert type(read) is Read
        assert read.line >= 1
        assert all(map(is_harmless, read.remarks))
        if isinstance(read.row, Unread):
            assert is_harmless(read.row.remark)
            assert len(read.row.text) <= SHOWN
        elif read.row is not None:
            assert type(read.row) is dict
            assert all(type(key) is str for key in read.row)
            json.dumps(read.row)
    assert reads == list(source.rows()) or b"NaN" in content or source.kind == "Parquet"


IN_TIME = settings(
    max_examples=100,
    deadline=timedelta(seconds=5),
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@IN_TIME
@given(name=NAMES, content=st.binary(max_size=300))
def test_any_bytes_under_any_name_end_well(tmp_path, name, content):
    ends_well(tmp_path / name, content)


@IN_TIME
@given(name=NAMES, content=st.one_of(almost_tables(), almost_json(), almost_json_lines()))
def test_tables_and_json_that_are_hardly_that_end_well(tmp_path, name, content):
    ends_well(tmp_path / name, content)


@IN_TIME
@given(name=NAMES, content=damaged())
def test_whatever_is_damaged_ends_well(tmp_path, name, content):
    ends_well(tmp_path / name, content)


@pytest.mark.parametrize("name", ["rows", "rows.parquet"])
def test_parquet_damaged_anywhere_ends_well(tmp_path, name):
    for at in range(0, len(PARQUET), 7):
        ends_well(tmp_path / name, PARQUET[:at] + b"\xff\x00\x7f" + PARQUET[at + 3 :])
