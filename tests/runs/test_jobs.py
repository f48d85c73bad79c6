"""A job in a process of its own, seen only through its folder."""

import json
import os
import shutil
import signal
import time

import psutil
import pytest
from safetensors.torch import load_file, save_file

from core.errors import DataError, RunError, SpecError
from core.presets import FABLE
from core.runs import Run, RunStore, jobs
from core.runs import store as store_module
from core.runs.events import (
    Begun,
    HeldOut,
    Paused,
    Progress,
    Queued,
    Staged,
    Started,
    Stepped,
    Trained,
    advance,
)
from tests.conftest import bystander, pid_of, quick, until, wait
from tests.warm import warm_jobs  # noqa: F401

pytestmark = pytest.mark.usefixtures("warm_jobs")
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


def test_a_training_is_held_between_steps_goes_on_and_is_discarded_without_a_trace_of_its_work(store):
    run = store.create("a", quick(LONG, {"train": {"evaluate_every": 2}}))
    jobs.start(run)
    until(lambda: run.progress().saved_step)
    jobs.pause(run)
    until(lambda: run.progress().state == "paused")
    at = run.progress().step
    time.sleep(1.0)
    assert run.progress().step == at and run.alive()
    jobs.go_on(run)
    until(lambda: run.progress().step > at)
    slow = run.progress().steps[-1]
    assert slow.eta_seconds < 2000 * 60  # the pause is no part of a step

    jobs.pause(run)
    until(lambda: run.progress().state == "paused")
    jobs.stop(run, discard=True)  # held as it is
    assert wait(run) == "stopped"
    progress = run.progress()
    assert progress.discarded and progress.resumable and not progress.forced
    assert len(progress.steps) == progress.step  # its record is kept
    assert {path.name for path in run.folder.iterdir()} <= set(jobs.RECORD)
    for act in (jobs.pause, jobs.go_on, jobs.stop, jobs.cancel):
        with pytest.raises(RunError):
            act(run)
    jobs.delete(run)
    assert not run.folder.exists() and store.all() == []


def test_a_job_that_hangs_is_ended_with_its_children_by_whoever_asked_it_to_stop(store, monkeypatch):
    run = store.create("a", quick(LONG, {"train": {"evaluate_every": 3}, "compute": {"workers": 1}}))
    jobs.start(run)
    until(lambda: run.progress().saved_step)
    with pytest.raises(RunError, match="at work"):
        jobs.delete(run)
    pid = pid_of(run)
    assert run.process[0] == pid
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(family) > 1
    os.kill(pid, signal.SIGSTOP)
    run.request_stop()
    monkeypatch.setattr(jobs, "grace", lambda progress, discard: 0.5)
    jobs.see_it_end(run)
    gone, alive = psutil.wait_procs(family, timeout=5)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    progress = run.progress()
    assert progress.state == "stopped" and progress.forced and progress.resumable and progress.saved_step
    jobs.start(run)
    until(lambda: run.progress().step > progress.step)
    os.kill(pid_of(run), signal.SIGSTOP)
    jobs.stop(run)  # someone waits for it already
    jobs.stop(run, now=True)
    assert run.progress().state == "stopped" and not run.alive()


def test_a_job_is_given_the_time_that_its_steps_its_measurements_and_its_checkpoints_take():
    step = Stepped(
        at=100, step=4, epoch=1, loss=1, learning_rate=1, gradient_norm=1, tokens_per_second=1, memory_bytes=1,
        eta_seconds=600,
    )  # fmt: skip
    begun = advance(Progress(), [Begun(total_steps=10), step])  # 100 seconds a step
    assert jobs.grace(begun, False) == jobs.GRACE + 3 * 100
    measured = advance(begun, [HeldOut(at=300, step=4, loss=1, token_accuracy=1)])
    assert jobs.grace(measured, False) == jobs.GRACE_TO_SAVE  # it is being saved
    later = advance(measured, [Stepped(**vars(step) | {"step": 5, "eta_seconds": 5})])
    assert jobs.grace(later, False) == jobs.GRACE + 3 * 200
    assert jobs.grace(advance(later, [Staged(stage=jobs.SAVING)]), False) == jobs.GRACE_TO_SAVE
    assert jobs.grace(later, True) == jobs.GRACE_TO_DISCARD


def test_what_is_trained_already_is_not_discarded_with_its_scoring(store):
    run = store.create("a", quick())
    for event in (Started(act="train", pid=1), Trained(), Queued(act="evaluate")):
        run.events.append(event)
    with run.lock:
        run.events.append(Started(act="evaluate", pid=os.getpid()))
        with pytest.raises(RunError, match="trained already"):
            jobs.stop(run, discard=True)
    assert not run.stop_requested()


def test_a_paused_run_whose_process_died_is_lost(store):
    run = store.create("a", quick())
    with run.lock:
        run.events.append(Started(act="train", pid=1))
        run.events.append(Paused(step=3))
        assert run.progress().state == "paused"
    assert run.progress().state == "lost"


def test_a_run_just_asked_for_is_not_lost_when_the_clock_jumps(store, monkeypatch):
    run = store.create("a", quick())
    run.events.append(Queued(act="train"))
    real = time.time()
    for jump in (-30, -1e6, 1e6):
        if abs(jump) > 60:
            run.set_process(bystander())
        now = real + jump
        monkeypatch.setattr(store_module.time, "time", lambda now=now: now)
        assert run.progress().state == "queued"


def test_a_package_to_report_to_that_is_missing_is_named_before_anything_begins(store, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run = store.create("a", quick({"train": {"report_to": ["tensorboard"]}}))
    with pytest.raises(
        SpecError, match="train.report_to: tensorboard is not installed: pip install tensorboard"
    ):
        jobs.start(run)
    assert run.progress().state == "new"


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
    gone = tmp_path / "nothing.jsonl"
    gone.write_text("")
    run = store.create("a", quick({"data": {"files": [str(gone)]}}))
    jobs.start(run)
    assert wait(run) == "failed"
    message = run.progress().message
    assert "nothing.jsonl" in message and "Traceback" not in message
    assert "Traceback" in run.console.read_text() and not run.final.exists()


def test_a_file_that_is_not_there_is_refused_at_once_and_waits_for_no_turn(store, tmp_path):
    run = store.create("a", quick({"data": {"files": [str(tmp_path / "nothing.jsonl")]}}))
    with pytest.raises(DataError, match="nothing.jsonl"):
        jobs.start(run)
    assert run.progress().state == "new"


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
