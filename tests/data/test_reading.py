"""Files -> report: every line is kept, or said not to be, with its number, why, and what to do."""

import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from core.data import NoExamplesError, read
from core.data.examples import DataReport, Message
from core.errors import DataError, SpecError, UserError

ROOT = Path(__file__).parents[2]
GOOD = {"prompt": "Who are you?", "response": "A fox."}


def line(**row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def numbered(count: int) -> bytes:
    return b"".join(line(prompt=f"What is {n}?", response=f"The number {n}.") for n in range(count))


@pytest.fixture
def report_on(tmp_path):
    """What is read from these bytes, also where nothing can be used. Every report must add up."""

    def read_bytes(content: bytes, name: str = "rows.jsonl") -> DataReport:
        path = tmp_path / name
        path.write_bytes(content)
        try:
            report = read([path])
        except NoExamplesError as error:
            report = error.report
        assert report.rejected == len(report.errors)
        assert report.rows == report.kept + report.rejected
        return report

    return read_bytes


def said(report: DataReport) -> list[tuple[int, str, str]]:
    return [(problem.source.line, problem.severity, problem.code) for problem in report.problems]


def only(report: DataReport):
    (problem,) = report.problems
    return problem


# Files


def test_a_good_file_gives_its_rows_in_order_and_nothing_to_say(report_on):
    report = report_on(numbered(3))
    assert [example.messages[0].content for example in report.examples] == [
        "What is 0?",
        "What is 1?",
        "What is 2?",
    ]
    assert [example.source.line for example in report.examples] == [1, 2, 3]
    assert (report.rows, report.kept, report.problems, report.shapes) == (3, 3, (), {"prompt/response": 3})


def test_several_files_are_read_in_order_under_the_names_the_user_gave(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.jsonl").write_bytes(numbered(2))
    (tmp_path / "a.jsonl").write_bytes(line(question="Why?", answer="So."))
    report = read(["b.jsonl", "./a.jsonl"])
    assert report.files == ("b.jsonl", "./a.jsonl")
    assert [str(example.source) for example in report.examples] == ["b.jsonl:1", "b.jsonl:2", "./a.jsonl:1"]
    assert report.shapes == {"prompt/response": 2, "question/answer": 1}
    assert report.sha256["b.jsonl"] == hashlib.sha256(numbered(2)).hexdigest()


def test_built_in_sets_are_read_by_their_names(tmp_path, monkeypatch):
    monkeypatch.setattr("core.presets.SAMPLES", tmp_path)
    (tmp_path / "foxes.jsonl").write_bytes(line(**GOOD))
    assert str(read(["sample:foxes"]).examples[0].source) == "sample:foxes:1"
    with pytest.raises(SpecError, match="sample:foxes"):
        read(["sample:wolves"])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere.jsonl", "There is no file .*nowhere.jsonl"),
        ("a\x1b[31m.jsonl", r"There is no file .*a\\x1b\[31m.jsonl"),
        ("folder/empty", "holds no data files"),
        ("folder/rows.jsonl/more.jsonl", "There is no file"),
        ("pipe.jsonl", "is a pipe or device"),
        ("rows.csv", "The keys `a` and `b` are no known shape.*data.columns.question"),
        ("rows.parquet", "is called Parquet, but is none"),
        ("rows", "has no suffix, and what it holds is no kind of data known here"),
        ("nul\0.jsonl", r"nul\\x00.jsonl cannot be read"),
        ("x" * 300 + ".jsonl", "cannot be read: File name too long"),
    ],
)
def test_what_cannot_be_opened_ends_in_one_sentence(tmp_path, name, sentence):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "rows.jsonl").write_bytes(numbered(1))
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder" / "empty").mkdir()
    for each in ("rows.csv", "rows.parquet", "rows"):
        (tmp_path / each).write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match=sentence) as caught:
        read([f"{tmp_path}/{name}"])
    assert "\n" not in str(caught.value)


def test_a_file_without_permission_ends_in_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "secret.jsonl"
    path.write_bytes(numbered(1))

    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)  # tests may run as root, whom chmod does not stop
    with pytest.raises(DataError, match="secret.jsonl cannot be read: Permission denied"):
        read([path])


