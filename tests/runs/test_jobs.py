"""A job in a process of its own, seen only through its folder."""

import os
import signal

import pytest

from core.errors import RunError
from core.runs import RunStore, jobs
from core.runs import store as store_module
from core.runs.events import Started
from tests.conftest import pid_of, quick, until, wait

LONG = {"train": {"max_steps": 2000}, "evaluate": {"after_training": False}}
SHORT = {"train": {"max_steps": 2}, "evaluate": {"after_training": False}}


def test_a_killed_process_is_reported_as_lost_and_can_be_resumed(store, monkeypatch):
    monkeypatch.setattr(store_module, "SILENCE", 0.3)
    run = store.create("a", quick(LONG))
    jobs.start(run)
    until(lambda: run.progress().step >= 1)
    os.kill(pid_of(run), signal.SIGKILL)
    assert wait(run) == "lost"
    assert run.progress().resumable and "console.log" in run.progress().message


def test_a_silent_run_that_still_lives_is_not_lost(store, monkeypatch):
    monkeypatch.setattr(store_module, "SILENCE", 0.0)
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


def test_what_a_user_can_mend_ends_in_one_sentence_and_no_final(store, tmp_path):
    run = store.create("a", quick({"data": {"files": [str(tmp_path / "nothing.jsonl")]}}))
    jobs.start(run)
    assert wait(run) == "failed"
    message = run.progress().message
    assert "nothing.jsonl" in message and "Traceback" not in message
    assert "Traceback" in run.console.read_text() and not run.final.exists()


def test_a_base_that_does_not_exist_is_named(store):
    run = store.create("a", quick({"model": {"base": "nobody/nothing", "tokenizer": str(fable_tokenizer())}}))
    jobs.start(run)
    assert wait(run) == "failed"
    assert "nobody/nothing" in run.progress().message


def fable_tokenizer():
    from core.presets import FABLE

    return FABLE / "tokenizer.model"


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
