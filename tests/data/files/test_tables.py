"""CSV and its relatives: every record is a row on its line, or said to be none and why."""

import pytest

from tests.data.files.test_opening import rows_of, said, source  # noqa: F401


@pytest.mark.parametrize(
    "content",
    [
        b"question,answer\nWhy?,So.\nWho?,A fox.\n",
        b"question;answer\r\nWhy?;So.\r\nWho?;A fox.\r\n",
        b"question\tanswer\nWhy?\tSo.\nWho?\tA fox.",
        b"question|answer\nWhy?|So.\nWho?|A fox.\n",
        b'"question","answer"\n"Why?","So."\n"Who?","A fox."\n',
        b'"question", "answer"\n"Why?", "So."\n"Who?", "A fox."\n',
        b"sep=;\nquestion;answer\nWhy?;So.\nWho?;A fox.\n",
        b" question , answer \nWhy?,So.\nWho?,A fox.\n",
    ],
)
def test_tables_are_read_whatever_separates_their_columns(source, content):  # noqa: F811
    rows = [{"question": "Why?", "answer": "So."}, {"question": "Who?", "answer": "A fox."}]
    assert (rows_of(source(content, "rows.csv")), said(source(content, "rows.csv"))) == (rows, [])
    assert rows_of(source(content, "rows.tsv")) == rows


def test_a_table_as_excel_writes_it_in_french_is_read(source):  # noqa: F811
    text = "instruction;entrée;réponse\r\nOù, dis-moi ?;;Là, à côté.\r\nÇa va ?;;Oui ; très bien\r\n"
    read = source(text.replace("Oui ; très bien", '"Oui ; très bien"').encode("cp1252"), "rows.csv")
    assert rows_of(read) == [
        {"instruction": "Où, dis-moi ?", "entrée": "", "réponse": "Là, à côté."},
        {"instruction": "Ça va ?", "entrée": "", "réponse": "Oui ; très bien"},
    ]
    assert said(read) == [(1, "converted")]


def test_a_record_may_go_over_lines_and_stands_on_its_first(source):  # noqa: F811
    read = source(b'q,a\n"one\n\ntwo, ""three""",x\n\ny,"z\n"\nlast,one', "rows.csv")
    assert [(each.line, each.row) for each in read.rows()] == [
        (2, {"q": 'one\n\ntwo, "three"', "a": "x"}),
        (5, None),
        (6, {"q": "y", "a": "z\n"}),
        (8, {"q": "last", "a": "one"}),
    ]
    assert said(read) == [(5, "blank-line")]


def test_ragged_rows_are_said_on_their_lines(source):  # noqa: F811
    read = source(b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n1,2,3,,\nalone\n1,2,3\n", "rows.csv")
    assert rows_of(read)[1] == {"a": "1", "b": "2", "c": None}
    assert len(rows_of(read)) == 4
    assert said(read) == [(3, "ragged-row"), (4, "RAGGED-ROW"), (6, "RAGGED-ROW")]


def test_a_quotation_mark_that_does_not_close_costs_its_row_only(source):  # noqa: F811
    rows = b"".join(b"question %d,answer %d\n" % (n, n) for n in range(20))
    read = source(b'q,a\n"open,answer\n' + rows, "rows.csv")
    assert (len(rows_of(read)), said(read)) == (20, [(2, "QUOTATION-MARK")])


def test_sloppy_quotation_marks_are_an_error_and_not_a_guess(source):  # noqa: F811
    read = source(b'q,a\nfine,row\n"He said "no" to",x\nx,"y" z\nmore,rows\n', "rows.csv")
    assert [row["q"] for row in rows_of(read)] == ["fine", "more"]
    assert said(read) == [(3, "QUOTATION-MARK"), (4, "QUOTATION-MARK")]


def test_a_table_cut_within_a_field_keeps_the_rows_before(source):  # noqa: F811
    read = source(b'q,a\nfine,row\nx,"a long answer\nof many lines\nand then', "rows.csv")
    assert (len(rows_of(read)), said(read)) == (1, [(3, "QUOTATION-MARK")])


def test_a_field_of_any_length_is_read(source):  # noqa: F811
    assert len(rows_of(source(b"q,a\n" + b"x" * 500_000 + b",y\n", "rows.csv"))[0]["q"]) == 500_000


def test_a_line_in_no_known_encoding_is_an_error_in_its_place(source):  # noqa: F811
    read = source(b"q,a\nx,y\n" + "Привет, как дела?,Хорошо\n".encode("cp1251") + b"x,y\n", "rows.csv")
    assert (len(rows_of(read)), said(read)) == (2, [(3, "NOT-UTF-8")])


def test_columns_without_names_and_with_the_same_get_names_of_their_own(source):  # noqa: F811
    read = source(b",text,text\n0,a,b\n", "rows.csv")
    assert rows_of(read) == [{"column 1": "0", "text": "a", "text (column 3)": "b"}]
    assert said(read) == [(1, "repeated-column")]


def test_a_table_without_a_header_is_said_to_have_a_strange_one(source):  # noqa: F811
    assert said(source(b"Why is it so?,Because.\nWho?,A fox.\n", "rows.csv")) == [(1, "no-header")]


def test_many_stray_quotation_marks_end_in_time(source):  # noqa: F811
    read = source(b"q,a\n" + b'x,"y\n' * 20_000, "rows.csv")
    assert len(said(read)) >= 20_000
