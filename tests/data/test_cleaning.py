"""A clean copy holds the same conversations, and what was mended is counted."""

import json
from pathlib import Path

import pytest

from core.data import read
from core.data.cleaning import clean
from core.data.shapes.formats import Reading
from core.errors import DataError

CALL = {"type": "function", "function": {"name": "add", "arguments": '{"to": 1.50}'}}
TOOLED = {
    "messages": [
        {"role": "system", "content": "Be brief. "},
        {"role": "user", "content": "🙂 Add\none."},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "2"},
        {"role": "assistant", "content": "Two?", "weight": 0},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "Yes."},
    ],
    "tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}],
}


def report_on(folder: Path, *rows: dict):
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return read([path])


def test_reading_a_clean_copy_gives_the_same_conversations(tmp_path):
    report = report_on(
        tmp_path, TOOLED, {"instruction": "Say", "input": "a", "output": "b"}, {"text": "A tale."}
    )
    done = clean(report, tmp_path / "out", mending=False)
    again = read([done.cleaned])
    assert [(each.messages, each.tools) for each in again.examples] == [
        (each.messages, each.tools) for each in report.examples
    ]
    assert done.kept == again.kept == 3 and again.rejected == 0


def test_numbers_and_difficulty_stay_as_they_were_written(tmp_path):
    path = tmp_path / "rows.jsonl"
    arguments = '{"id": 12345678901234567890123, "price": 1.50}'
    call = f'{{"role": "assistant", "content": "", "tool_calls": [{{"function": {{"name": "f", "arguments": {arguments}}}}}]}}'
    tools = '[{"name": "f", "least": 1.50}]'
    path.write_text(
        f'{{"messages": [{{"role": "user", "content": "Q"}}, {call}], "tools": {tools}, "level": 2}}\n',
        "utf-8",
    )
    report = read([path], Reading(columns={"difficulty": "level"}))
    again = read([clean(report, tmp_path / "out").cleaned], Reading(columns={"difficulty": "difficulty"}))
    for example in (report.examples[0], again.examples[0]):
        assert example.messages[1].calls[0].arguments == arguments
        assert example.tools == ('{"name": "f", "least": 1.50}',) and example.value == 2.0


def test_what_was_mended_is_counted_and_the_rest_is_left_as_it_is(tmp_path):
    rows = [{"prompt": "Où ?", "response": "Au cafÃ©.  \n"}, {"prompt": "a", "response": "b\u0007c"}, TOOLED]
    done = clean(report_on(tmp_path, *rows), tmp_path / "out")
    assert done.mended == {"mended-mojibake": 1, "mended-invisible": 1, "mended-end": 2}
    answers = [each.messages[-1].content for each in read([done.cleaned]).examples]
    assert answers == ["Au café.", "bc", "Yes."]


def test_rejected_rows_lie_beside_as_they_were(tmp_path):
    done = clean(
        report_on(tmp_path, {"prompt": "a", "response": "b"}, {"prompt": "no answer"}), tmp_path / "out"
    )
    (rejection,) = done.rejected.read_text("utf-8").splitlines()
    assert json.loads(rejection)["line"] == 2 and json.loads(json.loads(rejection)["row"]) == {
        "prompt": "no answer"
    }


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written: Not a directory. Choose another folder"):
        clean(report_on(tmp_path, TOOLED), tmp_path / "file" / "out")
