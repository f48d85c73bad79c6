"""Reports as words and as plain values."""

import json

from core.data import read
from core.data.examples import DataReport, Example, Message, Problem, Source
from core.data.remarks import excerpt, quoted, visible
from core.data.report import as_dict, summary


def report(errors: int, warnings: int = 0, file: str = "rows.jsonl") -> DataReport:
    example = Example((Message("user", "Q"), Message("assistant", "A")), Source(file, 1))
    problems = [
        Problem(Source(file, 2 + line), severity, code, f"Reason {line}.", f"Remedy {line}.")
        for severity, code, count in (("warning", "odd", warnings), ("error", "bad", errors))
        for line in range(count)
    ]
    return DataReport(
        files=(file,),
        rows=1 + errors,
        rejected=errors,
        examples=(example,),
        problems=tuple(problems),
        counts={("error", "bad"): errors, ("warning", "odd"): warnings},
        shapes={"alpaca": 1},
        kinds={file: "JSON lines"},
        sha256={file: "00"},
    )


def test_a_summary_counts_and_names_the_shapes():
    assert summary(as_dict(report(0))) == "rows.jsonl: 1 row, 0 warnings.\nWritten as alpaca (1)."
    assert summary(as_dict(report(1200, 1))).startswith(
        "rows.jsonl: 1,201 rows, 1 used and 1,200 not, 1 warning."
    )


def test_a_summary_shows_errors_first_and_each_with_place_reason_and_remedy():
    text = summary(as_dict(report(1, 1)))
    assert "rows.jsonl:2: error: Reason 0. [bad]\n    Remedy 0." in text
    assert text.index("error") < text.index(": warning:")


def test_a_summary_shows_a_few_of_each_kind_and_counts_the_others():
    text = summary(as_dict(report(313, 4)))
    assert text.count("[bad]") == text.count("[odd]") == 3
    assert "… and 310 more lines like this" in text
    assert "… and 1 more line like this" in text
    assert text.endswith("and 311 more: use --json / --all")


def test_a_summary_of_everything_leaves_nothing_out():
    text = summary(as_dict(report(313, 4)), each=None)
    assert (text.count("[bad]"), text.count("[odd]"), "more" in text) == (313, 4, False)


def test_plain_values_hold_everything_and_can_be_written_as_json():
    values = json.loads(json.dumps(as_dict(report(1))))
    assert values == {
        "files": ["rows.jsonl"],
        "rows": 2,
        "kept": 1,
        "rejected": 1,
        "dropped": {},
        "shapes": {"alpaca": 1},
        "kinds": {"rows.jsonl": "JSON lines"},
        "columns": {},
        "sample": [],
        "guessed": {},
        "droppable": [],
        "languages": {},
        "problems": [
            {
                "file": "rows.jsonl",
                "line": 2,
                "part": 1,
                "severity": "error",
                "code": "bad",
                "why": "Reason 0.",
                "fix": "Remedy 0.",
            }
        ],
        "counts": {"error": {"bad": 1}, "warning": {"odd": 0}},
        "sha256": {"rows.jsonl": "00"},
    }


def test_names_of_files_are_shown_without_their_power():
    name = "a\x1b[31m\udcff.jsonl"
    for text in (
        summary(as_dict(report(1, file=name))),
        json.dumps(as_dict(report(1, file=name)), ensure_ascii=False),
    ):
        assert "a\\x1b[31m\\udcff.jsonl" in text.replace("\\\\", "\\")
        text.encode()
        assert text.replace("\n", "").isprintable()


def test_a_report_of_a_real_file_goes_through_both(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n{"prompt": "a", }\n')
    real = read([path])
    assert "rows.jsonl:2: error: There is a comma too many" in summary(as_dict(real))
    assert [problem["line"] for problem in as_dict(real)["problems"]] == [2]


def test_excerpts_are_short_and_escaped():
    assert excerpt("a\nb\x1b") == "a\\nb\\x1b"
    assert excerpt("x" * 61) == "x" * 59 + "…"
    assert len(excerpt("\ud800" * 1_000_000)) == 60
    assert visible("fox 🦊 é") == "fox 🦊 é"


def test_names_are_listed_as_in_a_sentence():
    assert quoted(["a"]) == "`a`"
    assert quoted(["a", "b", "c"], " or ") == "`a`, `b` or `c`"
    assert quoted(map(str, range(10))) == "`0`, `1`, `2`, `3`, `4`, `5`, `6`, `7` and 2 more"
