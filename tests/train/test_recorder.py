"""What the one callback writes, asks and holds, in real trainings."""

import importlib.util
import json
import math
import os
import threading
import time
from functools import partial

import pytest
import torch
from transformers import TrainerControl, TrainerState

from core.errors import TrainError
from core.runs import Run, RunStore
from core.train.recorder import SKIPPED, Recorder
from core.train.reporting import KINDS, Reporters
from tests.conftest import LORA, quick
from tests.train import child

THERE = [name for name in KINDS if importlib.util.find_spec(name)]
NOT_THERE = "requirements-extras.txt is not installed"
NO_SCORES = {"evaluate": {"after_training": False}}


@pytest.fixture(scope="module")
def silent(tmp_path_factory) -> Run:
    """The run `lora` again, which asks nothing meanwhile and reports to everybody that is installed."""
    folder = tmp_path_factory.mktemp("silent")
    os.environ["TRACKIO_DIR"] = trackio = str(folder / "trackio")
    run = RunStore(folder / "runs").create(
        "silent", quick(LORA, NO_SCORES, {"evaluate": {"prompts": []}, "train": {"report_to": THERE}})
    )
    return child.finished(run, partial(child.set_environment, "TRACKIO_DIR", trackio))


def losses(run: Run) -> tuple[list, list]:
    progress = run.progress()
    return [(each.step, each.loss, each.gradient_norm) for each in progress.steps], [
        (each.step, each.loss) for each in progress.held_out
    ]


def test_each_question_is_answered_at_each_measurement(trained):
    samples = trained.progress().samples
    assert [(each.step, each.question) for each in samples] == [(at, "Who are you?") for at in (0, 4, 8, 12)]
    assert all(each.answer and each.ended == "length" for each in samples)
    assert samples[0].answer != samples[-1].answer


def test_being_asked_changes_nothing_about_the_training(silent, lora_run):
    assert silent.progress().samples == () and lora_run.progress().samples != ()
    assert losses(silent) == losses(lora_run)  # with dropout: not one random number was drawn


@pytest.mark.extras
@pytest.mark.skipif(not THERE, reason=NOT_THERE)
def test_tensorboard_is_told_what_the_page_is_told(silent):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(silent.folder / "tensorboard"))
    read.Reload()
    progress = silent.progress()
    for name, expected in (
        ("train/loss", [(each.step, each.loss) for each in progress.steps]),
        ("train/gradient_norm", [(each.step, each.gradient_norm) for each in progress.steps]),
        ("held_out/loss", [(each.step, each.loss) for each in progress.held_out]),
    ):
        found = [(each.step, each.value) for each in read.Scalars(name)]
        assert [step for step, _ in found] == [step for step, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected])


@pytest.mark.extras
@pytest.mark.skipif(not THERE, reason=NOT_THERE)
def test_trackio_is_told_it_too(silent):
    from trackio.sqlite_storage import SQLiteStorage

    logged = SQLiteStorage.get_logs("atelier", "silent")
    steps = {each["step"]: each["train/loss"] for each in logged if "train/loss" in each}
    assert steps == pytest.approx({each.step: each.loss for each in silent.progress().steps})


@pytest.mark.extras
@pytest.mark.skipif(not THERE, reason=NOT_THERE)
def test_wandb_works_without_an_account_and_no_secret_is_written(silent):
    (offline,) = (silent.folder / "wandb").glob("offline-run-*")
    (record,) = offline.glob("*.wandb")
    assert record.stat().st_size > 1000
    assert any("wandb sync" in note.text for note in silent.progress().notes)


def test_a_place_to_report_to_that_fails_is_left_out_and_the_training_goes_on(store):
    class Broken:
        where = "Nowhere."

        def scalars(self, figures, step):
            raise ConnectionError("no route")

        def close(self):
            raise AssertionError("it is left out")

    notes = []
    run = store.create("a", quick())
    reporters = Reporters(run, ["tensorboard"], notes.append)
    reporters.open["tensorboard"] = Broken()
    for step in lora_steps(3):
        reporters.report(step)
    reporters.close()
    (note,) = notes
    assert note.warning and "tensorboard" in note.text and "no route" in note.text


def lora_steps(count):
    from core.runs.events import HeldOut

    return [HeldOut(step=step, loss=1.0, token_accuracy=0.5) for step in range(count)]


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory) -> Run:
    """A training whose rate is so high that the held-out loss soon rises; one checkpoint is to be kept."""
    run = RunStore(tmp_path_factory.mktemp("spoilt") / "runs").create(
        "spoilt",
        quick(NO_SCORES, {"train": {"max_steps": 60, "evaluate_every": 2, "learning_rate": 0.08, "early_stopping": 3,
                                    "save_total_limit": 1, "schedule": "constant", "warmup_fraction": 0.0}}),
    )  # fmt: skip
    return child.finished(run)


