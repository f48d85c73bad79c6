"""The pass over files: bounded, complete, and known the next time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.data import intake, read
from core.data.shapes.formats import Reading
from core.errors import DataError

ROOT = Path(__file__).parents[2]


def write(path: Path, *rows: dict | str) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8"
    )
    return path


def pair(at: int) -> dict[str, str]:
    return {"prompt": f"What is {at}?", "response": f"The number {at}."}


def test_of_many_problems_the_first_are_listed_and_all_are_counted_and_written_down(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "LISTED", 5)
    report = read([write(tmp_path / "rows.jsonl", pair(0), *['{"prompt": "x"}'] * 40, *["nothing"] * 3)])
    assert (report.rows, report.kept, report.rejected) == (44, 1, 43)
    assert report.counts == {("error", "missing-answer"): 40, ("error", "not-json"): 3}
    assert [problem.source.line for problem in report.errors] == [2, 3, 4, 5, 6, 42, 43, 44]
    rejections = [json.loads(line) for line in (report.folder / "rejected.jsonl").read_text().splitlines()]
    assert [each["line"] for each in rejections] == list(range(2, 45))
    assert json.loads(rejections[0]["row"]) == {"prompt": "x"}
    assert rejections[-1]["row"].strip() == "nothing"


def test_the_same_bytes_are_read_once_and_others_anew(tmp_path, monkeypatch):
    path = write(tmp_path / "rows.jsonl", pair(1), pair(2))
    first = read([path])
    monkeypatch.setattr(intake, "_Intake", None)  # reading would need it
    assert list(read([path]).examples) == list(first.examples)
    monkeypatch.undo()
    write(path, pair(1), pair(2), pair(3))
    assert read([path]).kept == 3


@pytest.mark.parametrize("lost", ["report.json", "examples.bin", "index.bin", "places.npz"])
def test_an_entry_of_the_cache_that_lost_a_part_is_made_again(tmp_path, lost):
    path = write(tmp_path / "rows.jsonl", pair(1), pair(2), {"prompt": lost})
    (read([path]).folder / lost).unlink()
    assert len(list(read([path]).examples)) == 2


def test_a_file_that_is_written_to_while_it_is_read_is_not_remembered(tmp_path, monkeypatch):
    path = write(tmp_path / "rows.jsonl", pair(1), pair(2))
    reads = intake._Intake.read

    def disturbed(self, sources):
        write(path, pair(3))
        reads(self, sources)

    monkeypatch.setattr(intake._Intake, "read", disturbed)
    with pytest.raises(DataError, match="rows.jsonl was written to while it was read"):
        read([path])
    monkeypatch.undo()
    write(path, pair(1), pair(2))
    assert [each.messages[0].content for each in read([path]).examples] == ["What is 1?", "What is 2?"]


def test_another_way_of_reading_is_not_taken_for_the_first(tmp_path):
    path = write(tmp_path / "rows.jsonl", {"prompt": "a", "response": "b", "other": "c"})
    assert read([path]).examples[0].messages[1].content == "b"
    reading = Reading(columns={"question": "prompt", "answer": "other"})
    assert read([path], reading).examples[0].messages[1].content == "c"


def test_a_table_of_unknown_columns_is_guessed_aloud_and_read_as_told(tmp_path):
    path = tmp_path / "riddles.csv"
    path.write_text("RIDDLES,ANSWERS,HINT\nWhat has keys?,A piano,music\nWhat runs?,A river,water\n")
    report = read([path])
    assert [problem.code for problem in report.problems][0] == "guessed-columns"
    assert [message.content for message in report.examples[1].messages] == ["What runs?", "A river"]
    assert report.columns == {str(path): ("RIDDLES", "ANSWERS", "HINT")}
    assert report.sample[0] == {"RIDDLES": "What has keys?", "ANSWERS": "A piano", "HINT": "music"}
    told = read([path], Reading(columns={"question": "HINT", "answer": "RIDDLES"}))
    assert [message.content for message in told.examples[1].messages] == ["water", "What runs?"]
    assert not [problem for problem in told.problems if problem.code == "guessed-columns"]


def test_a_conversation_of_a_row_that_cannot_be_used_costs_the_others_nothing(tmp_path):
    instances = [
        {"input": "", "output": "One."},
        {"input": "x", "output": " "},
        {"input": "y", "output": "Two."},
    ]
    report = read([write(tmp_path / "seeds.jsonl", {"instruction": "Count.", "instances": instances})])
    assert (report.rows, report.kept, report.rejected) == (1, 2, 0)
    (problem,) = report.problems
    assert problem.severity == "warning" and problem.why.startswith(
        "One of the row's 3 conversations is left out"
    )


def test_rows_on_one_line_are_told_apart(tmp_path):
    path = tmp_path / "rows.json"
    rows = [
        pair(1),
        pair(2),
        pair(1),
        {"prompt": "x"},
        *({"prompt": f"{n}?", "response": n} for n in (5, 6)),
        *map(pair, range(7, 20)),
    ]
    path.write_text(json.dumps(rows))
    report = read([path])
    assert (report.rows, report.kept, report.rejected) == (19, 16, 3)
    assert [(str(each.source).rpartition("/")[2], each.code) for each in report.problems] == [
        ("rows.json:1#3", "duplicate"),
        ("rows.json:1#4", "missing-answer"),
        ("rows.json:1#5", "wrong-type"),
        ("rows.json:1#6", "wrong-type"),
    ]
    assert "rows.json:1;" in report.problems[0].why
    assert str(report.examples[-1].source).endswith("rows.json:1#19")


def test_a_slip_among_texts_is_rejected_and_written_down(tmp_path):
    rows = [pair(at) for at in range(9)] + [{"prompt": "What is 9?", "response": 9}]
    report = read([write(tmp_path / "rows.jsonl", *rows)])
    assert (report.rows, report.kept, report.rejected) == (10, 9, 1)
    assert [(each.source.line, each.code) for each in report.errors] == [(10, "wrong-type")]
    (rejection,) = (report.folder / "rejected.jsonl").read_text().splitlines()
    assert "What is 9?" in rejection


@pytest.mark.slow
def test_a_large_file_takes_little_memory(tmp_path):
    """60 MB here; what grows with the file are 50 bytes for each row."""
    path = tmp_path / "large.jsonl"
    text = "A tale of a fox and a crow that met in a wood. " * 20
    with path.open("w") as file:
        for at in range(60_000):
            file.write(json.dumps({"prompt": f"Tell me tale {at}.", "response": f"{at}: {text}"}) + "\n")
    code = (
        "import sys, resource; from core.data import read\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert read([sys.argv[1]]).kept == 60_000\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40_000  # kB; on Linux
