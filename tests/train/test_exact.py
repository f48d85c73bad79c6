"""kill -9 at any moment, then resume: the same losses, the same order of data and, bit for bit, the same weights."""

import os
import signal

import pytest

from core.runs import Run, jobs
from core.train import prove
from core.train.reproduce import hashes
from tests.conftest import LORA, pid_of, until, wait
from tests.train import child
from tests.train.child import KILLED, At, kill_at

CASES = {
    "full, accumulation, a curriculum": ({"train": {"micro_batch_size": 2}, "data": {"order": "length"}},),
    "full, workers, no packing": ({"train": {"packing": False}, "compute": {"workers": 2}},),
    "full, several epochs": ({"data": {"examples": 20}},),
    "full, stopped early": ({"train": {"early_stopping": 1, "learning_rate": 0.5}},),
    "lora, accumulation, packing, workers": (
        LORA,
        {"train": {"micro_batch_size": 4, "packing": True}, "compute": {"workers": 1}},
    ),
    "dora, no packing": (LORA, {"method": {"kind": "dora"}, "train": {"packing": False}}),
    "rslora, checkpointing": (
        LORA,
        {"method": {"kind": "rslora"}, "train": {"gradient_checkpointing": True}},
    ),
    "pissa, float32": (LORA, {"method": {"kind": "pissa"}, "train": {"precision": "float32"}}),
}
MOMENTS = {
    "before the first checkpoint": kill_at("core.train.recorder.Recorder.on_step_end", 2),
    "while it waits for its turn": kill_at("core.runs.queue.Turn._take"),
    "with half a first checkpoint written": kill_at("transformers.Trainer._save_optimizer_and_scheduler"),
    "before a checkpoint is sealed": kill_at("core.train.checkpoints.seal"),
    "between a checkpoint's name and the word of it": kill_at("core.train.recorder.Recorder.on_save"),
    "between two steps": kill_at("core.train.recorder.Recorder.on_step_end", 2),
    "in the middle of a step": kill_at("accelerate.Accelerator.clip_grad_norm_", 2),
    "in an evaluation": kill_at("core.train.trainer.Trainer.prediction_step"),
    "between a checkpoint's seal and its name": kill_at("core.train.disk.place"),
    "between the last checkpoint and final": kill_at("core.train.job.save_final"),
    "with half of final written": kill_at(
        "transformers.PreTrainedTokenizerBase.save_pretrained", given="/.final"
    ),
    "between the end of final and its name": kill_at("core.train.disk.place", given="/.final"),
    "between final's name and the word of it": kill_at("core.runs.events.EventLog.append", given="Trained("),
}


def facts(run: Run) -> dict:
    """All that must be the same."""
    progress = run.progress()
    witnessed = (run.folder / prove.ORDER).is_file()
    return {
        "losses": [(each.step, each.loss, each.gradient_norm) for each in progress.steps],
        "held out": [(each.step, each.loss, each.token_accuracy) for each in progress.held_out],
        "order": prove.order(run) if witnessed else None,
        "weights": hashes(run.final),
        "ended": (progress.trained, progress.total_steps, progress.saved_step),
    }


def killed(run: Run, at: At) -> Run:
    assert child.train(run, at) == KILLED, run.console.read_text()[-3000:]
    return run


def resumed(run: Run) -> Run:
    assert child.train(run) == 0, run.console.read_text()[-3000:]
    return run


def test_a_run_killed_at_one_moment_after_the_other_ends_as_one_that_was_left_alone(straight, store):
    run = store.create("killed", straight(LORA).spec)
    reached = {moment: killed(run, at).progress().step for moment, at in MOMENTS.items()}
    assert facts(resumed(run)) == facts(straight(LORA))
    left = {path.name for path in run.folder.iterdir()} - {
        path.name for path in straight(LORA).folder.iterdir()
    }
    assert left == set() and not (run.checkpoints / ".partial").exists()
    # Each kill came where it was meant to: from no checkpoint, from that of step 4, and from the last.
    assert list(reached.values()) == [1, 1, 4, 4, 4, 5, 5, 8, 8, 10, 10, 10, 10]


@pytest.mark.parametrize("case", CASES)
def test_every_way_to_train_goes_on_exactly_after_a_kill_in_the_middle_of_a_step(straight, store, case):
    run = killed(
        store.create("killed", straight(*CASES[case]).spec),
        kill_at("accelerate.Accelerator.clip_grad_norm_", 7),
    )
    assert facts(resumed(run)) == facts(straight(*CASES[case]))


def test_what_is_compared_would_show_a_generator_that_was_not_restored(straight, store):
    run = killed(
        store.create("killed", straight(LORA).spec), kill_at("accelerate.Accelerator.clip_grad_norm_", 7)
    )
    assert child.train(run, child.forget_generators) == 0
    assert facts(run)["order"] == facts(straight(LORA))["order"]  # that comes from the seed alone
    assert facts(run)["losses"] != facts(straight(LORA))["losses"]
    assert facts(run)["weights"] != facts(straight(LORA))["weights"]


def test_a_job_killed_from_outside_in_any_step_goes_on_exactly(straight, store):
    run = store.create("killed", straight(LORA).spec)
    job = child.begun(run)
    until(lambda: run.progress().step >= 5)
    os.kill(pid_of(run), signal.SIGKILL)
    job.join()
    assert job.exitcode == KILLED and not run.alive() and not run.final.exists()
    # In a process that shares nothing with those before, not even the order of a set of words.
    jobs.start(run)
    assert wait(run) == "finished"
    (run.folder / prove.ORDER).unlink()  # the last of them wrote none
    assert facts(run) == facts(straight(LORA)) | {"order": None}


def test_a_job_that_is_stopped_goes_on_exactly(straight, store):
    run = store.create("stopped", straight(LORA).spec)
    assert child.train(run, At("core.train.recorder.Recorder.on_step_begin", child.ask_to_stop, 7)) == 0
    assert run.progress().state == "stopped" and run.progress().saved_step == 7 and not run.final.exists()
    assert child.train(run) == 0
    assert facts(run) == facts(straight(LORA))
