"""kill -9 at any moment, then resume: the same losses and, bit for bit, the same weights as without."""

import os
import shutil
import signal

import pytest

from core.runs import Run, jobs
from core.train import checkpoints
from tests.conftest import LORA, pid_of, quick, until, wait

LONGER = {"train": {"max_steps": 20, "evaluate_every": 6}, "evaluate": {"after_training": False}}
CASES = {
    "full": (),
    "lora with dropout": (LORA,),
    "packing": (LORA, {"train": {"packing": True, "max_length": 128, "batch_size": 4}}),
    "accumulation": ({"train": {"micro_batch_size": 2}},),
}


def weights(run):
    return {path.name: path.read_bytes() for path in run.final.glob("*.safetensors")}


def losses(run):
    progress = run.progress()
    return [(s.step, s.loss) for s in progress.steps], [
        (h.step, h.loss, h.token_accuracy) for h in progress.held_out
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(store, case):
    straight = store.create("straight", quick(LONGER, *CASES[case]))
    jobs.start(straight)
    assert wait(straight) == "finished"

    killed = store.create("killed", quick(LONGER, *CASES[case]))
    jobs.start(killed)
    until(lambda: killed.progress().step >= 8)
    os.kill(pid_of(killed), signal.SIGKILL)
    until(lambda: not killed.alive())
    assert not killed.final.exists()
    jobs.start(killed)
    assert wait(killed) == "finished"

    assert losses(killed) == losses(straight)
    assert weights(killed) == weights(straight)


def test_a_stopped_run_resumes_where_it_stopped_and_ends_the_same(store):
    straight = store.create("straight", quick(LONGER))
    jobs.start(straight)
    assert wait(straight) == "finished"

    stopped = store.create("stopped", quick(LONGER))
    jobs.start(stopped)
    until(lambda: stopped.progress().step >= 3)
    stopped.request_stop()
    assert wait(stopped) == "stopped"
    at = stopped.progress().step
    assert 3 <= at < 20 and (stopped.checkpoints / f"checkpoint-{at}").is_dir() and not stopped.final.exists()
    jobs.start(stopped)
    assert wait(stopped) == "finished"
    assert weights(stopped) == weights(straight)
    assert losses(stopped)[0] == losses(straight)[0]


def test_a_run_killed_before_its_final_model_was_saved_trains_no_step_more(full_run, tmp_path):
    run = Run(shutil.copytree(full_run.folder, tmp_path / "runs" / "full"))
    wanted = weights(run)
    shutil.rmtree(run.final)
    lines = run.events.path.read_text().splitlines(keepends=True)
    run.events.path.write_text(
        "".join(line for line in lines if '"trained"' not in line and '"finished"' not in line)
    )
    jobs.start(run)
    assert wait(run) == "finished"
    assert run.progress().step == 12 and weights(run) == wanted


@pytest.fixture
def two_checkpoints(trained_runs, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(trained_runs.get("full").checkpoints, folder)
    return folder


def test_a_checkpoint_with_a_damaged_file_is_passed_over_for_the_one_before(two_checkpoints):
    newest, damaged = checkpoints.latest(two_checkpoints)
    assert damaged == ()
    with (newest / "model.safetensors").open("r+b") as file:
        file.seek(5000)
        file.write(b"\0\1\2\3")
    before, damaged = checkpoints.latest(two_checkpoints)
    assert damaged == (newest.name,) and checkpoints.step_of(before) < checkpoints.step_of(newest)


@pytest.mark.parametrize("missing", ["trainer_state.json", "optimizer.pt", checkpoints.SEAL])
def test_a_checkpoint_that_lacks_a_file_is_not_whole(two_checkpoints, missing):
    newest, _ = checkpoints.latest(two_checkpoints)
    (newest / missing).unlink()
    assert not checkpoints.is_whole(newest)


def test_no_more_checkpoints_are_kept_than_asked_for_beside_the_best(full_run):
    kept = [path.name for path in full_run.checkpoints.glob("checkpoint-*")]
    assert len(kept) <= full_run.spec.train.save_total_limit + 1
    assert f"checkpoint-{full_run.progress().total_steps}" in kept
