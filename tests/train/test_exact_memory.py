"""Memory runs out anyway: the same steps in smaller parts, from the last checkpoint on, in the same process."""

import json

import pytest
import torch

from core.runs.events import OUT_OF_MEMORY, Failed, Noted, Started, Stepped, Stopped
from core.train import memory, prove
from core.train.reproduce import hashes
from tests.conftest import LORA
from tests.train import child
from tests.train.child import KILLED, Shortage, kill_at

FULL = {"train": {"micro_batch_size": 4}}


def losses(run):
    return [each.loss for each in run.progress().steps]


def warnings(run):
    return [
        event for event in run.events.read()[0] if isinstance(event, Noted) and event.code == OUT_OF_MEMORY
    ]


def split_of(run):
    return json.loads((run.folder / "split.json").read_text())


@pytest.fixture(scope="module")
def halved(spec_of, tmp_path_factory):
    """A run in whose sixth step memory ran out, trained to its end."""
    from core.runs import RunStore

    run = RunStore(tmp_path_factory.mktemp("halved") / "runs").create("halved", spec_of(LORA, FULL))
    assert child.train(run, Shortage(tokens=60, after=5)) == 0, run.console.read_text()[-3000:]
    return run


def test_training_goes_on_in_smaller_parts_with_the_same_losses(halved, straight):
    undisturbed = straight(LORA, FULL)
    assert losses(halved) == pytest.approx(losses(undisturbed), rel=2e-3)
    assert losses(halved) != losses(undisturbed)
    assert prove.order(halved) == prove.order(undisturbed)
    assert halved.progress().state == "finished"


def test_the_warning_stands_at_the_step_and_what_was_found_out_is_kept(halved):
    (warning, *_) = warnings(halved)
    assert warning.warning and warning.step == 6 and "Memory ran out after step 5" in warning.text
    assert split_of(halved)["micro_batch_size"] in (1, 2)
    assert "can't allocate memory" in halved.console.read_text()


@pytest.mark.parametrize("step", [7, 9], ids=["before the next checkpoint", "after it"])
def test_a_kill_after_it_and_a_resume_are_exact(halved, store, step):
    run = store.create("killed", halved.spec)
    kill = kill_at("core.train.recorder.Recorder.on_step_end", given=f" global_step={step},")
    assert child.train(run, Shortage(tokens=60, after=5), kill) == KILLED
    assert child.train(run) == 0
    assert losses(run) == losses(halved) and hashes(run.final) == hashes(halved.final)


def test_an_evaluation_that_does_not_fit_is_done_in_smaller_parts(spec_of, store, straight):
    run = store.create("evaluation", spec_of(LORA, FULL))
    assert child.train(run, Shortage(tokens=60, after=0, training=False)) == 0
    assert split_of(run)["micro_batch_size"] < 4
    found, wanted = ([each.loss for each in one.progress().held_out] for one in (run, straight(LORA, FULL)))
    assert found == pytest.approx(wanted, rel=2e-3)


def test_what_does_not_fit_even_alone_ends_in_a_sentence_with_what_would_help(spec_of, store):
    run = store.create("never", spec_of(FULL))
    assert child.train(run, Shortage(tokens=5, after=2)) == 1
    said = run.progress().message
    assert "one example" in said and "train.max_length" in said and "method.kind lora" in said
    assert not run.final.exists() and not (run.checkpoints / ".partial").exists()
    assert len(warnings(run)) == 2  # 4, 2, 1


def test_too_little_memory_for_the_base_is_said_and_nothing_is_halved(spec_of, store):
    run = store.create("base", spec_of())
    assert child.train(run, child.Exhausted("core.train.job.load_for_training")) == 1
    assert "not enough memory to open" in run.progress().message
    assert not (run.folder / "split.json").exists()


def test_every_name_that_torch_has_for_it_is_known():
    with pytest.raises(RuntimeError) as found:
        torch.empty(10**15)
    for error in (found.value, torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), OSError(12, "")):
        assert memory.ran_out(error)
    with pytest.raises(RuntimeError) as found:
        torch.zeros(2) @ torch.zeros(3)
    assert not memory.ran_out(found.value) and not memory.ran_out(OSError(28, "No space left on device"))


def step(bytes_):
    return Stepped(
        step=7, epoch=1.0, loss=1.0, learning_rate=1e-3, gradient_norm=1.0, tokens_per_second=1.0, eta_seconds=1.0,
        memory_bytes=bytes_,
    )  # fmt: skip


STARTED = Started(act="train", pid=1)


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([STARTED, step(90), STARTED], True),
        ([STARTED, step(50), STARTED], False),
        ([STARTED, step(90), Failed(act="train", message=""), STARTED], False),
        ([STARTED, step(90), Stopped(act="train"), STARTED], False),
        ([STARTED, step(90), STARTED, step(20), STARTED], False),
        ([STARTED], False),
    ],
)
def test_a_process_that_vanished_with_nearly_all_memory_is_taken_for_one_that_had_too_little(events, found):
    assert (memory.taken_away(events, limit=100) is not None) == found


def test_a_run_that_was_lost_so_goes_on_in_smaller_parts_and_says_probably(spec_of, store):
    run = store.create("lost", spec_of(LORA, FULL))
    assert child.train(run, kill_at("accelerate.Accelerator.clip_grad_norm_", 7)) == KILLED
    lines = run.events.path.read_text().splitlines()
    used = [line.replace('"memory_bytes": ', '"memory_bytes": 9999') for line in lines]
    run.events.path.write_text("\n".join(used) + "\n")
    assert child.train(run) == 0
    (warning,) = warnings(run)
    assert "probably out of memory" in warning.text and split_of(run)["micro_batch_size"] == 2