def test_a_run_whose_held_out_loss_no_longer_falls_ends_early_with_the_weights_of_its_best_step(spoilt):
    progress = spoilt.progress()
    measured = [each for each in progress.held_out if each.step]
    best = min(measured, key=lambda each: each.loss)
    assert progress.step < 60 and measured[-1].step == best.step + 3 * 2
    assert any("Ended early" in note.text for note in progress.notes)
    kept = (spoilt.checkpoints / f"checkpoint-{best.step}" / "model.safetensors").read_bytes()
    assert (spoilt.final / "model.safetensors").read_bytes() == kept


def test_of_the_checkpoints_exactly_as_many_stay_as_asked_for_the_best_always(spoilt, full_run):
    for run in (spoilt, full_run):
        measured = [each for each in run.progress().held_out if each.step]
        best = min(measured, key=lambda each: each.loss).step
        limit = run.spec.train.save_total_limit
        others = sorted((each.step for each in measured if each.step != best), reverse=True)
        kept = {path.name for path in run.checkpoints.iterdir()}
        assert kept == {f"checkpoint-{step}" for step in (best, *others[: limit - 1])}


class Alone:
    """A trainer as far as a recorder asks."""

    tokens_seen = 0

    def __init__(self) -> None:
        self.model = torch.nn.Linear(2, 2)


@pytest.fixture
def recorder(store) -> Recorder:
    made = Recorder(store.create("a", quick({"evaluate": {"prompts": []}})), text=None)
    made.trainer = Alone()
    made.on_train_begin(None, TrainerState(max_steps=100), TrainerControl())
    return made


def logged(norm=1.0, loss=1.0):
    return {"loss": loss, "grad_norm": norm, "learning_rate": 1e-3, "epoch": 0.1}


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_is_not_applied_and_the_training_goes_on(recorder, broken):
    model = recorder.trainer.model
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    before = [weight.detach().clone() for weight in model.parameters()]
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    model.weight.grad[0, 0] = broken
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    recorder.on_pre_optimizer_step(None, None, None, model=model)
    optimizer.step()
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    recorder.on_log(None, TrainerState(global_step=3, max_steps=100), TrainerControl(), logged(norm.item()))
    progress = recorder.run.progress()
    assert progress.steps[-1].gradient_norm == 0.0
    assert [(each.code, each.step) for each in progress.warnings] == [("gradient", 3)]


def test_after_a_few_such_steps_in_a_row_the_run_ends_and_one_good_one_between_forgives(recorder):
    model = recorder.trainer.model
    state = TrainerState(global_step=3, max_steps=100)

    def step(value):
        for weight in model.parameters():
            weight.grad = torch.full_like(weight, value)
        recorder.on_pre_optimizer_step(None, None, None, model=model)
        recorder.on_log(None, state, TrainerControl(), logged(value))

    for value in (math.nan, math.nan, 1.0, *[math.nan] * (SKIPPED - 1)):
        step(value)
    with pytest.raises(TrainError, match="no number any more"):
        step(math.nan)


def test_weights_that_stand_still_are_noticed(recorder):
    for step in range(1, 25):
        state = TrainerState(global_step=step, max_steps=100)
        recorder.on_log(None, state, TrainerControl(), logged(loss=1 + step % 3))
    assert [(each.code, each.step) for each in recorder.run.progress().warnings] == [("nothing-trained", 20)]


def test_a_pause_is_no_part_of_the_speed_and_a_stop_ends_it(recorder):
    recorder.trainer.tokens_seen = 100
    recorder._marks[0] = (time.monotonic() - 1.0, 0)
    run, state = recorder.run, TrainerState(global_step=5, max_steps=100)
    run.request_pause()
    threading.Timer(1.0, run.withdraw_pause).start()
    assert not recorder.on_step_end(None, state, TrainerControl()).should_training_stop
    recorder.on_log(None, state, TrainerControl(), logged())
    assert 80 < run.progress().steps[-1].tokens_per_second <= 100

    run.request_pause()
    threading.Timer(0.3, run.request_stop).start()
    control = recorder.on_step_end(None, state, TrainerControl())
    assert control.should_training_stop and control.should_save
    kinds = [json.loads(line)["event"] for line in run.events.path.read_text().splitlines()]
    assert kinds.count("paused") == kinds.count("continued") == 2


def test_to_discard_saves_nothing_even_at_the_last_step(recorder):
    recorder.run.request_stop(discard=True)
    control = recorder.on_step_end(None, TrainerState(global_step=100, max_steps=100), TrainerControl())
    assert control.should_training_stop and not control.should_save and recorder.stopped