def test_no_file_at_all_is_refused():
    with pytest.raises(DataError, match="no data file"):
        read([])


def test_when_nothing_can_be_used_the_error_says_how_much_and_why_and_carries_the_report(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"prompt": "a"}\n{"prompt": "b"}\n["c"]\n')
    with pytest.raises(
        NoExamplesError, match=r"none of 3 rows; most often \(2 times, first on line 1\)"
    ) as caught:
        read([path])
    assert isinstance(caught.value, UserError)
    assert [problem.source.line for problem in caught.value.report.errors] == [1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b" \r\n\t\n"])
def test_a_file_with_no_rows_is_said_to_have_none(tmp_path, content):
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(NoExamplesError, match="there are no rows") as caught:
        read([path])
    assert "no-rows" in [problem.code for problem in caught.value.report.problems]


def test_an_empty_file_beside_a_full_one_is_a_warning(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "full.jsonl").write_bytes(numbered(1))
    report = read([tmp_path / "empty.jsonl", tmp_path / "full.jsonl"])
    assert (report.kept, said(report)) == (1, [(1, "warning", "no-rows")])


# Lines


def test_lines_end_at_line_feeds_only(report_on):
    response = "one\u2028two\u2029three\u0085four"
    report = report_on(line(prompt="Count.", response=response) + line(**GOOD))
    assert report.examples[0].messages[1].content == response
    assert (report.rows, report.problems) == (2, ())


def test_carriage_returns_belong_to_the_line_end(report_on):
    report = report_on(numbered(2).replace(b"\n", b"\r\n"))
    assert report.problems == ()
    assert report.examples[0].messages[1].content == "The number 0."


def test_the_last_line_needs_no_line_feed(report_on):
    assert said(report_on(numbered(2).rstrip(b"\n"))) == []


def test_blank_lines_are_no_rows_but_are_counted_as_lines(report_on):
    report = report_on(line(**GOOD) + b"\n  \r\n" + line(prompt="a", response="b") + b"{}\n")
    assert report.rows == 3
    assert said(report) == [
        (2, "warning", "blank-line"),
        (3, "warning", "blank-line"),
        (5, "error", "unknown-shape"),
    ]


def test_texts_are_kept_as_written(report_on):
    report = report_on(line(prompt="  spaces \n", response="\ttabs\t\r\n"))
    assert report.examples[0].messages == (
        Message("user", "  spaces \n"),
        Message("assistant", "\ttabs\t\r\n"),
    )


# Encodings


def test_a_byte_order_mark_is_said_once_and_is_no_text(report_on):
    report = report_on(b"\xef\xbb\xbf" + numbered(2))
    assert (report.kept, said(report)) == (2, [(1, "warning", "byte-order-mark")])


def test_byte_order_marks_in_the_middle_of_joined_files_are_skipped_too(report_on):
    report = report_on(b"\xef\xbb\xbf" + line(**GOOD) + b"\xef\xbb\xbf" + line(prompt="a", response="b"))
    assert (report.kept, [number for number, *_ in said(report)]) == (2, [1, 2])


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_and_32_are_read_and_said(report_on, codec):
    text = (
        '{"prompt": "Où ?", \r"response": "Là-bas.\u2028Ĕ 🦊"}\n{"prompt": "Quand ?", "response": "Demain."}'
    )
    report = report_on(text.encode(codec))
    assert report.examples[0].messages[1].content == "Là-bas.\u2028Ĕ 🦊"
    assert (report.kept, said(report)) == (2, [(1, "warning", "converted")])
    assert codec[:6].upper() in only(report).why


def test_utf_16_that_breaks_off_loses_its_last_line_only(report_on):
    report = report_on((numbered(2).decode() + '{"prompt": "x').encode("utf-16")[:-1])
    assert (report.kept, said(report)[1:]) == (2, [(3, "error", "not-utf-8")])


