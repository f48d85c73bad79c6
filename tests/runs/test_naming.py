"""A run's name can be changed, and all that says it follows; its owner's notes stay with it."""

import json

import pytest

from core.errors import RunError
from core.evaluate import report
from core.runs import naming
from core.runs.events import Begun, Published, Queued, Stopped
from core.runs.store import RunStore
from core.train import disk
from tests.conftest import bystander, quick
from tests.evaluate.reporting import held_out
from tests.evaluate.reporting import report as scored
from tests.runs.test_control import at_work, say  # noqa: F401  (fixtures)


@pytest.fixture
def tales(store):
    run = store.create("tales", quick())
    for event in (
        Begun(total_steps=9),
        Published(repo_id="me/tales", url="u", commit="c"),
        Stopped(act="train"),
    ):
        run.events.append(event)
    return run


def test_a_renamed_run_is_the_same_run_under_another_name(store, tales, say):  # noqa: F811
    report.write(tales, scored(held_out()))
    (tales.folder / "gguf").mkdir()
    (tales.folder / "gguf" / "tales-q8_0.gguf").write_text("x")
    (tales.folder / "gguf" / "Modelfile").write_text("FROM ./tales-q8_0.gguf\n")
    disk.write_json(tales.reports / "parity.json", {"formats": [{"file": "gguf/tales-q8_0.gguf"}]})
    before = tales.progress()
    assert say("rename", "tales", "stories")[0] == 0
    (run,) = store.all()
    assert (run.name, run.progress()) == ("stories", before)
    assert report.read(run).run == "stories"
    assert "stories" in (run.reports / "evaluation.html").read_text()
    assert (run.folder / "gguf" / "stories-q8_0.gguf").is_file()
    assert "stories-q8_0" in (run.folder / "gguf" / "Modelfile").read_text()
    assert json.loads((run.reports / "parity.json").read_text())["formats"] == [
        {"file": "gguf/stories-q8_0.gguf"}
    ]
    assert run.progress().published[0].repo_id == "me/tales"


def test_what_is_at_work_waits_or_would_be_missed_is_not_renamed(store, tales, at_work):  # noqa: F811
    waiting = store.create("waiting", quick())
    waiting.events.append(Queued(act="train"))
    waiting.set_process(bystander())
    after = store.create("after", quick({"model": {"base": str(tales.final.resolve())}}))
    after.events.append(Stopped(act="train"))
    for run, name, sentence in (
        (at_work, "other", "is at work"),
        (waiting, "other", "is at work"),
        (tales, "other", "'after' was made from files"),
        (after, "tales", "already a run called 'tales'"),
        (after, "../tales", "cannot name a run"),
    ):
        with pytest.raises(RunError, match=sentence):
            naming.rename(run, name)
    assert {run.name for run in store.all()} == {"busy", "waiting", "tales", "after"}
    assert not list(store.root.glob("*/.deleted"))  # what was refused can still be started


def test_a_folder_that_is_there_is_not_replaced_though_it_is_empty(store, tales):
    (store.root / "ada").mkdir()
    with pytest.raises(RunError, match="already a run called 'ada'"):
        naming.rename(tales, "ada")
    assert [run.name for run in store.all()] == ["tales"] and not list((store.root / "ada").iterdir())


def test_a_note_is_kept_in_the_runs_folder_until_it_is_emptied(store, tales, say):  # noqa: F811
    assert "has no note" in say("note", "tales")[1]
    assert say("note", "tales", "Too slow; half the rate: é")[0] == 0
    assert say("note", "tales")[1] == "Too slow; half the rate: é\n"
    naming.rename(tales, "stories")
    run = RunStore(store.root).get("stories")
    assert run.note == "Too slow; half the rate: é"
    say("note", "stories", "")
    assert run.note == "" and not (run.folder / "note.txt").exists()
    with pytest.raises(RunError, match="20,000 letters at most"):
        naming.note(run, "x" * 20_001)
