"""Saved data sets: under a safe name, whole or not at all, and read again like any other."""

import json
import os
import threading
from pathlib import Path

import pytest

from core.errors import DataError, UserError
from webui.chosen import FRESH, OTHER, added, fresh, offered, overrides
from webui.sets import Sets
from webui.shared import SAMPLE, Shared

ROWS = [{"question": f"What is in jar {n}?", "answer": f"Jar {n} holds plums."} for n in range(6)]


@pytest.fixture
def shared(store):
    return Shared(store)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "jars.jsonl"
    path.write_text("\n".join([*map(json.dumps, [*ROWS, ROWS[0]]), "not JSON"]))
    return path


def test_a_saved_set_is_clean_and_has_its_report_beside_it(shared, file):
    made = shared.sets.save("jars", [str(file)])
    kept = shared.sets.path("jars")
    assert made["kept"] == 6 and len(kept.read_text().splitlines()) == 6
    assert json.loads(kept.with_suffix(".report.json").read_text())["rejected"] == 1
    assert kept.with_suffix(".report.md").read_text().startswith("# Data report")
    assert shared.sets.names() == ["jars"] and shared.files([str(kept)]) == [str(kept)]
    assert sorted(path.name for path in shared.sets.folder.glob("[!.]*")) == [
        "jars.jsonl",
        "jars.report.json",
        "jars.report.md",
    ]


def test_a_name_that_is_taken_is_refused_and_the_set_stays(shared, file):
    shared.sets.save("jars", [str(file)])
    before = shared.sets.path("jars").read_bytes()
    with pytest.raises(DataError, match="already a data set called jars"):
        shared.sets.save("jars", [SAMPLE])
    assert shared.sets.path("jars").read_bytes() == before


def test_what_cannot_be_cleaned_leaves_no_set(shared, tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(UserError, match="can be used"):
        shared.sets.save("empty", [str(empty)])
    assert shared.sets.names() == [] and list(shared.sets.folder.iterdir()) == []


def test_rows_that_several_add_at_the_same_time_are_all_there_once_and_whole(shared):
    lines = [
        json.dumps({"messages": [{"role": "user", "content": f"{n} " * 5000}]}) + "\n" for n in range(20)
    ]
    adding = [threading.Thread(target=shared.sets.append, args=("jars", line)) for line in lines * 2]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    assert sorted(shared.sets.path("jars").read_text().splitlines(True)) == sorted(lines)
    assert shared.sets.append("jars", lines[0]) == 20
    assert shared.sets.choices() == [("jars", str(shared.sets.path("jars")))]


def test_a_row_is_added_whole_or_not_at_all_and_never_to_the_end_of_another(shared, monkeypatch):
    shared.sets.append("jars", '{"a": 1}\n')
    path = shared.sets.path("jars")
    path.write_text('{"a": 1}')  # as an editor leaves it
    assert shared.sets.append("jars", '{"a": 2}\n') == 2
    assert path.read_text() == '{"a": 1}\n{"a": 2}\n'

    def full(_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"^jars could not be added to: No space left"):
        shared.sets.append("jars", '{"a": 3}\n')
    assert path.read_text() == '{"a": 1}\n{"a": 2}\n'


def test_a_row_that_is_added_while_the_set_is_being_saved_is_in_it(shared, file, monkeypatch):
    replace, adding = Path.replace, threading.Thread(target=shared.sets.append, args=("jars", '{"a": 1}\n'))

    def slow(made, kept):
        adding.start()
        adding.join(0.5)
        return replace(made, kept)

    monkeypatch.setattr(Path, "replace", slow)
    shared.sets.save("jars", [str(file)])
    adding.join()
    assert shared.sets.path("jars").read_text().splitlines()[-1] == '{"a": 1}'


def test_the_report_of_a_set_says_that_rows_were_added_later(shared, file):
    shared.sets.save("jars", [str(file)])
    report, markdown = (shared.sets.path("jars").with_suffix(f".report.{end}") for end in ("json", "md"))
    before = json.loads(report.read_text())
    for line in ('{"a": 1}\n', '{"a": 1}\n', '{"a": 2}\n'):  # one twice
        shared.sets.append("jars", line)
    assert json.loads(report.read_text()) == before | {"added": 2}
    assert "**2 rows were added to the clean copy later**" in markdown.read_text()
    report.write_text("half of a rep")
    shared.sets.append("jars", '{"a": 3}\n')
    assert not report.exists() and not markdown.exists()
    assert shared.sets.append("jars", '{"a": 4}\n') == 10


def test_a_row_with_half_of_a_character_is_not_added(shared):
    with pytest.raises(DataError, match="half of a character"):
        shared.sets.append("jars", '{"a": "\ud800"}\n')
    assert shared.sets.names() == []


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "/etc/x", ".hidden", "a" * 65, "a\n", "é", "a b", "<b>", "-x", "a\x00"]
)
def test_a_name_that_could_leave_the_folder_or_be_taken_amiss_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="cannot name a data set"):
        Sets(tmp_path).path(name)


def test_what_is_chosen_is_offered_by_name_wherever_it_came_from(shared):
    shared.sets.folder.mkdir(parents=True)
    path = shared.sets.path("jars")
    path.write_text("{}\n")
    saved = offered(shared, fresh([str(path)]))
    assert saved.value == str(path) and ("jars", str(path)) in saved.choices
    mixed = offered(shared, fresh(["hf:owner/name", SAMPLE]))
    assert mixed.value == OTHER and mixed.choices[0] == ("owner/name and 1 more", OTHER)


def test_other_examples_begin_afresh_and_more_examples_do_not():
    state = FRESH | {"files": ["a"], "columns": {"question": "Q"}, "drop": ["duplicate"], "weights": [1.0]}
    assert fresh(["b"]) == FRESH | {"files": ["b"]}
    assert added(state, ["b", "a"]) == state | {"files": ["a", "b"], "weights": []}


def test_what_a_browser_kept_from_an_earlier_version_is_still_understood(shared):
    assert overrides(shared, {"files": [SAMPLE], "held_out": []}, {}) == {"data": {"files": [SAMPLE]}}


def test_a_form_cannot_name_a_file_of_the_server_to_hold_questions_against(shared):
    with pytest.raises(DataError, match="not among the files"):
        overrides(shared, FRESH, {"data.against": "/etc/passwd"})