@pytest.mark.parametrize("codec", ["latin-1", "cp1252"])
def test_western_one_byte_encodings_are_converted_and_shown(report_on, codec):
    accents = line(prompt="Où es-tu, garçon ?", response="À l'orée de la forêt.").decode()
    report = report_on(numbered(1) + accents.encode(codec))
    assert report.examples[1].messages[1].content == "À l'orée de la forêt."
    assert said(report) == [(2, "warning", "converted")]
    assert "Où es-tu" in only(report).why


@pytest.mark.parametrize(
    "row",
    [
        '{"prompt": "Привет, как дела?", "response": "Хорошо"}'.encode("cp1251"),
        '{"prompt": "你好吗", "response": "很好谢谢"}'.encode("gbk"),
        '{"prompt": "こんにちは", "response": "はい"}'.encode("shift-jis"),
        '{"prompt": "Où ?", "response": "Là"}'.encode() + b'{"x": "\xe9t\xe9"}',
        b'{"prompt": "a", "response": "\x81"}',
    ],
)
def test_bytes_in_no_known_encoding_are_not_guessed(report_on, row):
    report = report_on(numbered(2) + row + b"\n")
    assert (report.kept, said(report)) == (2, [(3, "error", "not-utf-8")])


# What is no data


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "git-lfs-pointer",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html>\n<html>\n<body>404</body></html>\n", "html", "raw or download link"),
        (b"\n <html><head>\n", "html", "raw or download link"),
        (b"\x00\x01\x02\n" * 1000, "not-jsonl", "binary"),
    ],
)
def test_a_file_of_another_kind_gets_one_sentence(report_on, content, code, words):
    report = report_on(content)
    assert (report.rows, said(report)) == (1, [(1, "error", code)])
    assert words in only(report).why + only(report).fix


@pytest.mark.parametrize(
    "first",
    [
        b"[INFO] downloaded 3 rows,\n",
        b"questions, answers\n",
        b'{"prompt": "a",\n',
        b'{"prompt": "a", "response": "b"},\n',
        b"[" * 60_000 + b"\n",
        b'{"x": "' + b"[," * 40_000 + b'"}\n',
    ],
)
def test_one_strange_first_line_does_not_condemn_the_file(report_on, first):
    report = report_on(first + numbered(3))
    assert (report.rows, report.kept) == (4, 3)
    assert said(report)[0][:2] == (1, "error")


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        ('{"prompt": "a", "response": "b",}', "trailing-comma", "column 32"),
        ('{"prompt": "a", "response": ["b", ]}', "trailing-comma", "Delete the comma"),
        ('{"prompt": "a", "response": "b"},', "trailing-comma", "Delete the comma"),
        ("{'prompt': 'a', 'response': 'b'}", "python-dict", "json.dumps"),
        ('{"prompt": "a", "response": None}', "python-dict", "json.dumps"),
        ('{"prompt": "a", "response": "b"} {"prompt": "c"}', "not-json", "more than one"),
        ('{"prompt": "a", "response": "He said "no"."}', "not-json", r"\""),
        ('{"prompt": “a”, "response": "b"}', "not-json", "straight ones"),
        (r'{"prompt": "a", "response": "\alpha"}', "not-json", r"\\"),
        ('{"prompt": "a", "response": "b"', "not-json", "ends before"),
        ('{"prompt": "a", "response": "b', "not-json", "ends before"),
        ("just words", "not-json", "column 1"),
        ('["a", "b"]', "not-an-object", "array of 2"),
        ('[{"role": "user", "content": "a"}]', "json-array", '{"messages": [...]}'),
        ('"text"', "not-an-object", "a text"),
        ("42", "not-an-object", "a number"),
        ("null", "not-an-object", "null"),
        ("true", "not-an-object", "true or false"),
        ('{"prompt": "a", "prompt": "b", "response": "c"}', "repeated-key", "`prompt`"),
        ('{"messages": [{"role": "user", "role": "user", "content": "a"}]}', "repeated-key", "`role`"),
        ("[" * 100_000, "too-deep", "nested"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "too-deep", "nested"),
        (r'{"prompt": "a", "response": "cut \ud83d"}', "lone-surrogate", r"\ud83d"),
        (r'{"prompt": "\ude00 cut", "response": "a"}', "lone-surrogate", r"\ude00"),
    ],
)
def test_a_line_that_is_no_row_is_an_error_in_its_place(report_on, row, code, words):
    report = report_on(numbered(2) + row.encode() + b"\n" + line(**GOOD))
    assert (report.rows, report.kept, said(report)) == (4, 3, [(3, "error", code)])
    assert words in only(report).why + " " + only(report).fix


