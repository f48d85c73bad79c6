"""Documents that were made to do harm: bounded in time, and harmless in what comes out."""

import time

import pytest

from core.data.generate import generate
from core.data.generate.reading import documents
from core.errors import DataError
from tests.data.generate.making import ENGLISH, rows, write

SECONDS = 20.0  # many times what any of these takes


@pytest.mark.parametrize(
    "text",
    [
        "- " * 20_000 + "deep",
        "".join("  " * depth + "- item\n" for depth in range(1500)),
        ">" * 50_000 + " quoted",
        "[" * 50_000,
        "*a_ " * 20_000,
        "".join("`" * each + "x" for each in range(1, 300)),
        "<table>" * 5000 + "<tr>" * 5000 + "<td>x",
        "<table>\n"
        + "<tr>"
        + "<td rowspan=99999 colspan=99999>x</td>" * 200
        + "</tr>\n" * 500
        + "</table>\n",
        "|a" * 3000 + "\n" + "|-" * 3000 + "\n" + ("|b" * 3000 + "\n") * 30,
        "# " + "h" * 1_000_000,
        "<!--" * 20_000,
        "<" * 30_000 + "a" + " " * 30_000,
        "[a]: /b\n" * 5000 + "[a]" * 5000,
        "---\n" + "a: &x [*x]\n" * 300,
        "http://" * 20_000,
    ],
    ids=lambda text: text[:12].strip(),
)
def test_markup_without_end_is_read_within_seconds(tmp_path, text):
    name = write(
        tmp_path, "bad.md", ENGLISH + "\n" + text + "\n\n# After\n\nStill here, and read as before it was.\n"
    )
    begun = time.monotonic()
    done = generate([name], "rule-based", 50, tmp_path / "out.jsonl")
    assert time.monotonic() - begun < SECONDS
    assert done.made == 50


def test_a_line_of_many_megabytes_is_left_out_and_the_rest_read(tmp_path):
    name = write(tmp_path, "line.md", ENGLISH + "\n" + "word " * 1_500_000 + "\n")
    begun = time.monotonic()
    (document,) = documents([name])
    assert time.monotonic() - begun < SECONDS
    assert len(document.records) == 6
    assert any("longer than" in reason for reason in document.left_out)


def test_of_a_text_larger_than_the_bound_the_beginning_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("core.data.generate.reading.MOST_BYTES", 3000)
    (document,) = documents([write(tmp_path, "large.md", ENGLISH + "- [Late](x) - Too late.\n" * 1000)])
    assert 6 <= len(document.records) < 100
    assert any(reason.startswith("text after the first") for reason in document.left_out)


def test_a_table_of_many_rows_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("core.data.generate.reading.MOST_ROWS", 100)
    text = "name,colour\n" + "".join(f"Bird {n},c{n % 9}\n" for n in range(500))
    (document,) = documents([write(tmp_path, "birds.csv", text)])
    assert len(document.records) == 100
    assert any(reason.startswith("rows after the first") for reason in document.left_out)


def test_control_characters_and_turned_writing_never_come_out(tmp_path):
    text = (
        "# Doors\n\n- [Gate\x1b[31m](http://x) - Opens\x07 to the \u202egarden\u202c.\x00 `MIT` `Wood\x08`\n"
    )
    text += "- [Hatch](http://x) - Leads to the <script>alert(1)</script>cellar. `MIT` `Iron`\n"
    generate([write(tmp_path, "doors.md", text)], "rule-based", 100, tmp_path / "out.jsonl")
    together = "".join(question + answer for question, answer in rows(tmp_path / "out.jsonl"))
    assert not {"\x1b", "\x07", "\x00", "\x08", "\u202e", "\u202c"} & set(together)
    assert "<script" not in together


def test_braces_and_format_marks_in_a_document_are_only_text(tmp_path):
    text = "name,use\n{X} {0.real},Braces %s\n{le_doc},More {braces}\nPlain,Nothing {at} all\n"
    generate([write(tmp_path, "braces.csv", text)], "rule-based", 50, tmp_path / "out.jsonl")
    assert any("{X} {0.real}" in question for question, _ in rows(tmp_path / "out.jsonl"))


def test_binary_files_are_refused_in_a_sentence(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 50)
    with pytest.raises(DataError):
        generate([str(path)], "rule-based", 5, tmp_path / "out.jsonl")
