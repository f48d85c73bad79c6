"""A job in a process of its own, seen only through its folder."""

import json
import os
import shutil
import signal

import pytest
from safetensors.torch import load_file, save_file

from core.errors import RunError
from core.presets import FABLE
from core.runs import Run, RunStore, jobs
from core.runs import store as store_module
from core.runs.events import Started
from tests.conftest import pid_of, quick, until, wait

LONG = {"train": {"max_steps": 2000}, "evaluate": {"after_training": False}}
SHORT = {"train": {"max_steps": 2}, "evaluate": {"after_training": False}}


def test_a_killed_process_is_reported_as_lost_and_can_be_resumed(store, monkeypatch):
    monkeypatch.setattr(store_module, "START_WITHIN", 0.3)
    run = store.create("a", quick(LONG))
    jobs.start(run)
    until(lambda: run.progress().step >= 1)
    os.kill(pid_of(run), signal.SIGKILL)
    assert wait(run) == "lost"
    assert run.progress().resumable and "console.log" in run.progress().message


def test_a_silent_run_that_still_lives_is_not_lost(store, monkeypatch):
    monkeypatch.setattr(store_module, "START_WITHIN", 0.0)
    run = store.create("a", quick())
    with run.lock:
        run.events.append(Started(act="train", pid=os.getpid(), at=0))
        assert run.progress().state == "running"
    assert run.progress().state == "lost"


def test_runs_take_turns_in_the_order_they_were_asked_for(store):
    first = store.create("first", quick(LONG))
    jobs.start(first)
    until(lambda: first.progress().step >= 1)
    waiting = [store.create(name, quick(SHORT)) for name in ("second", "third")]
    for run in waiting:
        jobs.start(run)
        until(lambda run=run: run.alive())
    assert [run.progress().state for run in waiting] == ["queued", "queued"]
    first.request_stop()
    assert wait(first) == "stopped"
    assert [wait(run) for run in waiting] == ["finished", "finished"]
    began = [[e.at for e in run.events.read()[0] if isinstance(e, Started)][0] for run in waiting]
    assert began == sorted(began) and began[1] >= waiting[0].progress().at


def test_a_run_that_waits_can_be_stopped_before_its_turn(store):
    first, second = store.create("first", quick(LONG)), store.create("second", quick(SHORT))
    jobs.start(first)
    until(lambda: first.progress().step >= 1)
    jobs.start(second)
    until(second.alive)
    second.request_stop()
    assert wait(second) == "stopped"
    assert first.progress().state == "running"
    first.request_stop()
    assert wait(first) == "stopped"


def test_a_busy_run_cannot_be_started_twice(store):
    run = store.create("a", quick(LONG))
    jobs.start(run)
    until(run.alive)
    with pytest.raises(RunError, match="at work"):
        jobs.start(run)
    run.request_stop()
    assert wait(run) == "stopped"


def test_of_two_acts_asked_for_at_once_the_second_is_told(full_run, tmp_path):
    run = Run(shutil.copytree(full_run.folder, tmp_path / "runs" / "full"))
    jobs.start(run, "evaluate")
    with pytest.raises(RunError, match="at work"):
        jobs.start(run, "merge")
    assert wait(run) == "finished" and run.progress().act == "evaluate"


def test_what_needs_a_trained_model_is_refused_before_and_leaves_resume_possible(store):
    run = store.create("a", quick(LONG))
    jobs.start(run)
    until(lambda: run.progress().step >= 1)
    run.request_stop()
    assert wait(run) == "stopped"
    for act in ("evaluate", "merge", "push"):
        with pytest.raises(RunError, match="no final model yet"):
            jobs.start(run, act)
    assert run.progress().resumable


def test_data_that_changed_since_a_run_began_is_neither_trained_nor_measured_on(store, tmp_path):
    data = tmp_path / "poems.jsonl"
    data.write_text(
        "".join(json.dumps({"question": f"What is {n}?", "answer": f"It is {n}."}) + "\n" for n in range(20))
    )
    run = store.create(
        "a", quick(SHORT, {"data": {"files": [str(data)]}, "train": {"max_steps": 2, "batch_size": 4}})
    )
    jobs.start(run)
    assert wait(run) == "finished"
    with data.open("a") as file:
        file.write('{"question": "And?", "answer": "No."}\n')
    jobs.start(run, "evaluate")
    assert wait(run) == "failed" and "poems.jsonl has changed" in run.progress().message
    assert run.progress().trained


def test_a_model_that_makes_no_numbers_fails_with_a_sentence_at_once(store, tmp_path):
    base = tmp_path / "broken"
    shutil.copytree(FABLE, base)
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    run = store.create("a", quick(SHORT, {"model": {"base": str(base)}, "data": {"held_out_fraction": 0.0}}))
    jobs.start(run)
    assert wait(run) == "failed" and "no number any more" in run.progress().message


def test_what_a_user_can_mend_ends_in_one_sentence_and_no_final(store, tmp_path):
    run = store.create("a", quick({"data": {"files": [str(tmp_path / "nothing.jsonl")]}}))
    jobs.start(run)
    assert wait(run) == "failed"
    message = run.progress().message
    assert "nothing.jsonl" in message and "Traceback" not in message
    assert "Traceback" in run.console.read_text() and not run.final.exists()


def test_a_base_that_does_not_exist_is_named(store):
    run = store.create(
        "a", quick({"model": {"base": "nobody/nothing", "tokenizer": str(FABLE / "tokenizer.model")}})
    )
    jobs.start(run)
    assert wait(run) == "failed"
    assert "nobody/nothing" in run.progress().message


@pytest.mark.parametrize("name", ["../out", "a/b", "", ".hidden", "a" * 65, "a b"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path, name):
    with pytest.raises(RunError):
        RunStore(tmp_path).create(name, quick())
    with pytest.raises(RunError):
        RunStore(tmp_path).get(name)


def test_a_name_is_taken_once(store):
    store.create("a", quick())
    with pytest.raises(RunError, match="already"):
        store.create("a", quick())
    assert store.free_name("a b/c") == "a-b-c-1" and store.free_name("a") == "a-1"


def test_the_token_of_a_space_is_not_lent_to_its_visitors(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_owner")
    assert jobs.child_environment()["HF_TOKEN"] == "hf_of_the_owner"  # on a machine of one's own
    monkeypatch.setenv("SPACE_ID", "owner/space")
    assert "HF_TOKEN" not in jobs.child_environment()
    assert jobs.child_environment("hf_of_a_visitor")["HF_TOKEN"] == "hf_of_a_visitor"