@pytest.mark.parametrize("cut", [1, 5, 20, 40])
def test_a_cut_off_last_line_is_said_to_be_cut_off(report_on, cut):
    report = report_on(
        (numbered(3) + line(prompt="Était-il là ?", response="Là-bas, à côté, où ça."))[: -1 - cut]
    )
    assert (report.kept, said(report)) == (3, [(4, "error", "truncated")])


def test_a_file_cut_within_a_character_is_said_to_be_cut_off(report_on):
    whole = numbered(1) + '{"prompt": "a", "response": "é'.encode()
    assert said(report_on(whole[:-1])) == [(2, "error", "truncated")]


def test_nan_counts_as_null_and_is_said(report_on):
    rows = b'{"prompt": "a", "response": "b", "score": NaN}\n{"prompt": "c", "response": -Infinity}\n'
    report = report_on(rows)
    assert report.kept == 1
    assert said(report) == [
        (1, "warning", "nan"),
        (1, "warning", "unused-key"),
        (2, "warning", "nan"),
        (2, "error", "null-field"),
    ]


def test_raw_control_characters_are_kept_and_said(report_on):
    report = report_on(b'{"prompt": "a\tb", "response": "c"}\n{"prompt": "d", "response": "\\u0000\\f"}\n')
    assert [message.content for example in report.examples for message in example.messages] == [
        "a\tb",
        "c",
        "d",
        "\0\f",
    ]
    assert said(report) == [(1, "warning", "raw-control"), (2, "warning", "control-character")]


def test_numbers_of_any_size_are_no_trouble_where_they_are_not_used(report_on):
    report = report_on(b'{"prompt": "a", "response": "b", "id": ' + b"9" * 5000 + b', "x": 1e999}\n')
    assert report.kept == 1


# Contents


def test_a_file_that_answers_in_numbers_means_them(report_on):
    report = report_on(
        b'{"input": "1 + 1", "target": 2}\n'
        b'{"input": "3 / 2", "target": 1.50}\n'
        b'{"input": "x / 0", "target": "none"}\n'
    )
    assert [example.messages[1].content for example in report.examples] == ["2", "1.50", "none"]
    assert said(report) == [(1, "warning", "number-as-text"), (2, "warning", "number-as-text")]
    assert type(report.examples[0].messages[1].content) is str


def test_a_single_number_among_texts_is_a_slip(report_on):
    report = report_on(numbered(3) + b'{"prompt": "a", "response": 7}\n' + line(**GOOD))
    assert (report.kept, said(report)) == (4, [(4, "error", "wrong-type")])
    assert only(report).fix == 'Write it in quotation marks if it is meant: "7".'


def test_true_and_false_are_written_as_in_the_file(report_on):
    report = report_on(b'{"question": "Is it?", "answer": true}\n{"question": "Was it?", "answer": false}\n')
    assert [example.messages[1].content for example in report.examples] == ["true", "false"]


def test_rows_with_numbers_stay_in_their_place(report_on):
    rows = b'{"input": "a", "output": 1}\n{"input": "b", "output": "text"}\n{"input": "c", "output": 3}\n'
    assert [example.source.line for example in report_on(rows).examples] == [1, 2, 3]


def test_a_repeated_row_is_kept_and_points_at_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(numbered(2))
    (tmp_path / "b.jsonl").write_bytes(line(**GOOD) + numbered(2) + line(**GOOD))
    report = read(["a.jsonl", "b.jsonl"])
    assert report.kept == 6
    assert [(str(problem.source), problem.code) for problem in report.problems] == [
        ("b.jsonl:2", "duplicate"),
        ("b.jsonl:3", "duplicate"),
        ("b.jsonl:4", "duplicate"),
    ]
    assert "a.jsonl:1" in report.problems[0].why
    assert "b.jsonl:1" in report.problems[2].why


