"""Names -> what they stand for, opened: the content says what a file is, whatever it is called."""

import datetime
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from core.data.files import opening, unpack
from core.data.files.opening import Opened, Read, Unread, expand, opened
from core.data.rows import LONGEST, Number
from core.errors import DataError

ROOT = Path(__file__).parents[3]
ROWS = [{"prompt": f"What is {n}?", "response": f"The number {n}."} for n in range(3)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
TABLE = b"prompt,response\n" + "".join(f"{row['prompt']},{row['response']}\n" for row in ROWS).encode()


@pytest.fixture
def source(tmp_path):
    """What these bytes are under that name."""

    def open_bytes(content: bytes, name: str = "rows.jsonl") -> Opened:
        path = tmp_path / name
        path.write_bytes(content)
        return opened(str(path))

    return open_bytes


def rows_of(source: Opened) -> list[dict]:
    return [read.row for read in source.rows() if isinstance(read.row, dict)]


def said(source: Opened) -> list[tuple[int, str]]:
    """Lines and codes, those of errors in capitals."""
    found = []
    for line, row, remarks in source.rows():
        found += [(line, remark.code) for remark in remarks]
        if isinstance(row, Unread):
            found.append((line, row.remark.code.upper()))
    return found


def zstandard(content: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as file:
        file.write(content)
    return sink.getvalue().to_pybytes()


def parquet(**columns) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue().to_pybytes()


# What a file is


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson", "rows.json", "rows.JSONL"])
def test_json_lines_are_read_under_the_names_they_usually_have(source, name):
    read = source(LINES, name)
    assert (read.kind, rows_of(read), said(read)) == ("JSON lines", ROWS, [])
    assert [read.line for read in read.rows()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (json.dumps(ROWS).encode(), "rows.jsonl", "JSON"),
        (json.dumps(ROWS, indent=2).encode(), "rows.jsonl", "JSON"),
        (json.dumps(ROWS, indent=2).encode(), "rows.txt", "JSON"),
        (LINES, "rows.csv", "JSON lines"),
        (LINES, "rows.txt", "JSON lines"),
        (TABLE, "rows.txt", "CSV"),
        (TABLE, "rows.jsonl", "CSV"),
        (TABLE.replace(b",", b"\t"), "rows.json", "CSV"),
        (parquet(prompt=[row["prompt"] for row in ROWS], response=[row["response"] for row in ROWS]), "rows.jsonl", "Parquet"),
        (gzip.compress(LINES, mtime=0), "rows.jsonl", "JSON lines"),
        (zstandard(LINES), "rows.jsonl", "JSON lines"),
    ],
)  # fmt: skip
def test_a_file_is_what_its_content_is_and_a_wrong_name_is_said(source, content, name, kind):
    read = source(content, name)
    assert (read.kind, rows_of(read), said(read)) == (kind, ROWS, [(1, "converted")])


@pytest.mark.parametrize("content", [LINES, TABLE, json.dumps(ROWS).encode(), gzip.compress(LINES, mtime=0)])
def test_a_name_without_a_known_suffix_is_no_hindrance(source, content):
    assert rows_of(source(content, "rows")) == rows_of(source(content, "rows.data")) == ROWS


def test_what_neither_content_nor_name_tell_is_refused_in_one_sentence(source):
    with pytest.raises(DataError, match="is called .log, .* call it .txt"):
        source(b"Started.\nStopped.\n", "run.log")


@pytest.mark.parametrize(
    "verses",
    [
        b"Roses are red, violets are blue\nSugar is sweet, and so are you\n",
        b"[Illustration]\n\nOnce upon a time\n",
        b"{a brace}\nand so on\n",
        b"Dear fox, dear hen\n\nwrite, soon\n",
    ],
)
@pytest.mark.parametrize("name", ["verses.txt", "verses.md"])
def test_prose_is_not_taken_for_a_table_or_json(source, verses, name):
    read = source(verses, name)
    assert read.kind in ("text", "Markdown")
    assert "".join(row["text"] for row in rows_of(read)).split() == verses.decode().split()


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git-lfs-pointer", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html>\n<body>404</body></html>\n", "html", "raw or download link"),
        (b"%PDF-1.7\n", "not-jsonl", "PDF"),
        (b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml" + bytes(50) + b"xl/workbook.xml", "not-jsonl", "Excel"),
        (b"PK\x03\x04" + bytes(60), "not-jsonl", "Unpack it first"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60), "not-jsonl", "xls"),
        (b"\x00\x01\x02\n" * 1000, "not-jsonl", "binary"),
        (gzip.compress(gzip.compress(LINES, mtime=0), mtime=0), "not-jsonl", "archive within an archive"),
        (gzip.compress(parquet(a=["b"]), mtime=0), "not-jsonl", "Parquet"),
        (b"a" * 257 + b"ustar" + bytes(100), "not-jsonl", "tar"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.txt", "rows"])
def test_what_holds_no_rows_gets_one_sentence_under_any_name(source, content, code, words, name):
    read = source(content, name)
    assert said(read)[-1:] == [(1, code.upper())]
    (refused,) = [each.row.remark for each in read.rows() if isinstance(each.row, Unread)]
    assert words in refused.why + refused.fix


def test_a_file_called_parquet_that_is_none_is_said(source):
    assert said(source(LINES, "rows.parquet")) == [(1, "NOT-JSONL")]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.txt", "rows.parquet", "rows"])
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_file_has_no_rows_under_any_name(source, content, name):
    if name == "rows.parquet" and content:
        return
    assert rows_of(source(content, name)) == []


# Names


def test_the_hash_is_that_of_the_file_as_it_lies_there(source):
    import hashlib

    packed = gzip.compress(LINES)
    assert source(packed, "rows.jsonl.gz").sha256 == hashlib.sha256(packed).hexdigest()


def test_rows_can_be_read_twice(source):
    read = source(LINES)
    assert rows_of(read) == rows_of(read) == ROWS


def test_a_file_that_is_gone_by_the_time_it_is_read_ends_in_one_sentence(source, tmp_path):
    read = source(LINES)
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(DataError, match=r"rows.jsonl cannot be read: No such file"):
        list(read.rows())


@pytest.mark.parametrize(
    "name", ["nowhere/rows.jsonl", "tests/rows", "./owner/name", "../owner/name", "a/b/c"]
)
def test_a_path_that_is_misspelt_is_never_looked_for_on_the_hub(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    monkeypatch.setitem(sys.modules, "core.data.files.hub", None)
    with pytest.raises(DataError, match="There is no file"):
        opened(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("owner/name?lang=fr", "`lang` is unknown"),
        ("hf:name", "write hf:owner/name"),
        ("hf:../../etc/passwd", "write hf:owner/name"),
        ("owner/name?", None),
    ],
)
def test_names_on_the_hub_are_checked_before_anything_is_asked(monkeypatch, tmp_path, name, sentence):
    monkeypatch.chdir(tmp_path)
    if sentence:
        with pytest.raises(DataError, match=sentence):
            opened(name)


def test_importing_brings_nothing_heavy():
    code = "import sys, core.data.files.opening; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"torch", "pandas", "datasets", "pyarrow"} & set(done.stdout.split())


# Folders


def test_a_text_of_parquet_that_is_too_long_costs_its_row_only(source):
    texts = ["a" * (LONGEST + 1), "short"]
    read = source(parquet(prompt=["one", "two"], response=texts), "rows.parquet")
    assert (rows_of(read), said(read)) == ([{"prompt": "two", "response": "short"}], [(1, "TOO-LONG")])


def test_millions_of_blank_lines_are_counted_and_not_said_one_by_one(source):
    read = source(b"\n" * 3_000_000 + b'{"a": "b"}\n\r\n', "rows.jsonl")
    begin = time.monotonic()
    assert rows_of(read) == [{"a": "b"}]
    assert time.monotonic() - begin < 10  # many times what it takes
    codes = said(read)
    assert len(codes) == 1001 and codes[-1] == (3_000_002, "blank-line")


def test_a_folder_stands_for_the_data_files_in_it(tmp_path):
    for name in ("b.jsonl", "a.csv", "sub/c.json.gz", ".hidden.jsonl", ".git/d.jsonl", "README.md", "run.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(LINES)
    expected = [f"{tmp_path}/{name}" for name in ("a.csv", "b.jsonl", "sub/c.json.gz")]
    assert expand([str(tmp_path), "sample:fables-en"]) == [*expected, "sample:fables-en"]


def test_files_beside_others_are_not_taken_for_examples(tmp_path):
    for name in ("sums.jsonl", "sums.about.json", "sums.test.jsonl", "sums.sources.jsonl", "README.md"):
        (tmp_path / name).write_text("{}\n")
    assert expand([str(tmp_path)]) == [str(tmp_path / "sums.jsonl")]
    named = str(tmp_path / "sums.test.jsonl")
    assert expand([named]) == [named]


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no data files"):
        expand([str(tmp_path)])


@pytest.mark.parametrize("what", ["file.jsonl", "folder.csv"])
def test_a_link_that_leads_out_of_a_folder_is_not_followed(tmp_path, what):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (outside / "folder.csv").mkdir(parents=True)
    (outside / "file.jsonl").write_bytes(LINES)
    folder.mkdir()
    (folder / "rows.jsonl").write_bytes(LINES)
    (folder / what).symlink_to(Path("..", "outside", what))
    with pytest.raises(DataError, match=f"a link, {what}, that leads out of it"):
        expand([str(folder)])


def test_links_within_a_folder_name_no_file_twice_and_make_no_circle(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(LINES)
    (tmp_path / "same.jsonl").symlink_to("rows.jsonl")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "around.csv").symlink_to("..")
    (tmp_path / "broken.jsonl").symlink_to("nothing.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert expand([str(tmp_path)]) == [f"{tmp_path}/rows.jsonl"]


def test_a_folder_of_too_many_files_ends_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MOST_ENTRIES", 3)
    for number in range(5):
        (tmp_path / f"{number}.jsonl").touch()
    with pytest.raises(DataError, match="too many files"):
        expand([str(tmp_path)])


# JSON lines


@pytest.mark.parametrize(
    ("row", "values"),
    [
        (b'{"answer": 1.50}', [Number("1.50")]),
        (b'{"answer": 1e3}', [Number("1e3")]),
        (b'{"answer": 0.87, "x": 7}', [0.87, 7]),
        (b'{"answer":0.87}', [0.87]),
        (b'{"answer": 1.5, "x": {"answer": 1.50}}', [Number("1.5"), {"answer": "1.50"}]),
        (b'{"answer": 123456789012345678901234567890}', [Number("123456789012345678901234567890")]),
        (b'{"answer": ' + b"9" * 5000 + b"}", [Number("9" * 5000)]),
        (b'{"answer": true, "x": null}', [True, None]),
    ],
)
def test_numbers_are_written_as_in_the_file(source, row, values):
    (found,) = rows_of(source(row + b"\n" + b"\n"))
    assert list(found.values()) == values
    assert [type(value) for value in found.values()] == [type(value) for value in values]
    assert str(found["answer"]).lower().encode() in row


@pytest.mark.parametrize(
    "row",
    [
        b'{"a": 1, "a": 2}',
        b'{"a" : 1, "a": 2}',
        b'{"a" :1,"b": [{"c"  : 1, "c" :"x"}]}',
        b'{"a": "\\u0022\\u0022", "b": 1, "b": 2}',
        b'{"a": "\\"", "a": "\\u0022\\u0022"}',
    ],
)
def test_repeated_keys_are_noticed_however_they_are_written(source, row):
    assert said(source(LINES + row + b"\n")) == [(4, "REPEATED-KEY")]


def test_the_text_of_a_line_that_is_no_row_is_handed_on(source):
    (unread,) = [
        read.row for read in source(LINES + b'{"prompt": \xe9}\n').rows() if isinstance(read.row, Unread)
    ]
    assert unread.text == '{"prompt": é}\n'
    (unread,) = [read.row for read in source(b"[" * 50_000 + b"\n").rows() if isinstance(read.row, Unread)]
    assert unread.text == "[" * 10_000


@pytest.mark.parametrize("levels", [300, 1000, 100_000])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_deep_nesting_is_one_sentence(source, name, levels):
    deep = b'{"a":' * levels + b"1" + b"}" * levels
    content = (
        LINES + deep + b"\n"
        if name == "rows.jsonl"
        else json.dumps(ROWS).encode()[:-1] + b",\n\n\n" + deep + b"]"
    )
    begin = time.monotonic()
    read = source(content, name)
    assert (rows_of(read), said(read)) == (ROWS, [(4, "TOO-DEEP")])
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
def test_ten_thousand_keys_are_read(source, name):
    row = {f"key {n}": f"text {n}" for n in range(10_000)}
    content = json.dumps(row) if name != "rows.csv" else ",".join(row) + "\n" + ",".join(row.values())
    assert rows_of(source(content.encode(), name)) == [row]


# Archives


@pytest.mark.parametrize("pack", [gzip.compress, zstandard])
@pytest.mark.parametrize(
    ("name", "content"),
    [("rows.jsonl", LINES), ("rows.csv", TABLE), ("rows.json", json.dumps(ROWS).encode())],
)
def test_archives_are_unpacked_joined_ones_too(source, pack, name, content):
    suffix = ".gz" if pack is gzip.compress else ".zst"
    half = len(content) // 2
    read = source(pack(content[:half]) + pack(content[half:]), name + suffix)
    assert (rows_of(read), said(read)) == (ROWS, [])


@pytest.mark.parametrize("pack", [gzip.compress, zstandard])
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "txt"])
def test_a_cut_archive_keeps_the_rows_before_the_cut_and_says_so_once(source, pack, kind):
    import random

    random.seed(1)
    texts = ["".join(random.choices("abcdefgh ", k=100)) for _ in range(5000)]
    contents = {
        "jsonl": "".join(json.dumps({"text": text}) + "\n" for text in texts),
        "json": json.dumps([{"text": text} for text in texts], indent=1),
        "csv": "n,text\n" + "".join(f"1,{text}\n" for text in texts),
        "txt": "\n\n".join(texts),
    }
    packed = pack(contents[kind].encode())
    read = source(packed[: len(packed) // 2], f"rows.{kind}.gz")
    found = " ".join(row["text"] for row in rows_of(read))
    assert contents["txt"].replace("\n\n", " ").startswith(found.replace("\n\n", " "))
    assert len(found) > 100_000
    whole = set(texts)
    assert all(text in whole for row in rows_of(read) for text in row["text"].split("\n\n"))
    errors = [(line, code) for line, code in said(read) if code.isupper()]
    assert [code for _, code in errors] == ["DAMAGED-ARCHIVE"]
    assert errors[0][0] >= max(each.line for each in read.rows())


def test_a_damaged_archive_is_said(source):
    packed = bytearray(gzip.compress(os.urandom(100_000)))
    packed[50_000:50_100] = bytes(100)
    assert said(source(bytes(packed), "rows.jsonl.gz"))[-1][1] == "DAMAGED-ARCHIVE"
    assert said(source(b"\x1f\x8b\x08\x00rest", "rows.jsonl")) == [(1, "converted"), (1, "DAMAGED-ARCHIVE")]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard])
def test_an_archive_that_unpacks_without_end_is_stopped(source, pack, monkeypatch):
    monkeypatch.setattr(unpack, "SMALL", 2**20)
    line = json.dumps({"text": "a" * 1000}).encode() + b"\n"
    read = source(pack(line * 5000), "rows.jsonl.gz")
    assert said(read)[-1][1] == "ARCHIVE-BOMB"
    assert 1000 < len(rows_of(read)) < 5000


# Encodings


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.txt"])
def test_wide_encodings_are_read_and_said(source, codec, name):
    text = {
        "rows.jsonl": '{"text": "Où ça ? Ĕ🦊"}\n',
        "rows.json": '[\n{"text": "Où ça ? Ĕ🦊"}]',
        "rows.csv": "text,n\nOù ça ? Ĕ🦊,1\n",
        "rows.txt": "Où ça ? Ĕ🦊",
    }[name]
    read = source(text.encode(codec), name)
    assert [row["text"] for row in rows_of(read)] == ["Où ça ? Ĕ🦊"]
    assert said(read)[0] == (1, "converted")


@pytest.mark.parametrize("name", ["rows.json", "rows.csv", "rows.txt"])
def test_a_byte_order_mark_is_said_and_is_no_text(source, name):
    text = {"rows.json": '[{"text": "a"}]', "rows.csv": "text,n\na,1\n", "rows.txt": "a"}[name]
    read = source(text.encode("utf-8-sig"), name)
    assert [row["text"] for row in rows_of(read)] == ["a"]
    assert said(read)[0] == (1, "byte-order-mark")


def test_separators_of_unicode_end_no_line(source):
    text = "one\u2028two\u2029three\u0085four"
    for name, content in (
        ("rows.jsonl", json.dumps({"text": text}, ensure_ascii=False)),
        ("rows.json", json.dumps([{"text": text}], ensure_ascii=False)),
        ("rows.csv", f"text,n\n{text},1\n"),
        ("rows.txt", text),
    ):
        assert [row["text"] for row in rows_of(source(content.encode(), name))] == [text]


# Parquet


def test_parquet_gives_plain_values(source):
    content = parquet(
        messages=[[{"role": "user", "content": "Hi."}], None],
        score=[0.5, None],
        when=[datetime.date(2024, 1, 2), None],
        raw=[b"text", b"\xff\xfe"],
        kind=pyarrow.array(["a", "b"]).dictionary_encode(),
    )
    read = source(content, "rows.parquet")
    assert read.kind == "Parquet"
    assert [tuple(each)[:2] for each in read.rows()] == [
        (1, {"messages": [{"role": "user", "content": "Hi."}], "score": 0.5, "when": "2024-01-02", "raw": "text", "kind": "a"}),
        (2, {"messages": None, "score": None, "when": None, "raw": None, "kind": "b"}),
    ]  # fmt: skip


def test_a_damaged_parquet_file_is_one_sentence(source):
    content = parquet(text=[f"text {n}" for n in range(1000)])
    assert said(source(content[: len(content) // 2], "rows.parquet")) == [(1, "DAMAGED-FILE")]


def test_parquet_that_has_a_column_twice_is_one_sentence(source, tmp_path):
    table = pyarrow.table([["a"], ["b"]], names=["text", "text"])
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    assert said(opened(str(tmp_path / "rows.parquet"))) == [(1, "REPEATED-COLUMN")]


# Text


def test_text_is_cut_at_blank_lines_and_the_pieces_are_counted(source):
    paragraphs = [f"Paragraph {n}. " + "word " * 150 for n in range(10)]
    read = source("\r\n\r\n".join(paragraphs).encode(), "book.txt")
    texts = [row["text"] for row in rows_of(read)]
    assert "\n\n".join(texts) == "\n\n".join(paragraphs)
    assert all(len(text) <= 2000 for text in texts)
    assert [each.line for each in read.rows() if each.row] == [1, 5, 9, 13, 17]
    assert list(read.rows())[-1].remarks[0].why.startswith("The text was cut at blank lines into 5 rows")


def test_a_paragraph_longer_than_a_row_is_cut_after_sentences_on_the_right_lines(source):
    lines = [f"This is sentence {n} of them." for n in range(300)]
    read = source("\n".join(lines).encode(), "book.md")
    pieces = [each for each in read.rows() if each.row]
    assert " ".join(each.row["text"] for each in pieces).split() == " ".join(lines).split()
    assert all(len(each.row["text"]) <= 2000 and each.row["text"].endswith(".") for each in pieces)
    for each in pieces:
        assert lines[each.line - 1].startswith(each.row["text"].partition("\n")[0])


def test_a_western_book_is_converted_and_that_is_said_once(source):
    read = source("Où es-tu ?\n\nLà, à côté.\n\nÇa va.\n".encode("cp1252"), "livre.txt")
    assert [row["text"] for row in rows_of(read)] == ["Où es-tu ?\n\nLà, à côté.\n\nÇa va."]
    assert said(read) == [(1, "converted"), (1, "cut-into-rows")]


# Size

MEASURED = """
import resource, sys
from core.data.files.opening import Unread, opened
source = opened(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reads = [(type(read.row).__name__, read.line) for read in source.rows() if read.row]
print(reads, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("rows.jsonl", b'{"a": "b"}\n{"a": "', b'"}\n{"a": "c"}\n'),
        ("rows.json", b'[{"a": "b"},\n{"a": "', b'"},\n{"a": "c"}]'),
        ("rows.csv", b"a,b\n" + b'b,c\n"', b'",d\ne,f\n'),
    ],
)
def test_a_row_of_200_megabytes_is_skipped_without_being_held(tmp_path, name, before, after):
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(before)
        for _ in range(200):
            file.write(b"x" * 2**20)
        file.write(after)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    reads, megabytes = done.stdout.rsplit(" ", 1)
    assert [kind for kind, _ in json.loads(reads.replace("(", "[").replace(")", "]").replace("'", '"'))] == [
        "dict",
        "Unread",
        "dict",
    ]
    assert int(megabytes) < 6 * LONGEST // 2**20


def test_reading_holds_one_row_at_a_time(source):
    reads = source(LINES).rows()
    assert next(reads) == Read(1, ROWS[0])
