"""JSON over many lines: an array of rows, wherever it lies, and what becomes of it when it is damaged."""

import json

import pytest

from core.data.files import json_whole
from tests.data.files.test_opening import rows_of, said, source  # noqa: F401

ROWS = [{"question": f"Why {n}?", "answer": f"So {n}."} for n in range(5)]


@pytest.mark.parametrize("key", ["data", "rows", "examples", "train", "anything"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_of_rows_is_found_under_any_key(source, key, indent):  # noqa: F811
    content = json.dumps({"version": "1.1", "about": {"rows": [1, 2]}, key: ROWS, "more": [1]}, indent=indent)
    read = source(content.encode(), "rows.json")
    assert (rows_of(read), said(read)) == (ROWS, [])


def test_articles_of_a_reading_set_are_rows(source):  # noqa: F811
    articles = [{"title": "Fox", "paragraphs": [{"context": "A fox.", "qas": [{"question": "Who?"}]}]}] * 2
    assert rows_of(source(json.dumps({"version": "1", "data": articles}).encode(), "a.json")) == articles


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"chat": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"instruction": "a", "instances": [{"input": "b", "output": "c"}]},
        {"question": "a", "answer": "b"},
    ],
)
def test_a_single_object_is_one_row(source, row):  # noqa: F811
    read = source(json.dumps(row, indent=2).encode(), "row.json")
    assert (read.kind, rows_of(read), said(read)) == ("JSON", [row], [])


def test_objects_over_many_lines_one_after_the_other_are_rows(source):  # noqa: F811
    read = source("\n".join(json.dumps(row, indent=2) for row in ROWS).encode(), "rows.jsonl")
    assert (rows_of(read), said(read)) == (ROWS, [(1, "converted")])


def test_the_line_of_a_row_is_where_it_begins(source):  # noqa: F811
    read = source(json.dumps(ROWS, indent=2).encode(), "rows.json")
    assert [each.line for each in read.rows()] == [2, 6, 10, 14, 18]


def test_lists_to_hold_out_are_left_out_and_others_are_said(source):  # noqa: F811
    read = source(json.dumps({"easy": ROWS, "hard": ROWS[:1], "test": ROWS}, indent=1).encode(), "a.json")
    assert (rows_of(read), said(read)) == (ROWS + ROWS[:1], [(24, "several-lists"), (30, "several-lists")])
    assert rows_of(source(json.dumps({"test": ROWS}).encode(), "a.json")) == ROWS


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"data": rows}])
def test_a_file_cut_at_any_place_keeps_the_rows_before_the_cut(source, indent, wrap):  # noqa: F811
    content = json.dumps(wrap(ROWS), indent=indent).encode()
    begin = content.index(b"Why 0")
    for cut in range(begin, len(content) - (1 if wrap(1) == 1 else 2)):
        read = source(content[:cut], "rows.json")
        whole = content[:cut].count(b"}")
        if whole or content[:cut].endswith(b","):
            assert rows_of(read) == ROWS[:whole]
            assert [code for _, code in said(read)] == ["TRUNCATED"]


def test_a_broken_row_costs_itself_only(source):  # noqa: F811
    rows = [json.dumps(row) for row in ROWS]
    rows[2] = '{"question": "He said "no" to", "answer": "b"}'
    read = source(("[\n" + ",\n".join(rows) + "\n]").encode(), "rows.json")
    assert (len(rows_of(read)), said(read)) == (4, [(4, "NOT-JSON")])


@pytest.mark.parametrize("join", [", ", ",\n"])
def test_a_quotation_mark_too_many_costs_its_row_only(source, join):  # noqa: F811
    rows = [json.dumps(row) for row in ROWS]
    rows[2] = '{"question": "x"y", "answer": "b"}'
    read = source(f"[{join.join(rows)}]".encode(), "rows.json")
    assert rows_of(read)[:2] == ROWS[:2]
    assert rows_of(read)[-1] == ROWS[-1]
    assert len(rows_of(read)) == 4
    assert [code for _, code in said(read)] == ["NOT-JSON"]


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        ('[{"a": "b"}, {"a": "c"},]', []),
        ('[{"a": "b"} {"a": "c"}]', []),
        ('[{"a": "b"}}, {"a": "c"}]', ["NOT-JSON"]),
        ('[{"a": "b"}, 7, "text", null, [1, 2], {"a": "c"}]', ["NOT-AN-OBJECT"] * 4),
        ('[{"a": "b"}, {"x": 1, "x": 2}, {"a": "c"}]', ["REPEATED-KEY"]),
        ('[{"a": "b"}, {\'a\': 1}, {"a": "c"}]', ["PYTHON-DICT"]),
        ('[{"a": "b"}, words, {"a": "c"}]', ["NOT-JSON"]),
        ('[{"a": "b"}, {"a": NaN, "a ": 1.50}, {"a": "c"}]', ["nan"]),
        ('[{"a": "b"}, {"a": "c"}] more', ["NOT-JSON"]),
    ],
)
def test_what_is_no_row_in_a_list_is_said(source, content, codes):  # noqa: F811
    read = source(content.encode(), "rows.json")
    assert [row for row in rows_of(read) if row["a"]] == [{"a": "b"}, {"a": "c"}]
    assert [code for _, code in said(read)] == codes


def test_rows_are_found_wherever_the_window_ends(source, monkeypatch):  # noqa: F811
    rows = [
        {"messages": [{"role": "user", "content": 'a}, {"b\\"' * (n % 5)}], "n": f"\\{n}"} for n in range(40)
    ]
    for indent in (None, 1):
        content = json.dumps({"version": "x" * 50, "data": rows}, indent=indent).encode()
        for size in (1, 2, 3, 7, 64, 1000):
            monkeypatch.setattr(json_whole, "CHUNK", size)
            assert rows_of(source(content, "rows.json")) == rows


def test_brackets_that_do_not_close_end_in_time_and_one_sentence(source, monkeypatch):  # noqa: F811
    for content in (
        b"[" + b'{"a": 1, ' * 50_000,
        b"[" + b'{"a":' * 50_000,
        b"[" * 200_000,
        b"[1" + b"}" * 9999,
    ):
        read = source(content, "rows.json")
        assert rows_of(read) == []
        assert 1 <= len(said(read)) <= 3
    monkeypatch.setattr(json_whole, "PATIENCE", 10_000)
    read = source(b"[\n" + b'{"a": "x"y", "b": "z"},\n' * 1000 + b"{}]", "rows.json")
    assert 1 <= len(said(read)) < 1000
    assert "the rest of the file is not read" in list(read.rows())[-1].row.remark.why