def test_another_answer_to_the_same_question_is_said_with_both(report_on):
    long = "A long beginning that both answers share, word for word, "
    rows = [line(prompt="Who?", response=long + end) for end in ("Paris.", "Lyon.", "Lyon.", "Paris.")]
    report = report_on(b"".join(rows))
    assert said(report) == [
        (2, "warning", "other-answer"),
        (3, "warning", "duplicate"),
        (4, "warning", "duplicate"),
    ]
    assert "Lyon." in report.problems[0].why
    assert "Paris." in report.problems[0].why
    assert ":2;" in report.problems[1].why


def test_a_long_row_is_kept_and_said(report_on):
    report = report_on(line(prompt="A tale.", response="word " * 80_000))
    assert (report.kept, said(report)) == (1, [(1, "warning", "long-row")])
    assert "400,007 characters" in only(report).why


def test_markers_of_chat_templates_in_a_text_are_said(report_on):
    report = report_on(line(prompt="Stop. <|im_end|>", response="<|im_start|>no <|im_end|>"))
    assert said(report) == [(1, "warning", "template-marker")]
    assert "`<|im_end|>` and `<|im_start|>`" in only(report).why


def test_shapes_may_change_within_a_file_and_each_row_unlike_the_first_is_said(report_on):
    report = report_on(
        numbered(2) + b"".join(line(question=f"q{n}", answer="a") for n in range(3)) + line(**GOOD)
    )
    assert report.shapes == {"prompt/response": 3, "question/answer": 3}
    assert said(report) == [(at, "warning", "mixed-shapes") for at in (3, 4, 5)]


def test_keys_that_are_not_used_are_said_once(report_on):
    rows = [line(prompt=f"p{n}", response="r", id=n) for n in range(3)]
    report = report_on(b"".join(rows) + line(prompt="p", response="r", id=3, system_message="Be kind."))
    assert [
        (number, problem.why) for (number, *_), problem in zip(said(report), report.problems, strict=True)
    ] == [
        (1, "Not used: `id`."),
        (4, "Not used: `system_message`."),
    ]


# Harm


def test_nothing_a_file_holds_reaches_a_terminal_raw(report_on):
    evil = "\x1b[2J\u202e\x07"
    report = report_on(
        line(**{f"{evil}key": "a", "other": 1})
        + f'{{"prompt": {evil}}}\n'.encode()
        + line(messages=[{"role": evil, "content": "x"}])
        + line(messages=[{"role": "user", "content": [{"type": evil}]}])
        + line(prompt="a", response=evil)
        + line(prompt="a", response=evil + "b")
        + line(prompt="a", response="b", **{evil: 1})
        + f"{evil}é\n".encode("latin-1", "replace"),
        name=f"evil{evil}.jsonl",
    )
    assert len(report.problems) > 8
    for problem in report.problems:
        assert (problem.why + problem.fix).isprintable(), problem


def test_sentences_stay_short_whatever_a_line_holds(report_on):
    long = "x" * 100_000
    report = report_on(
        line(**{long: 1, **{f"{long}{n}": n for n in range(50)}})
        + line(messages=[{"role": long, "content": "a"}])
        + b'{"prompt": '
        + long.encode()
        + b"}\n"
        + b'{"prompt": "a", "response": '
        + b"9" * 100_000
        + b"}\n"
    )
    assert report.rows == 4
    assert all(len(problem.why) < 600 and len(problem.fix) < 200 for problem in report.problems)


def test_a_long_line_takes_a_few_times_its_size(report_on):
    content = line(prompt="A tale.", response="word " * 4_000_000)
    tracemalloc.start()
    report_on(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3.5 * len(content)


def test_importing_the_package_brings_nothing_heavy():
    code = "import sys, core.data; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = done.stdout.split()
    assert not {"torch", "pandas", "pyarrow", "transformers", "datasets", "pydantic", "yaml", "gradio"} & set(
        loaded
    )
